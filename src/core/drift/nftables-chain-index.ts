import type { NftRule } from '../nftables/index.ts';
import type { TableContext } from './nftables-context.ts';
import type { Effect, RuleEffect } from './nftables-effects.ts';

/** The effects of a rule; a jump does what its chain does. */
export function effectsOf(effect: RuleEffect, context: TableContext): ReadonlySet<Effect> {
  if (effect.targets.length === 0) return effect.effects;
  const all = new Set(effect.effects);
  for (const target of effect.targets) {
    for (const one of context.closure(target).effects) if (one !== 'return') all.add(one);
  }
  return all;
}

/** The rules of a chain by what they do, read once: each of a hundred thousand changed rules asks for the others. */
export function chainIndex(rules: readonly NftRule[], context: TableContext): ChainIndex {
  let ofContext = indexes.get(context);
  if (ofContext === undefined) {
    ofContext = new Map();
    indexes.set(context, ofContext);
  }
  let index = ofContext.get(rules);
  if (index === undefined) {
    index = new ChainIndex(rules, context);
    ofContext.set(rules, index);
  }
  return index;
}

const indexes = new WeakMap<TableContext, Map<readonly NftRule[], ChainIndex>>();

/** An accept by what it asks for; of several that ask for the same, the first. */
interface Accept {
  readonly position: number;
  readonly conditions: readonly string[];
}

class ChainIndex {
  readonly #rules: readonly NftRule[];
  readonly #context: TableContext;
  #last: Map<Effect, number> | null = null;
  #accepts: Map<string, Accept[]> | null = null;
  #identities: Map<string, number> | null = null;

  constructor(rules: readonly NftRule[], context: TableContext) {
    this.#rules = rules;
    this.#context = context;
  }

  /** Position of the last rule that does this, by itself or by a chain it leads to; -1 when none does. */
  lastWith(effect: Effect): number {
    this.#last ??= this.#readLast();
    return this.#last.get(effect) ?? -1;
  }

  /** Position of the first rule that only accepts, and asks for no more than these conditions; -1 when none does. */
  firstAccept(conditions: readonly string[]): number {
    this.#accepts ??= this.#readAccepts();
    const wanted = new Set(conditions);
    let first = -1;
    for (const key of ['', ...wanted]) {
      const found = this.#accepts.get(key)?.find((accept) => accept.conditions.every((text) => wanted.has(text)));
      if (found !== undefined && (first === -1 || found.position < first)) first = found.position;
    }
    return first;
  }

  /** Position of the first rule of this identity; -1 when there is none. */
  firstWith(identity: string): number {
    this.#identities ??= this.#readIdentities();
    return this.#identities.get(identity) ?? -1;
  }

  #readIdentities(): Map<string, number> {
    const identities = new Map<string, number>();
    for (const [position, { identity }] of this.#rules.entries()) {
      if (!identities.has(identity)) identities.set(identity, position);
    }
    return identities;
  }

  #readLast(): Map<Effect, number> {
    const last = new Map<Effect, number>();
    for (const [position, rule] of this.#rules.entries()) {
      for (const one of effectsOf(this.#context.effect(rule), this.#context)) last.set(one, position);
    }
    return last;
  }

  /** Each under its rarest condition, so that few are looked at for one rule; under '' where it has none. */
  #readAccepts(): Map<string, Accept[]> {
    const distinct = new Map<string, Accept>();
    for (const [position, rule] of this.#rules.entries()) {
      const { effects, conditions, isHidden } = this.#context.effect(rule);
      if (isHidden || effects.size !== 1 || !effects.has('accept')) continue;
      const key = JSON.stringify([...conditions].sort());
      if (!distinct.has(key)) distinct.set(key, { position, conditions });
    }
    const uses = new Map<string, number>();
    for (const { conditions } of distinct.values()) {
      for (const text of conditions) uses.set(text, (uses.get(text) ?? 0) + 1);
    }
    const accepts = new Map<string, Accept[]>();
    for (const accept of distinct.values()) {
      const [first = '', ...others] = accept.conditions;
      const usesOf = (text: string): number => uses.get(text) ?? 0;
      const rarest = others.reduce((rare, text) => (usesOf(text) < usesOf(rare) ? text : rare), first);
      const list = accepts.get(rarest);
      if (list === undefined) accepts.set(rarest, [accept]);
      else list.push(accept);
    }
    return accepts;
  }
}
