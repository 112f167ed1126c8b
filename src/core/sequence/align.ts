/** How the items of one ordered list became those of another, by identity key. */
export interface Alignment {
  /** Index pairs of items that stayed in order: a longest common subsequence. */
  readonly kept: readonly (readonly [baseline: number, current: number])[];
  /** Index pairs of items that are in both lists but changed place relative to the kept ones. */
  readonly moved: readonly (readonly [baseline: number, current: number])[];
  readonly removed: readonly number[];
  readonly added: readonly number[];
}

/**
 * Aligns two lists of identity keys with the fewest moves: what is not in a longest common subsequence is moved when
 * its key is left over on both sides, else removed or added. Equal keys are counted: three of one against two of it is
 * one removed.
 *
 * Time: near-linear for lists whose keys are mostly distinct. Where one key repeats so often that the exact
 * subsequence would cost more than `MATCH_PAIRS_MAX` comparisons, equal keys are paired in order of occurrence, which
 * keeps every count exact and may report more moves than the fewest.
 */
export function align(baseline: readonly string[], current: readonly string[]): Alignment {
  const kept: [number, number][] = [];
  let start = 0;
  while (start < baseline.length && start < current.length && baseline[start] === current[start]) {
    kept.push([start, start]);
    start += 1;
  }
  let baselineEnd = baseline.length;
  let currentEnd = current.length;
  const tail: [number, number][] = [];
  while (baselineEnd > start && currentEnd > start && baseline[baselineEnd - 1] === current[currentEnd - 1]) {
    baselineEnd -= 1;
    currentEnd -= 1;
    tail.push([baselineEnd, currentEnd]);
  }
  for (const pair of longestCommonSubsequence(baseline, current, start, baselineEnd, currentEnd)) kept.push(pair);
  for (let index = tail.length - 1; index >= 0; index -= 1) kept.push(tail[index] as [number, number]);
  return { kept, ...leftOver(baseline, current, kept, start, baselineEnd, currentEnd) };
}

const MATCH_PAIRS_MAX = 4_000_000;

function leftOver(
  baseline: readonly string[],
  current: readonly string[],
  kept: readonly (readonly [number, number])[],
  start: number,
  baselineEnd: number,
  currentEnd: number,
): Omit<Alignment, 'kept'> {
  const keptBaseline = new Set(kept.map(([index]) => index));
  const keptCurrent = new Set(kept.map(([, index]) => index));
  const unmatched = new Map<string, number[]>();
  for (let index = start; index < baselineEnd; index += 1) {
    if (keptBaseline.has(index)) continue;
    const key = baseline[index] as string;
    const indexes = unmatched.get(key);
    if (indexes === undefined) unmatched.set(key, [index]);
    else indexes.push(index);
  }
  const moved: [number, number][] = [];
  const added: number[] = [];
  const movedBaseline = new Set<number>();
  const taken = new Map<string, number>();
  for (let index = start; index < currentEnd; index += 1) {
    if (keptCurrent.has(index)) continue;
    const key = current[index] as string;
    const next = taken.get(key) ?? 0;
    const from = unmatched.get(key)?.[next];
    if (from === undefined) {
      added.push(index);
    } else {
      taken.set(key, next + 1);
      movedBaseline.add(from);
      moved.push([from, index]);
    }
  }
  const removed: number[] = [];
  for (let index = start; index < baselineEnd; index += 1) {
    if (!keptBaseline.has(index) && !movedBaseline.has(index)) removed.push(index);
  }
  return { moved, removed, added };
}

/** Hunt and Szymanski: the longest increasing subsequence of match positions, exact while the matches are few. */
function longestCommonSubsequence(
  baseline: readonly string[],
  current: readonly string[],
  start: number,
  baselineEnd: number,
  currentEnd: number,
): [number, number][] {
  const positions = new Map<string, number[]>();
  for (let index = start; index < currentEnd; index += 1) {
    const key = current[index] as string;
    const list = positions.get(key);
    if (list === undefined) positions.set(key, [index]);
    else list.push(index);
  }
  let matchPairs = 0;
  for (let index = start; index < baselineEnd; index += 1) {
    matchPairs += positions.get(baseline[index] as string)?.length ?? 0;
  }
  const exact = matchPairs <= MATCH_PAIRS_MAX;
  const occurrence = new Map<string, number>();
  // tails[k] is the match that ends the best subsequence of length k + 1; each match remembers the one before it.
  const tailCurrent: number[] = [];
  const tailLink: number[] = [];
  const linkBaseline: number[] = [];
  const linkCurrent: number[] = [];
  const linkBefore: number[] = [];
  const offer = (baselineIndex: number, currentIndex: number): void => {
    let low = 0;
    let high = tailCurrent.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((tailCurrent[middle] as number) < currentIndex) low = middle + 1;
      else high = middle;
    }
    if (tailCurrent[low] === currentIndex) return;
    linkBaseline.push(baselineIndex);
    linkCurrent.push(currentIndex);
    linkBefore.push(low === 0 ? -1 : (tailLink[low - 1] as number));
    tailCurrent[low] = currentIndex;
    tailLink[low] = linkBaseline.length - 1;
  };
  for (let index = start; index < baselineEnd; index += 1) {
    const key = baseline[index] as string;
    const list = positions.get(key);
    if (list === undefined) continue;
    if (exact) {
      // Later positions first, so that one baseline item never follows itself in a subsequence.
      for (let at = list.length - 1; at >= 0; at -= 1) offer(index, list[at] as number);
    } else {
      const nth = occurrence.get(key) ?? 0;
      occurrence.set(key, nth + 1);
      const paired = list[nth];
      if (paired !== undefined) offer(index, paired);
    }
  }
  const pairs: [number, number][] = [];
  let link = tailLink[tailLink.length - 1] ?? -1;
  while (link !== -1) {
    pairs.push([linkBaseline[link] as number, linkCurrent[link] as number]);
    link = linkBefore[link] as number;
  }
  return pairs.reverse();
}
