import type { NftChain, NftRule } from '../nftables/index.ts';
import { effectsOf } from './nftables-chain-index.ts';
import type { TableContext } from './nftables-context.ts';
import type { RuleEffect } from './nftables-effects.ts';
import type { RulePlace } from './nftables-place.ts';
import { weightOf } from './nftables-weights.ts';
import { ACCEPTS, DENIES, MARKS } from './verdict-bits.ts';

/**
 * How many of the rules of the chain as it is `now` packets of a rule that went still meet: up to the first that decides
 * otherwise, itself included, as it may be what is sought, of two effects. An equal rule below that one is no
 * replacement.
 */
export function stillMetCount(effect: RuleEffect, { context, chain, position }: RulePlace, now: NftChain): number {
  const own = weightOf(effectsOf(effect, context));
  const same = own === ACCEPTS || own === DENIES ? own | MARKS : 0;
  const found = newDeciders(chain.rules, now.rules, context).firstBelow(position, same);
  return found === -1 ? now.rules.length : found + 1;
}

/** Asked for each of a hundred thousand rules that went: both sides are read once. */
function newDeciders(before: readonly NftRule[], now: readonly NftRule[], context: TableContext): NewDeciders {
  let cached = deciders.get(before);
  if (cached?.now !== now || cached.context !== context) {
    cached = new NewDeciders(before, now, context);
    deciders.set(before, cached);
  }
  return cached;
}

const deciders = new WeakMap<readonly NftRule[], NewDeciders>();

/** A rule of the present chain that stood nowhere above the first `above` positions of the earlier one. */
interface Step {
  readonly index: number;
  readonly above: number;
}

class NewDeciders {
  readonly now: readonly NftRule[];
  readonly context: TableContext;
  /** Where each rule of the earlier chain stood first: what stood above took its part of the packets then, too. */
  readonly #earlier = new Map<string, number>();
  /** Per verdict that decides nothing otherwise, the rules that stood further down than all such before them. */
  readonly #steps = new Map<number, readonly Step[]>();

  constructor(before: readonly NftRule[], now: readonly NftRule[], context: TableContext) {
    this.now = now;
    this.context = context;
    for (const [position, { identity }] of before.entries()) {
      if (!this.#earlier.has(identity)) this.#earlier.set(identity, position);
    }
  }

  /** Index of the first rule that did not stand above `position` and decides otherwise than `same`; -1 when none does. */
  firstBelow(position: number, same: number): number {
    let steps = this.#steps.get(same);
    if (steps === undefined) {
      steps = this.#readSteps(same);
      this.#steps.set(same, steps);
    }
    let [low, high] = [0, steps.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((steps[middle] as Step).above < position) low = middle + 1;
      else high = middle;
    }
    return steps[low]?.index ?? -1;
  }

  #readSteps(same: number): Step[] {
    const steps: Step[] = [];
    for (const [index, rule] of this.now.entries()) {
      const above = this.#earlier.get(rule.identity) ?? Number.POSITIVE_INFINITY;
      if (above <= (steps.at(-1)?.above ?? -1)) continue;
      if ((weightOf(effectsOf(this.context.effect(rule), this.context)) & ~same) === 0) continue;
      steps.push({ index, above });
      if (above === Number.POSITIVE_INFINITY) break;
    }
    return steps;
  }
}
