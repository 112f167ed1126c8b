import { fieldsThatDiffer, type NamedFields, namedFields, similarity } from './compare-rules.ts';
import type { IptablesRule } from './model.ts';

/** Up to this many pairs of a gap are all compared; a larger gap compares each rule with its nearest only. */
const PAIRS_COMPARED_MAX = 2500;
const CANDIDATES_MAX = 32;
const SIMILARITY_MIN = 0.5;

/** Which rule that came is the one that went, changed: index into the gap's lists, and the fields that differ. */
export interface GapPair {
  readonly candidate: number;
  readonly fields: readonly string[];
}

export const NO_PAIRS: ReadonlyMap<number, GapPair> = new Map();

/** The rules that went from one place of a chain and those that came there, and who became whom. */
export class GapPairs {
  readonly #before: readonly IptablesRule[];
  readonly #after: readonly IptablesRule[];
  readonly #went: readonly number[];
  readonly #came: readonly number[];
  readonly #wentFields: NamedFields[] = [];
  readonly #cameFields: NamedFields[] = [];

  constructor(
    before: readonly IptablesRule[],
    after: readonly IptablesRule[],
    went: readonly number[],
    came: readonly number[],
  ) {
    this.#before = before;
    this.#after = after;
    this.#went = went;
    this.#came = came;
  }

  /** Pairs by how much two rules have in common, the most alike first. */
  find(): ReadonlyMap<number, GapPair> {
    const scored: { nth: number; candidate: number; score: number }[] = [];
    const all = this.#went.length * this.#came.length <= PAIRS_COMPARED_MAX;
    for (let nth = 0; nth < this.#went.length; nth += 1) {
      // Around the place it had: a chain rewritten rule by rule keeps its order.
      const from = all ? 0 : Math.max(0, nth - CANDIDATES_MAX / 2);
      const to = all ? this.#came.length : Math.min(this.#came.length, from + CANDIDATES_MAX);
      for (let candidate = from; candidate < to; candidate += 1) {
        const score = similarity(this.#wentField(nth), this.#cameField(candidate));
        if (score > SIMILARITY_MIN) scored.push({ nth, candidate, score });
      }
    }
    scored.sort((a, b) => b.score - a.score || a.nth - b.nth || a.candidate - b.candidate);
    const pairs = new Map<number, GapPair>();
    const taken = new Set<number>();
    for (const { nth, candidate } of scored) {
      if (pairs.has(nth) || taken.has(candidate)) continue;
      taken.add(candidate);
      pairs.set(nth, { candidate, fields: fieldsThatDiffer(this.#wentField(nth), this.#cameField(candidate)) });
    }
    return pairs;
  }

  #wentField(nth: number): NamedFields {
    this.#wentFields[nth] ??= namedFields((this.#before[this.#went[nth] as number] as IptablesRule).readFields());
    return this.#wentFields[nth];
  }

  #cameField(candidate: number): NamedFields {
    this.#cameFields[candidate] ??= namedFields(
      (this.#after[this.#came[candidate] as number] as IptablesRule).readFields(),
    );
    return this.#cameFields[candidate];
  }
}
