import type { Json, JsonObject } from '../json.ts';
import { isJsonArray, isJsonObject } from '../json.ts';
import type { Backend, CaptureContents, Source } from './read-capture.ts';

export type Framework = 'iptables-legacy' | 'iptables-nft' | 'nftables' | 'mixed' | 'unknown';

/** What speaks for one framework or another. Table keys are `family/name`, as `ip/filter` or `inet/firewalld`. */
export interface FrameworkEvidence {
  /** Backend of the host's `iptables`; null without one. */
  readonly ipv4Backend: Backend | null;
  readonly ipv6Backend: Backend | null;
  readonly iptablesVersion: string | null;
  readonly nftVersion: string | null;
  readonly alternative: string | null;
  /** Legacy tables with a rule or a policy other than ACCEPT. */
  readonly legacyTables: readonly string[];
  /** Legacy tables that exist and do nothing: loaded by somebody's `iptables-legacy -L`. */
  readonly idleLegacyTables: readonly string[];
  /** Tables of iptables-nft (arptables-nft, ebtables-nft) with a rule or a policy other than accept. */
  readonly iptablesNftTables: readonly string[];
  /** Tables made with nft itself that hold a rule or a policy other than accept. */
  readonly nativeNftTables: readonly string[];
  /** Sources that could not be read: what they hold is not known. */
  readonly unread: readonly string[];
}

export interface FrameworkVerdict {
  readonly framework: Framework;
  /** `high`: rules were seen and everything was read; `medium`: one of the two; `low`: neither. */
  readonly confidence: 'high' | 'medium' | 'low';
  readonly evidence: readonly string[];
  readonly warnings: readonly string[];
}

/** Which framework is in force, judged by which backends hold rules; versions and links decide only where none does. */
export function detectFramework(evidence: FrameworkEvidence): FrameworkVerdict {
  const inForce: [Framework, readonly string[]][] = (
    [
      ['iptables-legacy', evidence.legacyTables],
      ['iptables-nft', evidence.iptablesNftTables],
      ['nftables', evidence.nativeNftTables],
    ] as [Framework, readonly string[]][]
  ).filter(([, tables]) => tables.length > 0);

  const lines = inForce.map(([framework, tables]) => `${framework} holds rules in ${tables.join(', ')}`);
  if (inForce.length === 0) lines.push('no backend holds a rule or a policy other than accept');
  if (evidence.iptablesVersion !== null) {
    lines.push(`iptables ${evidence.iptablesVersion} speaks to ${evidence.ipv4Backend ?? 'an unknown backend'}`);
  }
  if (evidence.alternative !== null) lines.push(`the iptables command is ${evidence.alternative}`);
  if (evidence.nftVersion !== null) lines.push(`nft ${evidence.nftVersion} is installed`);

  const [only] = inForce;
  const framework = inForce.length > 1 ? 'mixed' : (only?.[0] ?? installedFramework(evidence));
  const isAllRead = evidence.unread.length === 0;
  const isSeen = inForce.length > 0;
  const confidence =
    framework === 'unknown' ? 'low' : isSeen && isAllRead ? 'high' : isSeen || isAllRead ? 'medium' : 'low';
  return { framework, confidence, evidence: lines, warnings: warningsOf(evidence, inForce.length > 1) };
}

function installedFramework(evidence: FrameworkEvidence): Framework {
  const backend = evidence.ipv4Backend ?? evidence.ipv6Backend;
  if (backend !== null) return backend === 'legacy' ? 'iptables-legacy' : 'iptables-nft';
  return evidence.nftVersion === null ? 'unknown' : 'nftables';
}

function warningsOf(evidence: FrameworkEvidence, isMixed: boolean): string[] {
  const warnings: string[] = [];
  const { ipv4Backend, ipv6Backend, legacyTables, iptablesNftTables, nativeNftTables } = evidence;
  if (isMixed) {
    warnings.push('more than one framework is in force: a packet must pass every one of them to get through');
  }
  if (legacyTables.length > 0 && ipv4Backend !== 'legacy') {
    warnings.push(`legacy rules in ${legacyTables.join(', ')} do not show in the host's own iptables command`);
  }
  if (iptablesNftTables.length > 0 && ipv4Backend === 'legacy') {
    warnings.push(
      `iptables-nft rules in ${iptablesNftTables.join(', ')} do not show in the host's own iptables command`,
    );
  }
  if (nativeNftTables.length > 0 && (legacyTables.length > 0 || iptablesNftTables.length > 0)) {
    warnings.push(`nftables rules in ${nativeNftTables.join(', ')} do not show in iptables`);
  }
  if (ipv4Backend !== null && ipv6Backend !== null && ipv4Backend !== ipv6Backend) {
    warnings.push(`iptables speaks to ${ipv4Backend} and ip6tables to ${ipv6Backend}`);
  }
  if (evidence.idleLegacyTables.length > 0) {
    warnings.push(`legacy tables are loaded and do nothing: ${evidence.idleLegacyTables.join(', ')}`);
  }
  for (const source of evidence.unread) warnings.push(`${source} could not be read, so it may hold rules of its own`);
  return warnings;
}

/** The evidence in a capture. The nft listing is looked at for its tables, chains and policies only. */
export function frameworkEvidence(capture: CaptureContents): FrameworkEvidence {
  const { host, sources } = capture;
  const legacy = new Map<string, boolean>();
  const iptablesNft = new Map<string, boolean>();
  const families: (readonly ['ip' | 'ip6', readonly (Source | undefined)[]])[] = [
    ['ip', [sources.ipv4, sources.ipv4_legacy, sources.ipv4_nft]],
    ['ip6', [sources.ipv6, sources.ipv6_legacy, sources.ipv6_nft]],
  ];
  for (const [family, familySources] of families) {
    for (const source of familySources) {
      if (source?.status !== 'captured') continue;
      const tables = source.backend === 'legacy' ? legacy : iptablesNft;
      for (const [table, isInForce] of savedTables(source.text)) tables.set(`${family}/${table}`, isInForce);
    }
  }

  const native: string[] = [];
  for (const [key, table] of listedTables(sources.nft.text)) {
    if (iptablesNft.has(key)) continue;
    const save = key.startsWith('ip/') ? sources.ipv4 : key.startsWith('ip6/') ? sources.ipv6 : null;
    const isReadByIptables = save?.status === 'captured' && save.backend === 'nft';
    if (!isReadByIptables && hasIptablesShape(key, table)) iptablesNft.set(key, table.isInForce);
    else if (table.isInForce) native.push(key);
  }

  const inForce = (tables: ReadonlyMap<string, boolean>): string[] =>
    [...tables].filter(([, is]) => is).map(([key]) => key);
  return {
    ipv4Backend: sources.ipv4.backend,
    ipv6Backend: sources.ipv6.backend,
    iptablesVersion: host.tools.iptables,
    nftVersion: host.tools.nft,
    alternative: host.iptables_alternative,
    legacyTables: inForce(legacy),
    idleLegacyTables: [...legacy].filter(([, is]) => !is).map(([key]) => key),
    iptablesNftTables: inForce(iptablesNft),
    nativeNftTables: native,
    unread: Object.entries(sources)
      .filter(([key, source]: [string, Source]) => key !== 'ipsets' && source.status === 'failed')
      .map(([key]) => key),
  };
}

/** The tables of an iptables-save text, each with whether it holds a rule or a policy other than ACCEPT. */
function savedTables(text: string): Map<string, boolean> {
  const tables = new Map<string, boolean>();
  let table = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('*')) {
      table = line.slice(1).trim();
      tables.set(table, tables.get(table) ?? false);
    } else if (table !== '' && (/^(?:\[\d+:\d+\] )?-A /.test(line) || /^:\S+ (?!ACCEPT |- )/.test(line))) {
      tables.set(table, true);
    }
  }
  return tables;
}

interface ListedTable {
  readonly chains: string[];
  hasOtherObjects: boolean;
  isInForce: boolean;
}

/** The tables of an nft listing by `family/name`; none for a text that is not one. */
function listedTables(text: string): Map<string, ListedTable> {
  const tables = new Map<string, ListedTable>();
  for (const item of listingItems(text)) {
    const [kind, value] = isJsonObject(item) ? (Object.entries(item)[0] ?? []) : [];
    if (kind === undefined || kind === 'metainfo' || !isJsonObject(value)) continue;
    const name = kind === 'table' ? value['name'] : value['table'];
    const key = `${String(value['family'])}/${String(name)}`;
    let table = tables.get(key);
    if (table === undefined) {
      table = { chains: [], hasOtherObjects: false, isInForce: false };
      tables.set(key, table);
    }
    if (kind === 'chain') {
      table.chains.push(String(value['name']));
      if (value['policy'] !== undefined && value['policy'] !== 'accept') table.isInForce = true;
    } else if (kind === 'rule') table.isInForce = true;
    else if (kind !== 'table') table.hasOtherObjects = true;
  }
  return tables;
}

function listingItems(text: string): readonly Json[] {
  if (text.trim() === '') return [];
  try {
    const listing = (JSON.parse(text) as JsonObject)['nftables'];
    return listing !== undefined && isJsonArray(listing) ? listing : [];
  } catch {
    // The nftables parser reports what is wrong with a listing; here it only means that no table is known from it.
    return [];
  }
}

const IPTABLES_TABLES: ReadonlySet<string> = new Set(['filter', 'nat', 'mangle', 'raw', 'security', 'broute']);
const IPTABLES_FAMILIES: ReadonlySet<string> = new Set(['ip', 'ip6', 'arp', 'bridge']);
const IPTABLES_CHAINS: ReadonlySet<string> = new Set([
  'INPUT',
  'FORWARD',
  'OUTPUT',
  'PREROUTING',
  'POSTROUTING',
  'BROUTING',
]);

/** Whether a listed table looks like one that iptables-nft and its sisters make, for where iptables-save cannot tell. */
function hasIptablesShape(key: string, table: ListedTable): boolean {
  const [family = '', name = ''] = [key.slice(0, key.indexOf('/')), key.slice(key.indexOf('/') + 1)];
  return (
    IPTABLES_FAMILIES.has(family) &&
    IPTABLES_TABLES.has(name) &&
    !table.hasOtherObjects &&
    table.chains.some((chain) => IPTABLES_CHAINS.has(chain))
  );
}
