import type { NftChain, NftChange } from '../nftables/index.ts';
import type { TableContext } from './nftables-context.ts';
import type { Effect } from './nftables-effects.ts';
import { effectsOf } from './nftables-place.ts';

type RuleChange = Extract<NftChange, { kind: `rule_${string}` }>;

/** What a rule's effects are worth to its neighbours: whether passing them changes which of two rules decides. */
export const ACCEPTS = 1;
export const DENIES = 2;
export const NAT = 4;
export const TURNS = 8;
export const MARKS = 16;

const WEIGHTS: ReadonlyMap<Effect, number> = new Map<Effect, number>([
  ['accept', ACCEPTS],
  ['drop', DENIES],
  ['dnat', NAT],
  ['redirect', NAT],
  ['snat', NAT],
  ['masquerade', NAT],
  ['return', TURNS],
  ['goto', TURNS],
  ['queue', TURNS],
  ['notrack', TURNS],
  ['divert', TURNS],
  ['unknown', TURNS],
  ['mangle', MARKS],
]);

export function weightOf(effects: ReadonlySet<Effect>): number {
  let weight = 0;
  for (const effect of effects) weight |= WEIGHTS.get(effect) ?? 0;
  return weight;
}

/**
 * What the moved rules of one chain passed. Positions of both sides meet at the rules that stayed, so what came and
 * went elsewhere in the chain does not count. Linear: weights are counted along the rules that stayed.
 */
export class ChainMoves {
  readonly #counts: ReadonlyMap<number, readonly number[]>;
  readonly #keptBefore: Uint32Array;
  readonly #keptAfter: Uint32Array;
  /** Of all moved rules together: they may have passed each other. */
  readonly movedWeights: number;

  constructor(before: NftChain, after: NftChain, changes: readonly RuleChange[], context: TableContext) {
    const gone = new Set<number>();
    const came = new Set<number>();
    let moved = 0;
    for (const change of changes) {
      if (!('baselinePosition' in change)) (change.kind === 'rule_added' ? came : gone).add(change.position);
      else if (change.kind !== 'rule_recreated') {
        gone.add(change.baselinePosition);
        came.add(change.currentPosition);
        if (change.kind === 'rule_repositioned') moved |= weightOf(effectsOf(context.effect(change.after), context));
      }
    }
    this.movedWeights = moved;
    this.#keptBefore = keptUpTo(before.rules.length, gone);
    this.#keptAfter = keptUpTo(after.rules.length, came);
    const counts = new Map([ACCEPTS, DENIES, NAT, TURNS, MARKS].map((bit): [number, number[]] => [bit, [0]]));
    for (const [index, rule] of after.rules.entries()) {
      if (came.has(index)) continue;
      const weight = weightOf(effectsOf(context.effect(rule), context));
      for (const [bit, list] of counts) list.push((list.at(-1) ?? 0) + ((weight & bit) === 0 ? 0 : 1));
    }
    this.#counts = counts;
  }

  /** The weights of the rules that stayed and that a moved one passed. */
  passed(baselinePosition: number, currentPosition: number): number {
    const from = this.#keptBefore[baselinePosition] ?? 0;
    const to = this.#keptAfter[currentPosition] ?? 0;
    let passed = 0;
    for (const [bit, list] of this.#counts) {
      if ((list[Math.max(from, to)] ?? 0) > (list[Math.min(from, to)] ?? 0)) passed |= bit;
    }
    return passed;
  }
}

/** For each index how many rules before it stayed. */
function keptUpTo(length: number, gone: ReadonlySet<number>): Uint32Array {
  const counts = new Uint32Array(length + 1);
  for (let index = 0; index < length; index += 1) {
    counts[index + 1] = (counts[index] as number) + (gone.has(index) ? 0 : 1);
  }
  return counts;
}

export function contradicts(a: number, b: number): boolean {
  return ((a & ACCEPTS) !== 0 && (b & DENIES) !== 0) || ((a & DENIES) !== 0 && (b & ACCEPTS) !== 0);
}
