import type { Assessment } from './severity.ts';
import { ACCEPTS, DENIES, MARKS, NAT, TURNS } from './verdict-bits.ts';

const BITS = [ACCEPTS, DENIES, NAT, TURNS, MARKS] as const;

/** The rules of one chain that moved, came and went: positions counted from 0. */
export interface ChainMoves {
  readonly lengthBefore: number;
  /** Of the current chain, what each rule does. */
  readonly weights: readonly number[];
  /** Positions in the baseline of rules that went, moved or changed. */
  readonly gone: ReadonlySet<number>;
  /** Positions in the current chain of rules that came, moved or changed. */
  readonly came: ReadonlySet<number>;
  /** What all moved rules do together: they may have passed each other. */
  readonly movedWeight: number;
}

/**
 * Judges moves by what each moved rule passed: an accept that changes places with a drop decides other packets, one that
 * passes only other accepts does not. Positions of both sides meet at the rules that stayed, so what came and went
 * elsewhere in the chain does not count. Linear: weights are counted along the rules that stayed.
 */
export class MoveJudge {
  readonly #moves: ChainMoves;
  readonly #keptBefore: Uint32Array;
  readonly #keptAfter: Uint32Array;
  /** For each bit how many of the first n rules that stayed have it. */
  readonly #counts: readonly Uint32Array[];

  constructor(moves: ChainMoves) {
    this.#moves = moves;
    const { weights, came } = moves;
    this.#keptBefore = keptUpTo(moves.lengthBefore, moves.gone);
    this.#keptAfter = keptUpTo(weights.length, came);
    const kept = weights.filter((_, index) => !came.has(index));
    this.#counts = BITS.map((bit) => {
      const counts = new Uint32Array(kept.length + 1);
      for (const [index, weight] of kept.entries()) {
        counts[index + 1] = (counts[index] as number) + ((weight & bit) === 0 ? 0 : 1);
      }
      return counts;
    });
  }

  /** @param what  the rule and that it moved, as the beginning of a sentence */
  judge(what: string, from: number, to: number): Assessment {
    const weight = this.#moves.weights[to] ?? 0;
    const passed = this.#passed(from, to);
    if (contradicts(weight, passed)) {
      return { severity: 'critical', reason: `${what}: it changed places with rules that decide the opposite` };
    }
    if ((weight & TURNS) !== 0 ? (passed & ~MARKS) !== 0 : (passed & TURNS) !== 0 && (weight & ~MARKS) !== 0) {
      return { severity: 'high', reason: `${what}: other rules than before are met first` };
    }
    // An accept in a nat chain exempts from translation.
    if (((weight | passed) & NAT) !== 0 && (weight & (NAT | ACCEPTS)) !== 0 && (passed & (NAT | ACCEPTS)) !== 0) {
      return { severity: 'high', reason: `${what}: of two rules for address translation the other may decide` };
    }
    if (contradicts(weight, this.#moves.movedWeight)) {
      return { severity: 'high', reason: `${what}, together with rules that decide the opposite` };
    }
    if (((weight | passed) & MARKS) !== 0 && weight !== 0 && passed !== 0) {
      return { severity: 'medium', reason: `${what}: other packets than before may be marked or rewritten` };
    }
    return { severity: 'low', reason: `${what}: no rule that it passed decides otherwise` };
  }

  /** What the rules that stayed and that the moved one passed do. */
  #passed(from: number, to: number): number {
    const ends = [this.#keptBefore[from] ?? 0, this.#keptAfter[to] ?? 0];
    const [low, high] = [Math.min(...ends), Math.max(...ends)];
    return BITS.reduce<number>((sum, bit, index) => {
      const counts = this.#counts[index] as Uint32Array;
      return (counts[high] ?? 0) > (counts[low] ?? 0) ? sum | bit : sum;
    }, 0);
  }
}

function contradicts(a: number, b: number): boolean {
  return ((a & ACCEPTS) !== 0 && (b & DENIES) !== 0) || ((a & DENIES) !== 0 && (b & ACCEPTS) !== 0);
}

/** For each index how many rules before it stayed. */
function keptUpTo(length: number, gone: ReadonlySet<number>): Uint32Array {
  const counts = new Uint32Array(length + 1);
  for (let index = 0; index < length; index += 1) {
    counts[index + 1] = (counts[index] as number) + (gone.has(index) ? 0 : 1);
  }
  return counts;
}
