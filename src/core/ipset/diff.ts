import type { Ipset, IpsetCollection, IpsetEntry, IpsetOption } from './model.ts';

export interface IpsetOptionChange {
  readonly name: string;
  /** null: absent; a flag that is there is ''. */
  readonly before: string | null;
  readonly after: string | null;
}

export interface IpsetEntryChange {
  readonly before: IpsetEntry;
  readonly after: IpsetEntry;
  readonly options: readonly IpsetOptionChange[];
}

/** A set that both sides have. */
export interface IpsetChange {
  readonly before: Ipset;
  readonly after: Ipset;
  /** A set of another type is another set, whatever its name. */
  readonly typeChanged: boolean;
  readonly options: readonly IpsetOptionChange[];
  readonly entriesAdded: readonly IpsetEntry[];
  readonly entriesRemoved: readonly IpsetEntry[];
  readonly entriesChanged: readonly IpsetEntryChange[];
  /** list:set only: the same members in another order, and the first that matches decides. */
  readonly reordered: boolean;
}

export interface IpsetDiff {
  readonly setsAdded: readonly Ipset[];
  readonly setsRemoved: readonly Ipset[];
  /** Only sets that differ. */
  readonly setsChanged: readonly IpsetChange[];
  readonly unparsedAdded: readonly string[];
  readonly unparsedRemoved: readonly string[];
}

/** Sizing and seed: chosen by the kernel as a set grows or is made again, and without effect on what it matches. */
const SIZING: ReadonlySet<string> = new Set(['hashsize', 'initval', 'bucketsize']);
/** Of an entry: these move by themselves. That a timeout is there matters, the number does not. */
const COUNTERS: ReadonlySet<string> = new Set(['packets', 'bytes']);

/**
 * What differs between two `ipset save` outputs: members by hash, so in linear time. Hash size, seed, counters and the
 * seconds left of a timeout are not looked at.
 */
export function diffIpsets(baseline: IpsetCollection, current: IpsetCollection): IpsetDiff {
  const setsChanged: IpsetChange[] = [];
  for (const [name, before] of baseline.sets) {
    const after = current.sets.get(name);
    if (after === undefined) continue;
    const change = diffSet(before, after);
    if (change !== null) setsChanged.push(change);
  }
  return {
    setsAdded: [...current.sets.values()].filter(({ name }) => !baseline.sets.has(name)),
    setsRemoved: [...baseline.sets.values()].filter(({ name }) => !current.sets.has(name)),
    setsChanged,
    unparsedAdded: missingFrom(current.unparsed, baseline.unparsed),
    unparsedRemoved: missingFrom(baseline.unparsed, current.unparsed),
  };
}

/** True when nothing differs that `diffIpsets` looks at. */
export function isEmptyIpsetDiff(diff: IpsetDiff): boolean {
  return (
    diff.setsAdded.length === 0 &&
    diff.setsRemoved.length === 0 &&
    diff.setsChanged.length === 0 &&
    diff.unparsedAdded.length === 0 &&
    diff.unparsedRemoved.length === 0
  );
}

function diffSet(before: Ipset, after: Ipset): IpsetChange | null {
  const typeChanged = before.type !== after.type;
  const options = diffOptions(before.options, after.options, setOptionValue);
  const entriesAdded: IpsetEntry[] = [];
  const entriesRemoved: IpsetEntry[] = [];
  const entriesChanged: IpsetEntryChange[] = [];
  for (const [member, entry] of before.entries) {
    const now = after.entries.get(member);
    if (now === undefined) {
      entriesRemoved.push(entry);
      continue;
    }
    if (entry.options.length === 0 && now.options.length === 0) continue;
    const changed = diffOptions(entry.options, now.options, entryOptionValue);
    if (changed.length > 0) entriesChanged.push({ before: entry, after: now, options: changed });
  }
  for (const [member, entry] of after.entries) if (!before.entries.has(member)) entriesAdded.push(entry);
  const same = entriesAdded.length === 0 && entriesRemoved.length === 0;
  const reordered = same && before.type.startsWith('list:') && !sameOrder(before, after);
  if (!typeChanged && !reordered && same && options.length === 0 && entriesChanged.length === 0) return null;
  return { before, after, typeChanged, options, entriesAdded, entriesRemoved, entriesChanged, reordered };
}

function sameOrder(before: Ipset, after: Ipset): boolean {
  const members = after.entries.keys();
  for (const member of before.entries.keys()) if (members.next().value !== member) return false;
  return true;
}

/** What an option says for the comparison; null leaves it out. */
type OptionValue = (option: IpsetOption) => string | null;

const setOptionValue: OptionValue = (option) => (SIZING.has(option.name) ? null : (option.value ?? ''));

const entryOptionValue: OptionValue = (option) => {
  if (COUNTERS.has(option.name)) return null;
  // 0 is "for ever"; any other number only counts down.
  if (option.name === 'timeout') return option.value === '0' ? 'permanent' : 'expires';
  return option.value ?? '';
};

function diffOptions(
  before: readonly IpsetOption[],
  after: readonly IpsetOption[],
  optionValue: OptionValue,
): IpsetOptionChange[] {
  const left = optionMap(before, optionValue);
  const right = optionMap(after, optionValue);
  const changes: IpsetOptionChange[] = [];
  for (const [name, value] of left) {
    const now = right.get(name) ?? null;
    if (now !== value) changes.push({ name, before: value, after: now });
  }
  for (const [name, value] of right) if (!left.has(name)) changes.push({ name, before: null, after: value });
  return changes;
}

function optionMap(options: readonly IpsetOption[], optionValue: OptionValue): Map<string, string> {
  const map = new Map<string, string>();
  for (const option of options) {
    const value = optionValue(option);
    if (value !== null) map.set(option.name, value);
  }
  return map;
}

function missingFrom(lines: readonly string[], others: readonly string[]): string[] {
  const counts = new Map<string, number>();
  for (const line of others) counts.set(line, (counts.get(line) ?? 0) + 1);
  return lines.filter((line) => {
    const left = counts.get(line) ?? 0;
    counts.set(line, left - 1);
    return left <= 0;
  });
}
