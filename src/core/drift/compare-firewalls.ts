import { type HostFirewall, type IptablesSource, nativeNft } from '../host-firewall.ts';
import { parseIpsetSave } from '../ipset/index.ts';
import type { IptablesRuleset } from '../iptables/index.ts';
import type { NftRuleset } from '../nftables/index.ts';
import { documentFamilyDrift, type FamilyDrift } from './family-drift.ts';
import { assessIpsetDrift } from './ipset-drift.ts';
import { assessIptablesDrift } from './iptables-drift.ts';
import { assessNftablesDrift } from './nftables-drift.ts';

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
 * a source that a side has no tool for holds no rules there.
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
  const unreadSources = new Set([...baseline.unread, ...current.unread].map(({ source }) => source));
  const wholeNft =
    iptablesNftShown(baseline) !== iptablesNftShown(current) && baseline.nft !== null && current.nft !== null;

  for (const [family, backend] of BACKENDS) {
    const before = find(baseline, family, backend);
    const after = find(current, family, backend);
    const key = after?.key ?? before?.key;
    // iptables-save was there on one side only: both sides' nft listings show these tables, and are compared whole.
    if (key === undefined || (backend === 'nft' && wholeNft)) continue;
    if (unreadSources.has(key)) continue;
    const changes = assessIptablesDrift(before?.ruleset ?? noRules(family), after?.ruleset ?? noRules(family));
    families.set(key, documentFamilyDrift(key, changes));
  }
  if (!unreadSources.has('nft') && (baseline.nft !== null || current.nft !== null)) {
    const before = (wholeNft ? baseline.nft : nativeNft(baseline)) ?? NO_TABLES;
    const after = (wholeNft ? current.nft : nativeNft(current)) ?? NO_TABLES;
    families.set('nft', documentFamilyDrift('nft', assessNftablesDrift(before, after)));
  }
  if (!unreadSources.has('ipsets') && (baseline.ipsets !== null || current.ipsets !== null)) {
    const rulesets = current.iptables.map(({ ruleset }) => ruleset);
    const changes = assessIpsetDrift(baseline.ipsets ?? NO_SETS, current.ipsets ?? NO_SETS, rulesets);
    families.set('ipset', documentFamilyDrift('ipset', changes));
  }
  return { families: Object.fromEntries(families), uncompared: [...uncompared] };
}

const BACKENDS = [
  ['ipv4', 'nft'],
  ['ipv4', 'legacy'],
  ['ipv6', 'nft'],
  ['ipv6', 'legacy'],
] as const;

function find({ iptables }: HostFirewall, family: string, backend: string): IptablesSource | undefined {
  return iptables.find((source) => source.family === family && source.backend === backend);
}

function iptablesNftShown({ iptables }: HostFirewall): boolean {
  return iptables.some(({ backend }) => backend === 'nft');
}

const NO_SETS = parseIpsetSave('').sets;
const NO_TABLES: NftRuleset = { metainfo: null, version: null, tables: new Map(), unparsed: [] };

function noRules(family: IptablesRuleset['family']): IptablesRuleset {
  return { family, tables: new Map(), unparsed: [] };
}
