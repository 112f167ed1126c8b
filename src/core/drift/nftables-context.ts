import { isJsonObject } from '../json.ts';
import { type NftChain, type NftRule, type NftTable, rulesBySet } from '../nftables/index.ts';
import { isFromAnywhere } from './nftables-breadth.ts';
import { type Effect, effectOf, type RuleEffect } from './nftables-effects.ts';

/** What a packet can meet in one table: which base chains lead to a chain, and what happens there in the end. */
export class TableContext {
  readonly table: NftTable;
  readonly #effects = new Map<NftRule, RuleEffect>();
  readonly #closures = new Map<string, Closure>();
  #reachedFrom: Map<string, NftChain[]> | null = null;
  #users: Map<string, NftRule[]> | null = null;
  readonly #finals = new Map<NftChain, Final>();
  #dropsOnlySome: boolean | null = null;
  readonly #ends = new Map<NftChain, number>();

  constructor(table: NftTable) {
    this.table = table;
  }

  effect(rule: NftRule): RuleEffect {
    let effect = this.#effects.get(rule);
    if (effect === undefined) {
      effect = effectOf(rule, this.table);
      this.#effects.set(rule, effect);
    }
    return effect;
  }

  /** Only where it is certain: an unreadable flag may be another one, and then the rules are in force. */
  get isDormant(): boolean {
    return this.table.flags.includes('dormant');
  }

  /** The base chains from which jumps lead to this chain; itself, when it is one. */
  baseChainsOf(chain: string): readonly NftChain[] {
    this.#reachedFrom ??= this.#reach();
    return this.#reachedFrom.get(chain) ?? [];
  }

  /** Everything that can happen from a chain on, jumps followed. */
  closure(chain: string): Closure {
    const known = this.#closures.get(chain);
    if (known !== undefined) return known;
    const effects = new Set<Effect>();
    const blanket = new Set<Effect>();
    // 2: every packet gets there; 1: some do.
    const seen = new Map<string, number>([[chain, 2]]);
    // Chains that every packet of the first one enters: a blanket rule there is one here.
    const pending: { name: string; always: boolean }[] = [{ name: chain, always: true }];
    for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
      for (const rule of this.table.chains.get(item.name)?.rules ?? []) {
        const effect = this.effect(rule);
        for (const one of effect.effects) {
          effects.add(one);
          if (item.always && effect.isBlanket) blanket.add(one);
        }
        for (const target of effect.targets) {
          const always = item.always && effect.isBlanket;
          if ((seen.get(target) ?? 0) >= (always ? 2 : 1)) continue;
          seen.set(target, always ? 2 : 1);
          pending.push({ name: target, always });
        }
      }
    }
    const closure = { effects, blanket };
    this.#closures.set(chain, closure);
    return closure;
  }

  /** Whether packets that no rule accepts are dropped: by the policy, or by a rule for all of them. */
  deniesByDefault(base: NftChain): boolean {
    return base.policy === 'drop' || this.closure(base.name).blanket.has('drop');
  }

  /** Every drop of the table is for some senders, or for what belongs to no connection: bans, not a drop of the rest. */
  get dropsOnlySome(): boolean {
    this.#dropsOnlySome ??= [...this.table.chains.values()].every((chain) => {
      if (chain.policy === 'drop') return false;
      return chain.rules.every((rule) => {
        const { effects, flat, isHidden } = this.effect(rule);
        if (!effects.has('drop')) return true;
        const state = flat.fields.get('ct_state');
        return !isHidden && (!isFromAnywhere(rule, this.table) || (state?.value === 'invalid' && !state.negated));
      });
    });
    return this.#dropsOnlySome;
  }

  /** Whether a rule above this place decides on every packet, so that none gets here. */
  isNeverMet(chain: NftChain, position: number): boolean {
    let end = this.#ends.get(chain);
    if (end === undefined) {
      end = chain.rules.findIndex((rule) => {
        const { isBlanket, targets } = this.effect(rule);
        const target = isBlanket ? this.table.chains.get(targets[0] ?? '') : undefined;
        return target !== undefined && this.#final(target).isVerdict;
      });
      end = Math.min(end === -1 ? chain.rules.length : end, this.#final(chain).position);
      this.#ends.set(chain, end);
    }
    return position > end;
  }

  /** The first rule of a chain that is for every packet and ends its way through the chain by itself. */
  #final(chain: NftChain): Final {
    let final = this.#finals.get(chain);
    if (final === undefined) {
      final = { position: Number.POSITIVE_INFINITY, isVerdict: false };
      let isLeft = false;
      for (const [position, rule] of chain.rules.entries()) {
        const { effects, isBlanket } = this.effect(rule);
        const isLeaving = effects.has('return') || effects.has('goto');
        isLeft ||= isLeaving;
        const isVerdict = effects.has('accept') || (effects.has('drop') && dropsAll(rule, this.table));
        if (!isBlanket || !(isLeaving || isVerdict)) continue;
        final = { position, isVerdict: !isLeft };
        break;
      }
      this.#finals.set(chain, final);
    }
    return final;
  }

  /** Whether a rule in force other than this one decides by what the set holds, or fills another set by which one does. */
  decidesBy(set: string, except: NftRule): boolean {
    this.#users ??= rulesBySet(this.table);
    const seen = new Set([set]);
    const pending = [set];
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      for (const rule of this.#users.get(name) ?? []) {
        if (rule === except || this.baseChainsOf(rule.chain).length === 0) continue;
        const { effects, fills } = this.effect(rule);
        if (effects.size > 0) return true;
        for (const other of fills) {
          if (seen.has(other.set)) continue;
          seen.add(other.set);
          pending.push(other.set);
        }
      }
    }
    return false;
  }

  #reach(): Map<string, NftChain[]> {
    const reached = new Map<string, NftChain[]>();
    for (const base of this.table.chains.values()) {
      if (!base.isBaseChain) continue;
      const seen = new Set<string>([base.name]);
      const pending = [base.name];
      for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
        const list = reached.get(name);
        if (list === undefined) reached.set(name, [base]);
        else list.push(base);
        for (const rule of this.table.chains.get(name)?.rules ?? []) {
          for (const target of this.effect(rule).targets) {
            if (seen.has(target)) continue;
            seen.add(target);
            pending.push(target);
          }
        }
      }
    }
    return reached;
  }
}

interface Final {
  readonly position: number;
  /** Every packet of the chain is accepted or dropped there at the latest: none comes back to the caller. */
  readonly isVerdict: boolean;
}

/** Whether a drop or reject is for all that the rule matches: nft lists `reject with icmp` without its protocol. */
export function dropsAll({ expr }: NftRule, { family }: NftTable): boolean {
  const last = expr.at(-1) ?? null;
  const reject = isJsonObject(last) ? (last['reject'] ?? null) : null;
  const type = isJsonObject(reject) ? reject['type'] : undefined;
  if (type === undefined || type === 'icmpx') return true;
  const protocol = type === 'icmp' ? 'ip' : type === 'icmpv6' ? 'ip6' : 'tcp';
  return family === protocol || JSON.stringify(expr).includes(`"protocol":"${protocol}"`);
}

export interface Closure {
  readonly effects: ReadonlySet<Effect>;
  /** Those of rules that are for every packet. */
  readonly blanket: ReadonlySet<Effect>;
}
