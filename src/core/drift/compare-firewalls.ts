import { type AddressFamily, type Backend, FAMILY_OF_SOURCE } from '../capture/read-capture.ts';
import { printable } from '../diagnostics.ts';
import {
  type HostFirewall,
  type IptablesKey,
  type IptablesSource,
  iptablesFamily,
  savedTables,
} from '../host-firewall.ts';
import { parseIpsetSave } from '../ipset/index.ts';
import type { IptablesRuleset } from '../iptables/index.ts';
import {
  isIptablesName,
  isShownByIptablesSave,
  type NftRuleset,
  type NftTable,
  withoutTables,
} from '../nftables/index.ts';
import { type AssessedChange, documentFamilyDrift, type FamilyDrift } from './family-drift.ts';
import { assessIpsetDrift } from './ipset-drift.ts';
import { assessIptablesDrift } from './iptables-drift.ts';
import { assessNftablesDrift } from './nftables-drift.ts';
import { tellOnce } from './tell-once.ts';

export interface FirewallComparison {
  readonly families: Readonly<Record<string, FamilyDrift>>;
  /** What could not be compared, and why: never silently "no drift". */
  readonly uncompared: readonly string[];
}

/**
 * Compares what two captures of one host say its kernel enforces.
 *
 * Rulesets meet by (family, backend), not by the name they carry in documents: switching the default `iptables` from
 * legacy to nft renames them and changes no rule. A source that one side could not read is not compared, and said so;
 * one that a side has no tool for holds nothing there only by the kernel's word. The tables of iptables-nft are compared
 * as iptables-save shows them, where it did on both sides; else, and where it shows them in part, in nft's listing.
 */
export function compareFirewalls(baseline: HostFirewall, current: HostFirewall): FirewallComparison {
  const families = new Map<string, FamilyDrift>();
  const uncompared = new Set<string>();
  for (const [side, { unread }] of [
    ['baseline', baseline],
    ['current capture', current],
  ] as const) {
    for (const { source, reason } of unread) uncompared.add(`${source} could not be read in the ${side}: ${reason}`);
  }
  for (const source of ['nft', 'ipsets'] as const) {
    for (const [side, firewall, other] of [
      ['baseline', baseline, current],
      ['current capture', current, baseline],
    ] as const) {
      // Without the tool on both sides there is nothing to compare; coverage says what that means.
      if (!firewall.unseen.includes(source) || other[source] === null) continue;
      uncompared.add(`${source} could not be read in the ${side}: its tool was not installed`);
    }
  }
  const isRead = (source: 'nft' | 'ipsets'): boolean => isKnown(baseline, source) && isKnown(current, source);

  const iptables: { key: IptablesKey; family: 'ipv4' | 'ipv6'; backend: Backend; changes: AssessedChange[] }[] = [];
  const shownBySave = new Set<string>();
  const unsaved = new Set([...unsavedTables(baseline), ...unsavedTables(current)]);
  if (!isRead('nft'))
    for (const key of unsaved) uncompared.add(`${printable(key)}: iptables-save did not show this table`);
  for (const family of FAMILIES) {
    const sides = [baseline, current] as const;
    const bySave = sides.every((side) => isKnownBySave(side, family));
    if (bySave) shownBySave.add(family);
    else if (!isRead('nft') && !sides.some((side) => isUnread(side, family, 'nft'))) {
      if (sides.some((side) => find(side, family, 'nft') !== undefined)) {
        uncompared.add(`${family} rules of iptables-nft were read on one side only`);
      }
    }
    for (const backend of ['nft', 'legacy'] as const) {
      const [before, after] = [find(baseline, family, backend), find(current, family, backend)];
      const key = after?.key ?? before?.key;
      // What iptables-save did not show on both sides is compared in nft's listing, which does.
      if (key === undefined || (backend === 'nft' && !bySave)) continue;
      if (sides.some((side) => isUnread(side, family, backend))) continue;
      const ruleset = (source: IptablesSource | undefined): IptablesRuleset => {
        if (source === undefined) return noRules(family);
        return backend === 'nft' ? withoutUnsaved(source.ruleset, unsaved) : source.ruleset;
      };
      const changes = assessIptablesDrift(ruleset(before), ruleset(after)).filter(
        (change) => !isCutOff(change, before, after),
      );
      for (const [side, source] of [
        ['baseline', before],
        ['current capture', after],
      ] as const) {
        if (source?.isCut)
          uncompared.add(`${source.key} was cut off in the ${side}: what is missing there is not told`);
      }
      iptables.push({ key, family, backend, changes });
    }
  }
  let nft: AssessedChange[] | null = null;
  if (isRead('nft') && (baseline.nft !== null || current.nft !== null)) {
    const isShown = (table: NftTable): boolean => shownBySave.has(iptablesFamily(table) ?? '');
    // A table that iptables shows in part on one side is compared whole: its other rules did not come or go.
    const partly = new Set(unsaved);
    for (const ruleset of [baseline.nft, current.nft]) {
      for (const table of ruleset?.tables.values() ?? []) if (!isShownByIptablesSave(table)) partly.add(table.key);
    }
    for (const source of [...baseline.iptables, ...current.iptables]) {
      const last = source.isCut ? lastTable(source.ruleset) : undefined;
      if (last !== undefined) partly.add(`${nftFamilyOf(source.family)}/${last}`);
    }
    const listed = (ruleset: NftRuleset | null): NftRuleset =>
      ruleset === null ? NO_TABLES : withoutTables(ruleset, (table) => isShown(table) && !partly.has(table.key));
    nft = assessNftablesDrift(listed(baseline.nft), listed(current.nft));
  }
  for (const { key, family, backend, changes } of iptables) {
    const told = nft === null || backend === 'legacy' ? { iptables: changes, nft } : tellOnce(family, changes, nft);
    nft = told.nft;
    families.set(key, documentFamilyDrift(key, told.iptables));
  }
  if (nft !== null) families.set('nft', documentFamilyDrift('nft', nft));
  if (isRead('ipsets') && (baseline.ipsets !== null || current.ipsets !== null)) {
    const rulesets = current.iptables.map(({ ruleset }) => ruleset);
    const changes = assessIpsetDrift(baseline.ipsets ?? NO_SETS, current.ipsets ?? NO_SETS, rulesets);
    families.set('ipset', documentFamilyDrift('ipset', changes));
  }
  return { families: Object.fromEntries(families), uncompared: [...uncompared] };
}

const FAMILIES = ['ipv4', 'ipv6'] as const;

function find({ iptables }: HostFirewall, family: string, backend: string): IptablesSource | undefined {
  return iptables.find((source) => source.family === family && source.backend === backend);
}

function isUnread({ unread }: HostFirewall, family: AddressFamily, backend: Backend): boolean {
  return unread.some((one) => FAMILY_OF_SOURCE[one.source] === family && (one.backend ?? backend) === backend);
}

/** Whether a null of this side means that there is nothing. */
function isKnown({ unread, unseen, ...firewall }: HostFirewall, source: 'nft' | 'ipsets'): boolean {
  return !unread.some((one) => one.source === source) && (firewall[source] !== null || !unseen.includes(source));
}

/** Whether all that iptables-nft holds of a family is known without nft's listing: shown by iptables-save, or nothing. */
function isKnownBySave(side: HostFirewall, family: 'ipv4' | 'ipv6'): boolean {
  if (isUnread(side, family, 'nft')) return false;
  if (find(side, family, 'nft') !== undefined) return true;
  if (!isKnown(side, 'nft')) return side.readByNftSave.includes(family);
  const tables = [...(side.nft?.tables.values() ?? [])];
  return !tables.some((table) => iptablesFamily(table) === family && isIptablesName(table.name));
}

/** Tables in nft's listing that iptables-save passed over or never came to: their absence there is no removal. */
function unsavedTables(side: HostFirewall): string[] {
  const saved = savedTables(side);
  return [...(side.nft?.tables.values() ?? [])]
    .filter((table) => iptablesFamily(table) !== null && isIptablesName(table.name))
    .filter(({ key, chains }) => chains.size > 0 && !saved.has(key))
    .map(({ key }) => key);
}

function withoutUnsaved(ruleset: IptablesRuleset, unsaved: ReadonlySet<string>): IptablesRuleset {
  const family = nftFamilyOf(ruleset.family);
  const tables = [...ruleset.tables].filter(([name]) => !unsaved.has(`${family}/${name}`));
  return { ...ruleset, tables: new Map(tables) };
}

/** Whether a change is only that a text ended before it came to something. */
function isCutOff(
  { kind, table }: AssessedChange,
  before: IptablesSource | undefined,
  after: IptablesSource | undefined,
): boolean {
  const source = kind.endsWith('_removed') ? after : kind.endsWith('_added') ? before : undefined;
  if (!source?.isCut || table === null) return false;
  return !source.ruleset.tables.has(table) || table === lastTable(source.ruleset);
}

function lastTable({ tables }: IptablesRuleset): string | undefined {
  return [...tables.keys()].at(-1);
}

function nftFamilyOf(family: 'ipv4' | 'ipv6'): 'ip' | 'ip6' {
  return family === 'ipv4' ? 'ip' : 'ip6';
}

const NO_SETS = parseIpsetSave('').sets;
const NO_TABLES: NftRuleset = { metainfo: null, version: null, tables: new Map(), unparsed: [] };

function noRules(family: IptablesRuleset['family']): IptablesRuleset {
  return { family, tables: new Map(), unparsed: [] };
}
