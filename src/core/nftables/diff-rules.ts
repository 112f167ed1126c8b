import { type Alignment, align } from '../sequence/align.ts';
import { canonicalStatements } from './canonical.ts';
import type { NftChange } from './diff-model.ts';
import type { NftRule } from './model.ts';
import { canonicalAcrossVersions } from './versions.ts';

export interface RuleDiffContext {
  readonly table: string;
  readonly chain: string;
  /** The listings come from different nft versions. */
  readonly acrossVersions: boolean;
  /** All handles of the table are new: they say nothing. */
  readonly reloaded: boolean;
  readonly listRecreated: boolean;
}

/** How the rules of one chain became those of another, in the order of the positions of the current chain. */
export function diffRules(
  baseline: readonly NftRule[],
  current: readonly NftRule[],
  context: RuleDiffContext,
): NftChange[] {
  const { identities, handles, ...alignment } = alignRules(baseline, current, context);
  const { table, chain } = context;
  const changes: NftChange[] = [];
  const pair = (kind: 'rule_modified' | 'rule_repositioned' | 'rule_recreated', from: number, to: number): void => {
    changes.push({
      kind,
      table,
      chain,
      baselinePosition: from,
      currentPosition: to,
      before: baseline[from] as NftRule,
      after: current[to] as NftRule,
    });
  };
  for (const [from, to] of alignment.moved) pair('rule_repositioned', from, to);
  if (handles && context.listRecreated) {
    for (const [from, to] of recreated(baseline, current, alignment.kept)) pair('rule_recreated', from, to);
  }
  const modified = pairModified(baseline, current, identities, alignment, handles);
  const paired = { from: new Set<number>(), to: new Set<number>() };
  for (const [from, to] of modified) {
    pair('rule_modified', from, to);
    paired.from.add(from);
    paired.to.add(to);
  }
  for (const position of alignment.removed) {
    if (paired.from.has(position)) continue;
    changes.push({ kind: 'rule_removed', table, chain, position, rule: baseline[position] as NftRule });
  }
  for (const position of alignment.added) {
    if (paired.to.has(position)) continue;
    changes.push({ kind: 'rule_added', table, chain, position, rule: current[position] as NftRule });
  }
  return changes;
}

interface Identities {
  readonly baseline: readonly string[];
  readonly current: readonly string[];
}

function identitiesOf(baseline: readonly NftRule[], current: readonly NftRule[], acrossVersions: boolean): Identities {
  const strict = (rules: readonly NftRule[]): string[] => rules.map((rule) => rule.identity);
  const identities = { baseline: strict(baseline), current: strict(current) };
  if (!acrossVersions || sameList(identities.baseline, identities.current)) return identities;
  const loose = (rules: readonly NftRule[]): string[] =>
    rules.map(
      (rule) => rule.identity.slice(canonicalStatements(rule.expr).length) + canonicalAcrossVersions(rule.expr),
    );
  return { baseline: loose(baseline), current: loose(current) };
}

function sameList(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}

/** Every rule has a handle, and no two have the same. */
function haveHandles(rules: readonly NftRule[]): boolean {
  const seen = new Set<number>();
  for (const rule of rules) {
    if (rule.handle === null || seen.has(rule.handle)) return false;
    seen.add(rule.handle);
  }
  return true;
}

/**
 * Rules aligned by identity and comment; among rules that are equal in both, the handle decides which of them stayed,
 * unless more rules would have moved then: equal rules do not overtake each other.
 */
export function alignRules(
  baseline: readonly NftRule[],
  current: readonly NftRule[],
  context: Pick<RuleDiffContext, 'acrossVersions' | 'reloaded'>,
): Alignment & { readonly identities: Identities; readonly handles: boolean } {
  const identities = identitiesOf(baseline, current, context.acrossVersions);
  const handles = !context.reloaded && haveHandles(baseline) && haveHandles(current);
  return { ...alignBy(baseline, current, identities, handles), identities, handles };
}

function alignBy(
  baseline: readonly NftRule[],
  current: readonly NftRule[],
  identities: Identities,
  handles: boolean,
): Alignment {
  const withComment = (rules: readonly NftRule[], texts: readonly string[]): string[] =>
    texts.map((text, index) => {
      const comment = rules[index]?.comment ?? null;
      return comment === null ? text : `${text}#${comment}`;
    });
  const baselineKeys = withComment(baseline, identities.baseline);
  const currentKeys = withComment(current, identities.current);
  if (!handles || (!hasRepeats(baselineKeys) && !hasRepeats(currentKeys))) return align(baselineKeys, currentKeys);
  const keyOfHandle = new Map<number, string>();
  for (const [index, rule] of current.entries()) keyOfHandle.set(rule.handle as number, currentKeys[index] as string);
  const stayed = new Set<number>();
  for (const [index, rule] of baseline.entries()) {
    if (keyOfHandle.get(rule.handle as number) === baselineKeys[index]) stayed.add(rule.handle as number);
  }
  const repeated = new Set([...repeats(baselineKeys), ...repeats(currentKeys)]);
  const exact = (rules: readonly NftRule[], keys: readonly string[]): string[] =>
    keys.map((key, index) => {
      const handle = rules[index]?.handle as number;
      return repeated.has(key) && stayed.has(handle) ? `${key}#handle ${handle}` : key;
    });
  const byHandle = align(exact(baseline, baselineKeys), exact(current, currentKeys));
  if (byHandle.moved.length === 0) return byHandle;
  const byContent = align(baselineKeys, currentKeys);
  return byContent.moved.length < byHandle.moved.length ? byContent : byHandle;
}

function hasRepeats(keys: readonly string[]): boolean {
  return new Set(keys).size !== keys.length;
}

function repeats(keys: readonly string[]): Set<string> {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const key of keys) {
    if (seen.has(key)) twice.add(key);
    else seen.add(key);
  }
  return twice;
}

/** Kept rules with new handles; none where most of a longer chain has new ones: it was loaded again as a whole. */
function recreated(
  baseline: readonly NftRule[],
  current: readonly NftRule[],
  kept: readonly (readonly [number, number])[],
): (readonly [number, number])[] {
  const changed = kept.filter(([from, to]) => baseline[from]?.handle !== current[to]?.handle);
  return changed.length > 2 && changed.length * 2 > kept.length ? [] : changed;
}

/**
 * Pairs of a removed and an added rule that are one rule changed in place: the same handle; or, standing between the
 * same neighbours, the same statements with another comment; or, where handles say nothing, similar statements.
 */
function pairModified(
  baseline: readonly NftRule[],
  current: readonly NftRule[],
  identities: Identities,
  alignment: Alignment,
  handles: boolean,
): [number, number][] {
  if (alignment.removed.length === 0 || alignment.added.length === 0) return [];
  const pairs: [number, number][] = [];
  const removed = new Set(alignment.removed);
  const added = new Set(alignment.added);
  const take = (from: number, to: number): void => {
    pairs.push([from, to]);
    removed.delete(from);
    added.delete(to);
  };
  if (handles) {
    const byHandle = new Map<number, number>();
    for (const to of added) byHandle.set(current[to]?.handle as number, to);
    for (const from of [...removed]) {
      const to = byHandle.get(baseline[from]?.handle as number);
      if (to !== undefined) take(from, to);
    }
  }
  const gaps = new Map<number, { removed: number[]; added: number[] }>();
  const gapOf = gapCounter(alignment.kept);
  for (const from of removed) gapAt(gaps, gapOf.baseline(from)).removed.push(from);
  for (const to of added) gapAt(gaps, gapOf.current(to)).added.push(to);
  for (const gap of gaps.values()) {
    const byIdentity = new Map<string, number[]>();
    // Last first, so that the first one is taken from the end.
    for (const to of gap.added.toReversed()) {
      const list = byIdentity.get(identities.current[to] as string);
      if (list === undefined) byIdentity.set(identities.current[to] as string, [to]);
      else list.push(to);
    }
    for (const from of gap.removed) {
      const to = byIdentity.get(identities.baseline[from] as string)?.pop();
      if (to !== undefined) take(from, to);
    }
    if (handles) continue;
    const left = gap.removed.filter((from) => removed.has(from));
    const right = gap.added.filter((to) => added.has(to));
    if (left.length !== right.length) continue;
    for (const [index, from] of left.entries()) {
      const to = right[index] as number;
      if (isSimilar(baseline[from] as NftRule, current[to] as NftRule)) take(from, to);
    }
  }
  return pairs;
}

function gapAt(
  gaps: Map<number, { removed: number[]; added: number[] }>,
  gap: number,
): { removed: number[]; added: number[] } {
  const known = gaps.get(gap) ?? { removed: [], added: [] };
  gaps.set(gap, known);
  return known;
}

/** The number of kept rules before a position, on either side. Positions are asked in ascending order. */
function gapCounter(kept: readonly (readonly [number, number])[]): {
  baseline: (position: number) => number;
  current: (position: number) => number;
} {
  const counter = (side: 0 | 1) => {
    let count = 0;
    return (position: number): number => {
      while (count < kept.length && (kept[count] as readonly [number, number])[side] < position) count += 1;
      return count;
    };
  };
  return { baseline: counter(0), current: counter(1) };
}

/** At least half of the statements of the longer rule are in the other too, or one of them where it has two. */
function isSimilar(a: NftRule, b: NftRule): boolean {
  const texts = new Set(a.expr.map((statement) => canonicalStatements([statement])));
  const shared = b.expr.filter((statement) => texts.has(canonicalStatements([statement]))).length;
  return shared * 2 >= Math.max(a.expr.length, b.expr.length) && shared > 0;
}
