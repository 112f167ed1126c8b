import type { Coverage } from './capture/coverage.ts';
import { detectFramework, type FrameworkVerdict, frameworkEvidence } from './capture/framework.ts';
import { type CaptureHost, readCapture, type Sources } from './capture/read-capture.ts';
import type { Diagnostic } from './diagnostics.ts';
import { type IpsetCollection, parseIpsetSave } from './ipset/index.ts';
import { type IptablesRuleset, parseIptablesSave } from './iptables/index.ts';
import { isIptablesOwnedTable, type NftRuleset, parseNftRuleset, withoutTables } from './nftables/index.ts';

/** An iptables ruleset of one family, as one backend holds it. */
export interface IptablesSource {
  /** Its name in documents: `ipv4`, `ipv6_legacy`, … */
  readonly key: IptablesKey;
  readonly family: 'ipv4' | 'ipv6';
  readonly backend: 'legacy' | 'nft';
  readonly ruleset: IptablesRuleset;
}

export type SourceKey = keyof Sources;
export type IptablesKey = Exclude<SourceKey, 'nft' | 'ipsets'>;

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
  readonly unread: readonly { readonly source: SourceKey; readonly reason: string }[];
  readonly diagnostics: readonly Diagnostic[];
}

const IPTABLES_KEYS: readonly IptablesKey[] = ['ipv4', 'ipv6', 'ipv4_legacy', 'ipv6_legacy', 'ipv4_nft', 'ipv6_nft'];

/** Reads a verified capture's payload. Never throws: what cannot be read is in `unread` and `diagnostics`. */
export function readHostFirewall(payload: Uint8Array): HostFirewall {
  const captured = readCapture(payload);
  const diagnostics: Diagnostic[] = [...captured.diagnostics];
  const unread: { source: SourceKey; reason: string }[] = [];
  const text = (key: SourceKey): string | null => {
    const source = captured.sources[key];
    if (source?.status === 'failed') unread.push({ source: key, reason: source.detail });
    return source?.status === 'captured' ? source.text : null;
  };
  const faults: string[] = [];
  const report = (source: SourceKey, said: readonly Diagnostic[]): void => {
    for (const diagnostic of said) diagnostics.push(diagnostic);
    const error = said.find(({ severity }) => severity === 'error');
    if (error === undefined) return;
    faults.push(`${source} could not be read to its end: ${error.code}: ${error.message}`);
    // Lines of iptables-save stand on their own, and what was read is worth comparing; half an nft listing is not.
    if (source === 'nft') unread.push({ source, reason: `${error.code}: ${error.message}` });
  };
  const iptables: IptablesSource[] = [];
  for (const key of IPTABLES_KEYS) {
    const save = text(key);
    if (save === null) continue;
    const family = key.startsWith('ipv4') ? 'ipv4' : 'ipv6';
    const parsed = parseIptablesSave(save, { family });
    report(key, parsed.diagnostics);
    iptables.push({ key, family, backend: captured.sources[key]?.backend ?? 'legacy', ruleset: parsed.ruleset });
  }
  const listing = text('nft');
  const nft = listing === null ? null : parseNftRuleset(listing);
  report('nft', nft?.diagnostics ?? []);
  const ipsetText = text('ipsets');
  const ipsets = ipsetText === null ? null : parseIpsetSave(ipsetText);
  report('ipsets', ipsets?.diagnostics ?? []);
  return {
    host: captured.host,
    framework: detectFramework(frameworkEvidence(captured)),
    coverage: worsened(captured.coverage, faults),
    iptables,
    nft: nft?.ruleset ?? null,
    ipsets: ipsets?.sets ?? null,
    unread,
    diagnostics,
  };
}

/** The nft tables that no iptables source shows: an iptables-nft table appears once, under its iptables family. */
export function nativeNft(firewall: HostFirewall): NftRuleset | null {
  if (firewall.nft === null) return null;
  const shown = new Set(firewall.iptables.filter(({ backend }) => backend === 'nft').map(({ family }) => family));
  return withoutTables(firewall.nft, (table) => {
    const family = table.family === 'ip' ? 'ipv4' : table.family === 'ip6' ? 'ipv6' : null;
    return family !== null && shown.has(family) && isIptablesOwnedTable(table);
  });
}

/** What cannot be read to its end is no complete coverage, however well its bytes arrived. */
function worsened(coverage: Coverage, faults: readonly string[]): Coverage {
  if (faults.length === 0) return coverage;
  return {
    state: coverage.state === 'complete' ? 'partial' : coverage.state,
    reasons: [...coverage.reasons, ...faults],
  };
}
