import { isJsonObject, type Json } from '../json.ts';
import { alignRules } from './diff-rules.ts';
import { isExactInteger } from './exact-integers.ts';
import type { NftRule, NftRuleset } from './model.ts';

/**
 * Packets and bytes as listed; a decimal string beyond 2^53 - 1, null where there is no counter, or the listing is
 * stateless.
 */
export interface CounterValue {
  readonly packets: number | string | null;
  readonly bytes: number | string | null;
}

/** A counter that moved on a rule that stayed, or on a named counter. No drift. */
export interface CounterChange {
  /** `family/name`. */
  readonly table: string;
  /** null: a named counter, `counter` says which. */
  readonly chain: string | null;
  readonly counter: string | null;
  readonly rule: NftRule | null;
  /** Of the rule in the current chain, counted from 0. */
  readonly position: number | null;
  readonly before: CounterValue;
  readonly after: CounterValue;
}

/** Counters of rules (the first one of each) and named counters; those of set elements are not looked at. */
export function diffCounters(baseline: NftRuleset, current: NftRuleset): CounterChange[] {
  const changes: CounterChange[] = [];
  const add = (change: CounterChange): void => {
    const { before, after } = change;
    if (before.packets !== after.packets || before.bytes !== after.bytes) changes.push(change);
  };
  const acrossVersions = baseline.version !== current.version;
  for (const [table, before] of baseline.tables) {
    const after = current.tables.get(table);
    if (after === undefined) continue;
    for (const [name, chain] of before.chains) {
      const rules = after.chains.get(name)?.rules;
      if (rules === undefined) continue;
      const reloaded = before.handle !== after.handle;
      for (const [from, to] of alignRules(chain.rules, rules, { acrossVersions, reloaded }).kept) {
        const rule = rules[to] as NftRule;
        const was = counterOf(chain.rules[from] as NftRule);
        add({ table, chain: name, counter: null, rule, position: to, before: was, after: counterOf(rule) });
      }
    }
    for (const [key, object] of before.objects) {
      const now = after.objects.get(key);
      if (object.type !== 'counter' || now === undefined) continue;
      const values = { before: counterValue(object.raw), after: counterValue(now.raw) };
      add({ table, chain: null, counter: object.name, rule: null, position: null, ...values });
    }
  }
  return changes;
}

function counterOf(rule: NftRule): CounterValue {
  for (const statement of rule.expr) {
    if (isJsonObject(statement) && isJsonObject(statement['counter'])) return counterValue(statement['counter']);
  }
  return counterValue(null);
}

function counterValue(body: Json): CounterValue {
  const number = (name: string): number | string | null => {
    const value = isJsonObject(body) ? (body[name] ?? null) : null;
    return typeof value === 'number' || isExactInteger(value) ? value : null;
  };
  return { packets: number('packets'), bytes: number('bytes') };
}
