import type { IpsetCollection } from '../ipset/index.ts';
import type { IptablesRule, IptablesRuleset } from '../iptables/index.ts';
import { RulesetContext } from './iptables-context.ts';
import { denies, effectOf, type RuleEffect } from './iptables-effect.ts';
import { ACCEPTS, DENIES } from './verdict-bits.ts';

/** A rule that looks a set up, and what becomes of a packet that is found. */
export interface SetUser {
  readonly rule: IptablesRule;
  /** `steer`: other rules than else decide on it, or it goes elsewhere. */
  readonly use: 'deny' | 'accept' | 'steer' | 'other';
}

/** Which rules look which sets up, directly or through a list of sets. */
export class SetUsers {
  readonly #direct = new Map<string, SetUser[]>();
  readonly #lists = new Map<string, string[]>();

  constructor(rulesets: readonly IptablesRuleset[], sets: IpsetCollection) {
    for (const ruleset of rulesets) this.#readRules(ruleset);
    for (const set of sets.sets.values()) {
      if (!set.type.startsWith('list:')) continue;
      for (const member of set.entries.keys()) {
        const lists = this.#lists.get(member);
        if (lists === undefined) this.#lists.set(member, [set.name]);
        else lists.push(set.name);
      }
    }
  }

  of(name: string): readonly SetUser[] {
    const users: SetUser[] = [];
    const seen = new Set([name]);
    const waiting = [name];
    for (let set = waiting.pop(); set !== undefined; set = waiting.pop()) {
      for (const user of this.#direct.get(set) ?? []) users.push(user);
      for (const list of this.#lists.get(set) ?? []) {
        if (seen.has(list)) continue;
        seen.add(list);
        waiting.push(list);
      }
    }
    return users;
  }

  #readRules(ruleset: IptablesRuleset): void {
    const context = new RulesetContext(ruleset);
    for (const table of ruleset.tables.values()) {
      for (const chain of table.chains.values()) {
        for (const rule of chain.rules) {
          if (!rule.text.includes('set')) continue;
          for (const name of setsOf(rule)) {
            const user: SetUser = { rule, use: useOf(rule, context) };
            const users = this.#direct.get(name);
            if (users === undefined) this.#direct.set(name, [user]);
            else users.push(user);
          }
        }
      }
    }
  }
}

function setsOf(rule: IptablesRule): Set<string> {
  const names = new Set<string>();
  const fields = rule.readFields();
  for (const match of fields.matches) {
    if (match.name !== 'set') continue;
    for (const option of match.options) if (option.name === '--match-set') names.add(option.values[0] ?? '');
  }
  if (fields.target?.name === 'SET') {
    for (const option of fields.target.options) if (option.name === '--map-set') names.add(option.values[0] ?? '');
  }
  return names;
}

const STEERS: ReadonlySet<RuleEffect> = new Set(['return', 'queue', 'notrack', 'destination-nat', 'unknown']);

function useOf(rule: IptablesRule, context: RulesetContext): SetUser['use'] {
  const fields = rule.readFields();
  const effect = effectOf(fields);
  if (denies(effect)) return 'deny';
  if (effect === 'accept') return 'accept';
  if (STEERS.has(effect)) return 'steer';
  if (effect !== 'chain') return 'other';
  const { verdicts } = context.table(rule.table).chain(fields.target?.name ?? '');
  if ((verdicts & DENIES) !== 0) return 'deny';
  return (verdicts & ACCEPTS) !== 0 ? 'accept' : 'other';
}
