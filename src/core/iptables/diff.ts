import { align } from '../sequence/align.ts';
import { GapPairs, NO_PAIRS } from './gap-pairs.ts';
import { ruleIdentity } from './identity.ts';
import type { Counter, IptablesChain, IptablesRule, IptablesRuleset, IptablesTable, UnparsedLine } from './model.ts';

/** One rule that is not where, or what, it was. Positions are 0-based. */
export type RuleChange =
  | { readonly kind: 'added'; readonly rule: IptablesRule; readonly index: number }
  | { readonly kind: 'removed'; readonly rule: IptablesRule; readonly index: number }
  | {
      readonly kind: 'moved';
      readonly before: IptablesRule;
      readonly after: IptablesRule;
      readonly fromIndex: number;
      readonly toIndex: number;
    }
  | {
      readonly kind: 'modified';
      readonly before: IptablesRule;
      readonly after: IptablesRule;
      readonly fromIndex: number;
      readonly toIndex: number;
      /** The fields that differ: `protocol`, `source`, `tcp.dport`, `target` … */
      readonly fields: readonly string[];
    };

/** The rules of a chain that both sides have. */
export interface ChainRulesDiff {
  readonly table: string;
  readonly chain: string;
  /** In the order of the current chain, the removed ones where they were. */
  readonly changes: readonly RuleChange[];
}

export interface PolicyChange {
  readonly table: string;
  readonly chain: string;
  /** null: the chain is user-defined on that side. */
  readonly before: string | null;
  readonly after: string | null;
}

export interface ChainPresence {
  readonly table: string;
  readonly chain: IptablesChain;
}

export interface CounterChange {
  readonly table: string;
  readonly chain: string;
  /** null: the counters of the policy. */
  readonly rule: IptablesRule | null;
  readonly index: number | null;
  readonly packetsBefore: Counter | null;
  readonly packetsAfter: Counter | null;
  readonly bytesBefore: Counter | null;
  readonly bytesAfter: Counter | null;
}

export interface IptablesDiff {
  readonly tablesAdded: readonly IptablesTable[];
  readonly tablesRemoved: readonly IptablesTable[];
  /** Chains of tables that both sides have, with their rules. */
  readonly chainsAdded: readonly ChainPresence[];
  readonly chainsRemoved: readonly ChainPresence[];
  readonly policyChanges: readonly PolicyChange[];
  /** Only chains whose rules differ. */
  readonly chains: readonly ChainRulesDiff[];
  readonly unparsedAdded: readonly UnparsedLine[];
  readonly unparsedRemoved: readonly UnparsedLine[];
  /** Only when asked for. */
  readonly counters: readonly CounterChange[];
}

export interface DiffOptions {
  /** Also list rules and policies that are the same but for their counters. */
  readonly counters?: boolean;
}

/**
 * What has to change to make `current` of `baseline`, by what the rules mean: counters and spelling are not looked at.
 *
 * Within a chain the fewest moves are found, equal rules are counted, and a rule that went while a near-equal one came
 * in its place is one modified rule. Time near-linear in the rules.
 */
export function diffRulesets(
  baseline: IptablesRuleset,
  current: IptablesRuleset,
  options: DiffOptions = {},
): IptablesDiff {
  const chainsAdded: ChainPresence[] = [];
  const chainsRemoved: ChainPresence[] = [];
  const policyChanges: PolicyChange[] = [];
  const chains: ChainRulesDiff[] = [];
  const counters: CounterChange[] = [];
  for (const [name, table] of baseline.tables) {
    const now = current.tables.get(name);
    if (now === undefined) continue;
    for (const [chainName, chain] of table.chains) {
      const chainNow = now.chains.get(chainName);
      if (chainNow === undefined) {
        chainsRemoved.push({ table: name, chain });
        continue;
      }
      if (chain.policy !== chainNow.policy) {
        policyChanges.push({ table: name, chain: chainName, before: chain.policy, after: chainNow.policy });
      }
      const { changes, kept } = diffRules(chain.rules, chainNow.rules);
      if (changes.length > 0) chains.push({ table: name, chain: chainName, changes });
      if (options.counters === true) diffCounters(name, chain, chainNow, kept, counters);
    }
    for (const [chainName, chain] of now.chains) {
      if (!table.chains.has(chainName)) chainsAdded.push({ table: name, chain });
    }
  }
  const tablesAdded = [...current.tables.values()].filter(({ name }) => !baseline.tables.has(name));
  const tablesRemoved = [...baseline.tables.values()].filter(({ name }) => !current.tables.has(name));
  return {
    tablesAdded,
    tablesRemoved,
    chainsAdded,
    chainsRemoved,
    policyChanges,
    chains,
    unparsedAdded: linesMissing(current.unparsed, baseline.unparsed),
    unparsedRemoved: linesMissing(baseline.unparsed, current.unparsed),
    counters,
  };
}

/** True when nothing differs that `diffRulesets` looks at; counters never count. */
export function isEmptyDiff(diff: IptablesDiff): boolean {
  return (
    diff.tablesAdded.length === 0 &&
    diff.tablesRemoved.length === 0 &&
    diff.chainsAdded.length === 0 &&
    diff.chainsRemoved.length === 0 &&
    diff.policyChanges.length === 0 &&
    diff.chains.length === 0 &&
    diff.unparsedAdded.length === 0 &&
    diff.unparsedRemoved.length === 0
  );
}

interface RulesDiff {
  readonly changes: readonly RuleChange[];
  readonly kept: readonly (readonly [number, number])[];
}

function diffRules(before: readonly IptablesRule[], after: readonly IptablesRule[]): RulesDiff {
  // Rules with the same text have the same identity: most of a chain is settled without reading it.
  let start = 0;
  while (start < before.length && start < after.length && before[start]?.text === after[start]?.text) start += 1;
  let beforeEnd = before.length;
  let afterEnd = after.length;
  while (beforeEnd > start && afterEnd > start && before[beforeEnd - 1]?.text === after[afterEnd - 1]?.text) {
    beforeEnd -= 1;
    afterEnd -= 1;
  }
  const kept: [number, number][] = [];
  for (let index = 0; index < start; index += 1) kept.push([index, index]);
  const changes: RuleChange[] = [];
  if (beforeEnd > start || afterEnd > start) {
    const alignment = align(
      before.slice(start, beforeEnd).map(ruleIdentity),
      after.slice(start, afterEnd).map(ruleIdentity),
    );
    const inner = alignment.kept.map(([from, to]): [number, number] => [from + start, to + start]);
    for (const pair of inner) kept.push(pair);
    for (const [from, to] of alignment.moved) {
      changes.push({
        kind: 'moved',
        before: before[from + start] as IptablesRule,
        after: after[to + start] as IptablesRule,
        fromIndex: from + start,
        toIndex: to + start,
      });
    }
    const removed = alignment.removed.map((index) => index + start);
    const added = alignment.added.map((index) => index + start);
    pairModified(before, after, inner, removed, added, changes);
  }
  for (let index = beforeEnd; index < before.length; index += 1) kept.push([index, index - beforeEnd + afterEnd]);
  changes.sort((a, b) => orderOf(a) - orderOf(b));
  return { changes, kept };
}

function orderOf(change: RuleChange): number {
  return change.kind === 'added' || change.kind === 'removed' ? change.index : change.toIndex;
}

/** Within each gap between kept rules, pairs what went with what came by how much they have in common. */
function pairModified(
  before: readonly IptablesRule[],
  after: readonly IptablesRule[],
  kept: readonly (readonly [number, number])[],
  removed: readonly number[],
  added: readonly number[],
  changes: RuleChange[],
): void {
  let gap = 0;
  let nextAdded = 0;
  let nextRemoved = 0;
  while (nextRemoved < removed.length || nextAdded < added.length) {
    const [beforeLimit, afterLimit] = kept[gap] ?? [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
    gap += 1;
    const went: number[] = [];
    const came: number[] = [];
    while (nextRemoved < removed.length && (removed[nextRemoved] as number) < beforeLimit) {
      went.push(removed[nextRemoved] as number);
      nextRemoved += 1;
    }
    while (nextAdded < added.length && (added[nextAdded] as number) < afterLimit) {
      came.push(added[nextAdded] as number);
      nextAdded += 1;
    }
    pairGap(before, after, went, came, changes);
  }
}

function pairGap(
  before: readonly IptablesRule[],
  after: readonly IptablesRule[],
  went: readonly number[],
  came: readonly number[],
  changes: RuleChange[],
): void {
  const pairs = went.length === 0 || came.length === 0 ? NO_PAIRS : new GapPairs(before, after, went, came).find();
  const taken = new Set<number>();
  for (const [nth, index] of went.entries()) {
    const rule = before[index] as IptablesRule;
    const pair = pairs.get(nth);
    if (pair === undefined) {
      changes.push({ kind: 'removed', rule, index });
      continue;
    }
    taken.add(pair.candidate);
    const toIndex = came[pair.candidate] as number;
    const now = after[toIndex] as IptablesRule;
    changes.push({ kind: 'modified', before: rule, after: now, fromIndex: index, toIndex, fields: pair.fields });
  }
  for (const [candidate, index] of came.entries()) {
    if (!taken.has(candidate)) changes.push({ kind: 'added', rule: after[index] as IptablesRule, index });
  }
}

function linesMissing(lines: readonly UnparsedLine[], others: readonly UnparsedLine[]): UnparsedLine[] {
  const counts = new Map<string, number>();
  const keyOf = ({ table, text }: UnparsedLine): string => `${table ?? ''}\n${text}`;
  for (const line of others) counts.set(keyOf(line), (counts.get(keyOf(line)) ?? 0) + 1);
  return lines.filter((line) => {
    const left = counts.get(keyOf(line)) ?? 0;
    counts.set(keyOf(line), left - 1);
    return left <= 0;
  });
}

function diffCounters(
  table: string,
  before: IptablesChain,
  after: IptablesChain,
  kept: readonly (readonly [number, number])[],
  counters: CounterChange[],
): void {
  const compare = (
    rule: IptablesRule | null,
    index: number | null,
    was: { packets: Counter | null; bytes: Counter | null },
    is: { packets: Counter | null; bytes: Counter | null },
  ): void => {
    if (was.packets === is.packets && was.bytes === is.bytes) return;
    counters.push({
      table,
      chain: after.name,
      rule,
      index,
      packetsBefore: was.packets,
      packetsAfter: is.packets,
      bytesBefore: was.bytes,
      bytesAfter: is.bytes,
    });
  };
  compare(null, null, before, after);
  for (const [from, to] of kept) {
    const now = after.rules[to] as IptablesRule;
    compare(now, to, before.rules[from] as IptablesRule, now);
  }
}
