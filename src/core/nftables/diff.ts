import type { Json, JsonObject } from '../json.ts';
import { canonicalValue, flatText } from './canonical.ts';
import type { AttributeChange, DiffOptions, NftChange, NftDiff } from './diff-model.ts';
import { diffRules } from './diff-rules.ts';
import { diffElements } from './diff-sets.ts';
import type { NftChain, NftObject, NftRuleset, NftSet, NftTable } from './model.ts';
import { filledByRules } from './references.ts';
import { canonicalType, compareVersions, sameTypeAcrossVersions } from './versions.ts';

/**
 * What changed from a baseline to a later listing. Empty for listings of the same kernel state, whenever and by
 * whichever nft version they were taken: handles, counter values, expiry times and elements that packets put into sets
 * are no differences, and neither is the order of anything but rules.
 *
 * A rule that was only deleted and added again is listed as `rule_recreated`, unless its whole chain or table was: then
 * it was a reload. An ingress chain whose listing has no device (nft before 1.0.8) is `recreated` when its handle
 * changed in a table that was not reloaded: nothing else tells that it was moved to another device.
 *
 * Time: linear in the listings' size, but for the rules of chains that changed (see `align`).
 */
export function diffRulesets(baseline: NftRuleset, current: NftRuleset, options: DiffOptions = {}): NftDiff {
  const changes: NftChange[] = [];
  const age = compareVersions(baseline.version, current.version);
  const context = {
    age,
    listRecreated: options.recreated ?? true,
    allReloaded: allTablesReloaded(baseline, current),
  };
  for (const [key, before] of baseline.tables) {
    const after = current.tables.get(key);
    if (after === undefined) changes.push({ kind: 'table_removed', table: before });
    else diffTable(before, after, context, changes);
  }
  for (const [key, table] of current.tables) {
    if (!baseline.tables.has(key)) changes.push({ kind: 'table_added', table });
  }
  diffUnparsed(baseline.unparsed, current.unparsed, changes);
  return { changes };
}

interface DiffContext {
  /** Below 0 where the baseline was listed by the older nft, 0 by the same one. */
  readonly age: number;
  readonly listRecreated: boolean;
  /** Every table has a new handle: the whole ruleset was loaded again. */
  readonly allReloaded: boolean;
}

function diffTable(before: NftTable, after: NftTable, diff: DiffContext, changes: NftChange[]): void {
  const { age, listRecreated } = diff;
  const table = before.key;
  const late = lateAttributes(before.raw, after.raw, age, TABLE_LATE);
  const attributes = diffAttributes(tableAttributes(before), tableAttributes(after), late);
  if (attributes.length > 0) changes.push({ kind: 'table_changed', table, attributes, before, after });

  // After a reboot a table may get the handle it had, so its rules are asked too.
  const isRemade = before.handle !== null && after.handle !== null && before.handle !== after.handle;
  const reloaded = isRemade || haveNewHandles(before, after);
  for (const [name, chain] of before.chains) {
    const chainAfter = after.chains.get(name);
    if (chainAfter === undefined) {
      changes.push({ kind: 'chain_removed', table, chain });
      continue;
    }
    const chainAttributes = diffChain(
      chain,
      chainAfter,
      age,
      !diff.allReloaded && (isRemade || (!reloaded && hasNewHandle(chain, chainAfter))),
    );
    if (chainAttributes.length > 0) {
      changes.push({ kind: 'chain_changed', table, attributes: chainAttributes, before: chain, after: chainAfter });
    }
    const context = { table, chain: name, acrossVersions: age !== 0, reloaded, listRecreated };
    for (const change of diffRules(chain.rules, chainAfter.rules, context)) changes.push(change);
  }
  for (const [name, chain] of after.chains) {
    if (!before.chains.has(name)) changes.push({ kind: 'chain_added', table, chain });
  }
  diffSets(before, after, age, changes);
  diffObjects(table, before.flowtables, after.flowtables, changes);
  diffObjects(table, before.objects, after.objects, changes);
}

function tableAttributes(table: NftTable): Map<string, Json> {
  const attributes = attributesOf(table.raw, TABLE_PLACE);
  attributes.delete('flags');
  if (table.flags.length > 0) attributes.set('flags', [...table.flags].map(readableFlag).sort());
  return attributes;
}

/** What nft 1.0.6 prints as garbage is a flag of its own; in practice it is the only one people set: dormant. */
function readableFlag(flag: string): string {
  return flag === 'unreadable' ? 'dormant' : flag;
}

const TABLE_PLACE: ReadonlySet<string> = new Set(['family', 'name', 'handle']);
const CHAIN_PLACE: ReadonlySet<string> = new Set(['family', 'table', 'name', 'handle']);

/** Attributes that listings of older versions leave out, though the kernel has them. */
const TABLE_LATE = ['comment'];
const CHAIN_LATE = ['dev', 'comment'];
const SET_LATE = ['auto-merge', 'comment', 'size'];

function diffChain(before: NftChain, after: NftChain, age: number, isRemade: boolean): AttributeChange[] {
  const late = lateAttributes(before.raw, after.raw, age, CHAIN_LATE);
  const attributes = diffAttributes(chainAttributes(before), chainAttributes(after), late);
  const hidesDevices = before.devices.length === 0 && after.devices.length === 0;
  const takesDevices = after.hook === 'ingress' || after.hook === 'egress';
  if (isRemade && hidesDevices && takesDevices) {
    attributes.push({ name: 'recreated', before: before.handle ?? 0, after: after.handle ?? 0 });
  }
  return attributes;
}

function hasNewHandle(before: NftChain, after: NftChain): boolean {
  return before.handle !== null && after.handle !== null && before.handle !== after.handle;
}

function allTablesReloaded(baseline: NftRuleset, current: NftRuleset): boolean {
  if (baseline.tables.size < 2) return false;
  return [...baseline.tables].every(([key, table]) => table.handle !== current.tables.get(key)?.handle);
}

function chainAttributes(chain: NftChain): Map<string, Json> {
  const attributes = attributesOf(chain.raw, CHAIN_PLACE);
  if (chain.devices.length > 0) attributes.set('dev', [...chain.devices].sort());
  // A base chain without a policy accepts; some listings leave the word out.
  if (chain.isBaseChain && chain.policy === null) attributes.set('policy', 'accept');
  if (attributes.get('comment') === '') attributes.delete('comment');
  return attributes;
}

function lateAttributes(
  before: JsonObject,
  after: JsonObject,
  age: number,
  late: readonly string[],
): readonly string[] {
  if (age === 0) return [];
  const older = age < 0 ? before : after;
  return late.filter((name) => !(name in older));
}

/** Whether most rules of a table that are still there have other handles: it was loaded anew as a whole. */
function haveNewHandles(before: NftTable, after: NftTable): boolean {
  let same = 0;
  let other = 0;
  for (const [name, chain] of before.chains) {
    const now = after.chains.get(name);
    if (now === undefined) continue;
    const handles = new Map<string, number | null>();
    for (const rule of now.rules) handles.set(rule.identity, rule.handle);
    for (const rule of chain.rules) {
      const handle = handles.get(rule.identity);
      if (handle === undefined || handle === null || rule.handle === null) continue;
      if (handle === rule.handle) same += 1;
      else other += 1;
    }
  }
  return other > 2 && other > same;
}

function diffSets(before: NftTable, after: NftTable, age: number, changes: NftChange[]): void {
  const table = before.key;
  if (before.sets.size === 0 && after.sets.size === 0) return;
  const filled = new Set([...filledByRules(before), ...filledByRules(after)]);
  for (const [name, set] of before.sets) {
    const now = after.sets.get(name);
    if (now === undefined) {
      // 1.0 does not list the set behind a meter.
      if (age <= 0 || !filled.has(name)) changes.push({ kind: 'set_removed', table, set });
      continue;
    }
    const moving = filled.has(name) || set.flags.includes('dynamic') || now.flags.includes('dynamic');
    const attributes = diffSetAttributes(set, now, age);
    if (age === 0 && !moving) attributes.push(...diffCount(set, now));
    const elements = moving ? { added: [], removed: [], changed: [] } : diffElements(set, now);
    if (attributes.length + elements.added.length + elements.removed.length + elements.changed.length === 0) continue;
    changes.push({
      kind: 'set_changed',
      table,
      attributes,
      elementsAdded: elements.added,
      elementsRemoved: elements.removed,
      elementsChanged: elements.changed,
      before: set,
      after: now,
    });
  }
  for (const [name, set] of after.sets) {
    if (before.sets.has(name)) continue;
    if (age >= 0 || !filled.has(name)) changes.push({ kind: 'set_added', table, set });
  }
}

function diffSetAttributes(before: NftSet, after: NftSet, age: number): AttributeChange[] {
  const late = [...lateAttributes(before.raw, after.raw, age, SET_LATE)];
  for (const name of ['type', 'map']) {
    if (age !== 0 && sameTypeAcrossVersions(before.raw[name], after.raw[name])) late.push(name);
  }
  const attributes = diffAttributes(setAttributes(before, age), setAttributes(after, age), late);
  if (before.kind !== after.kind) attributes.push({ name: 'kind', before: before.kind, after: after.kind });
  return attributes;
}

function setAttributes(set: NftSet, age: number): Map<string, Json> {
  const attributes = attributesOf(set.raw, CHAIN_PLACE);
  attributes.delete('flags');
  attributes.delete(COUNT);
  // 1.0 does not print `dynamic`.
  const flags = set.flags.filter((flag) => age === 0 || flag !== 'dynamic').sort();
  if (flags.length > 0) attributes.set('flags', flags);
  return attributes;
}

/**
 * How many elements a set has, as nft prints it of sets with a size since 2026: of a terse listing, the only sign that
 * some came or went. Where elements are listed they say it, and where they expire it moves by itself.
 */
function diffCount(before: NftSet, after: NftSet): AttributeChange[] {
  const told = [before, after].some((set) => set.elements.length > 0 || set.flags.includes('timeout'));
  const [old = 0, now = 0] = [before.raw[COUNT], after.raw[COUNT]];
  return told || old === now ? [] : [{ name: COUNT, before: before.raw[COUNT], after: after.raw[COUNT] }];
}

const COUNT = 'count';

/** Values that move by themselves, by type of object. */
const OBJECT_MOVING: ReadonlyMap<string, readonly string[]> = new Map([
  ['counter', ['packets', 'bytes']],
  ['quota', ['used']],
]);

function diffObjects(
  table: string,
  baseline: ReadonlyMap<string, NftObject>,
  current: ReadonlyMap<string, NftObject>,
  changes: NftChange[],
): void {
  for (const [key, before] of baseline) {
    const after = current.get(key);
    if (after === undefined) {
      changes.push({ kind: 'object_removed', table, object: before });
      continue;
    }
    const place = new Set([...CHAIN_PLACE, ...(OBJECT_MOVING.get(before.type) ?? [])]);
    const attributes = diffAttributes(attributesOf(before.raw, place), attributesOf(after.raw, place), []);
    if (attributes.length > 0) changes.push({ kind: 'object_changed', table, attributes, before, after });
  }
  for (const [key, object] of current) {
    if (!baseline.has(key)) changes.push({ kind: 'object_added', table, object });
  }
}

function attributesOf(raw: JsonObject, except: ReadonlySet<string>): Map<string, Json> {
  return new Map(Object.entries(raw).filter(([name]) => !except.has(name)));
}

const UNORDERED: ReadonlySet<string> = new Set(['dev', 'flags']);

function diffAttributes(
  before: ReadonlyMap<string, Json>,
  after: ReadonlyMap<string, Json>,
  ignored: readonly string[],
): AttributeChange[] {
  const changes: AttributeChange[] = [];
  for (const name of new Set([...before.keys(), ...after.keys()])) {
    if (ignored.includes(name)) continue;
    const old = before.get(name);
    const now = after.get(name);
    if (old !== undefined && now !== undefined && sameAttribute(name, old, now)) continue;
    changes.push({ name, before: old, after: now });
  }
  return changes;
}

function sameAttribute(name: string, a: Json, b: Json): boolean {
  if (a === b) return true;
  if (name === 'type' || name === 'map') return canonicalType(a) === canonicalType(b);
  if (UNORDERED.has(name)) return canonicalValue({ flags: a }) === canonicalValue({ flags: b });
  // `stmt` is a list of statements: as a member its counters are told from their values.
  return canonicalValue({ [name]: a, '': null }) === canonicalValue({ [name]: b, '': null });
}

function diffUnparsed(baseline: readonly Json[], current: readonly Json[], changes: NftChange[]): void {
  const counts = new Map<string, number>();
  const textOf = (item: Json): string => (typeof item === 'string' ? item : flatText(item));
  for (const item of baseline) counts.set(textOf(item), (counts.get(textOf(item)) ?? 0) + 1);
  for (const item of current) {
    const count = counts.get(textOf(item)) ?? 0;
    if (count > 0) counts.set(textOf(item), count - 1);
    else changes.push({ kind: 'unparsed_added', item });
  }
  for (const item of baseline) {
    const count = counts.get(textOf(item)) ?? 0;
    if (count === 0) continue;
    counts.set(textOf(item), count - 1);
    changes.push({ kind: 'unparsed_removed', item });
  }
}
