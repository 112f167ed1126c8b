import { type NftChain, type NftRule, type NftTable, rulesBySet } from '../nftables/index.ts';
import { type Effect, effectOf, type RuleEffect } from './nftables-effects.ts';

/** What a packet can meet in one table: which base chains lead to a chain, and what happens there in the end. */
export class TableContext {
  readonly table: NftTable;
  readonly #effects = new Map<NftRule, RuleEffect>();
  readonly #closures = new Map<string, Closure>();
  #reachedFrom: Map<string, NftChain[]> | null = null;
  #users: Map<string, NftRule[]> | null = null;

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

export interface Closure {
  readonly effects: ReadonlySet<Effect>;
  /** Those of rules that are for every packet. */
  readonly blanket: ReadonlySet<Effect>;
}
