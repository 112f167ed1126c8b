import type { Coverage, CoverageReason } from './capture/coverage.ts';
import { detectFramework, type FrameworkVerdict, frameworkEvidence } from './capture/framework.ts';
import {
  type Backend,
  type CaptureContents,
  type CaptureHost,
  FAMILY_OF_SOURCE,
  readCapture,
  type Sources,
} from './capture/read-capture.ts';
import { type Diagnostic, printable } from './diagnostics.ts';
import { type IpsetCollection, parseIpsetSave } from './ipset/index.ts';
import { type IptablesRuleset, parseIptablesSave } from './iptables/index.ts';
import {
  isShownByIptablesSave,
  type NftRuleset,
  type NftTable,
  parseNftRuleset,
  usesXtables,
  withoutTables,
} from './nftables/index.ts';

/** An iptables ruleset of one family, as one backend holds it. */
export interface IptablesSource {
  /** Its name in documents: `ipv4`, `ipv6_legacy`, … */
  readonly key: IptablesKey;
  readonly family: 'ipv4' | 'ipv6';
  readonly backend: 'legacy' | 'nft';
  readonly ruleset: IptablesRuleset;
  /** True when the text ends inside a table: that one, and any after it, may hold more. */
  readonly isCut?: boolean;
}

export type SourceKey = keyof Sources;
export type IptablesKey = Exclude<SourceKey, 'nft' | 'ipsets'>;

export interface UnreadSource {
  readonly source: SourceKey;
  /** The iptables backend it speaks to: one source has two names, by what the default is. Null when not known. */
  readonly backend: Backend | null;
  readonly reason: string;
}

/** Everything a capture says of one host, parsed. */
export interface HostFirewall {
  readonly host: CaptureHost;
  readonly framework: FrameworkVerdict;
  readonly iptables: readonly IptablesSource[];
  /** All of `nft list ruleset`, iptables-nft's tables included; null when it was not read. */
  readonly nft: NftRuleset | null;
  readonly ipsets: IpsetCollection | null;
  readonly coverage: Coverage;
  /** Sources that could not be read, or not to their end: what must not be compared. */
  readonly unread: readonly UnreadSource[];
  /** Sources whose tool is not installed though the kernel can hold such rules or sets: nothing is known of them. */
  readonly unseen: readonly SourceKey[];
  /** Families of which iptables-nft-save, or the kernel, said what there is; `iptables` lists only what there is. */
  readonly readByNftSave: readonly IptablesSource['family'][];
  readonly diagnostics: readonly Diagnostic[];
}

const IPTABLES_KEYS = ['ipv4', 'ipv6', 'ipv4_legacy', 'ipv6_legacy', 'ipv4_nft', 'ipv6_nft'] as const;

/** Reads a verified capture's payload. Never throws: what cannot be read is in `unread` and `diagnostics`. */
export function readHostFirewall(payload: Uint8Array): HostFirewall {
  const captured = readCapture(payload);
  const diagnostics: Diagnostic[] = [...captured.diagnostics];
  const unread: UnreadSource[] = [];
  const text = (key: SourceKey): string | null => {
    const source = captured.sources[key];
    if (source?.status === 'failed') unread.push({ source: key, backend: source.backend, reason: source.detail });
    return source?.status === 'captured' ? source.text : null;
  };
  const faults: CoverageReason[] = [];
  const report = (source: SourceKey, said: readonly Diagnostic[]): void => {
    for (const diagnostic of said) diagnostics.push(diagnostic);
    const error = said.find(({ severity }) => severity === 'error');
    if (error === undefined) return;
    const fault = `${source} could not be read to its end: ${error.code}: ${error.message}`;
    faults.push({ text: fault, family: FAMILY_OF_SOURCE[source] });
    // Lines of iptables-save stand on their own, and what was read is worth comparing; half an nft listing is not.
    if (source === 'nft') unread.push({ source, backend: null, reason: `${error.code}: ${error.message}` });
  };
  const iptables: IptablesSource[] = [];
  for (const key of IPTABLES_KEYS) {
    const save = text(key);
    if (save === null) continue;
    const family = FAMILY_OF_SOURCE[key];
    const parsed = parseIptablesSave(save, { family });
    report(key, parsed.diagnostics);
    const backend = captured.sources[key]?.backend ?? 'legacy';
    const isCut = parsed.diagnostics.some(({ code }) => code === 'IPT_NO_COMMIT');
    iptables.push({ key, family, backend, ruleset: parsed.ruleset, isCut });
  }
  const listing = text('nft');
  const nft = listing === null ? null : parseNftRuleset(listing);
  report('nft', nft?.diagnostics ?? []);
  const ipsetText = text('ipsets');
  const ipsets = ipsetText === null ? null : parseIpsetSave(ipsetText);
  report('ipsets', ipsets?.diagnostics ?? []);
  for (const table of nft === null ? [] : withoutParameters(nft.ruleset, iptables)) {
    faults.push({
      text: `rules in ${printable(table.key)} have matches or targets of iptables, whose parameters nft does not list, and iptables-save did not show them`,
      family: iptablesFamily(table),
    });
  }
  return {
    host: captured.host,
    framework: detectFramework(frameworkEvidence(captured)),
    coverage: worsened(captured.coverage, faults),
    iptables,
    nft: nft?.ruleset ?? null,
    ipsets: ipsets?.sets ?? null,
    unread,
    readByNftSave: (['ipv4', 'ipv6'] as const).filter((family) => wasReadByNftSave(captured, family)),
    unseen: (['nft', 'ipsets'] as const).filter(
      (key) => captured.sources[key].status === 'absent' && captured.subsystems[key] !== 'not-loaded',
    ),
    diagnostics,
  };
}

function wasReadByNftSave({ sources, sections }: CaptureContents, family: IptablesSource['family']): boolean {
  const main = sources[family];
  const other = sources[`${family}_nft`];
  if (main.backend === 'nft') return main.status === 'captured' || main.status === 'skipped';
  if (other !== undefined) return other.status === 'captured';
  // An empty extra source is left out of the sources; one that failed is not.
  const name = `${family === 'ipv4' ? 'iptables' : 'ip6tables'}-nft-save`;
  return sections.some((section) => section.name === name && section.status !== 'absent');
}

/** The nft tables that no iptables source shows: an iptables-nft table appears once, under its iptables family. */
export function nativeNft(firewall: HostFirewall): NftRuleset | null {
  if (firewall.nft === null) return null;
  const saved = savedTables(firewall);
  return withoutTables(firewall.nft, (table) => saved.has(table.key) && isShownByIptablesSave(table));
}

/** The tables of nft, by `family/name`, that iptables-save showed, in full or in part. */
export function savedTables({ iptables }: Pick<HostFirewall, 'iptables'>): Set<string> {
  const keys = new Set<string>();
  for (const { family, backend, ruleset } of iptables) {
    if (backend !== 'nft') continue;
    for (const name of ruleset.tables.keys()) keys.add(`${family === 'ipv4' ? 'ip' : 'ip6'}/${name}`);
  }
  return keys;
}

/** The family whose iptables can show a table of nft; null for tables it never shows. */
export function iptablesFamily({ family }: NftTable): IptablesSource['family'] | null {
  return family === 'ip' ? 'ipv4' : family === 'ip6' ? 'ipv6' : null;
}

/** Tables with rules of iptables-nft that are known from nft's listing alone. */
function withoutParameters(nft: NftRuleset, iptables: readonly IptablesSource[]): NftTable[] {
  const saved = savedTables({ iptables });
  return [...nft.tables.values()].filter((table) => !saved.has(table.key) && usesXtables(table));
}

/** What cannot be read to its end is no complete coverage, however well its bytes arrived. */
function worsened(coverage: Coverage, faults: readonly CoverageReason[]): Coverage {
  if (faults.length === 0) return coverage;
  return {
    state: coverage.state === 'complete' ? 'partial' : coverage.state,
    reasons: [...coverage.reasons, ...faults],
  };
}
