import { type Diagnostic, excerpt } from '../diagnostics.ts';
import type { Section } from './payload.ts';
import {
  type AddressFamily,
  type CaptureContents,
  FAMILY_OF_SOURCE,
  type Source,
  type Sources,
} from './read-capture.ts';

/**
 * How much of the firewall a capture holds. `complete`: everything that can hold rules was read, or the kernel says that
 * it holds none. `partial`: something that can hold rules was not. `failed`: nothing was read.
 */
export interface Coverage {
  readonly state: 'complete' | 'partial' | 'failed';
  /** Empty when complete. */
  readonly reasons: readonly CoverageReason[];
}

/** Something that was not read. */
export interface CoverageReason {
  /** One sentence. */
  readonly text: string;
  /** The address family that it alone is about; null when it is about both. */
  readonly family: AddressFamily | null;
}

/** The tool behind each source, as a reader knows it. */
const TOOL_OF_SOURCE: readonly (readonly [key: keyof Sources, tool: string])[] = [
  ['ipv4', 'iptables-save'],
  ['ipv6', 'ip6tables-save'],
  ['ipv4_legacy', 'iptables-legacy-save'],
  ['ipv6_legacy', 'ip6tables-legacy-save'],
  ['ipv4_nft', 'iptables-nft-save'],
  ['ipv6_nft', 'ip6tables-nft-save'],
  ['nft', 'nft --json list ruleset'],
  ['ipsets', 'ipset save'],
];

// iptables 1.8.0 to 1.8.11; the second form is told of a table whose other chains are printed.
const INCOMPATIBLE_TABLE = /^# Table `(.+)' (?:is incompatible|contains incompatible base-chains), use 'nft' tool/gm;

/** Coverage as far as it is not about one address family alone. */
export function coverageWithout(family: AddressFamily, { state, reasons }: Coverage): Coverage {
  const kept = reasons.filter((reason) => reason.family !== family);
  return { state: state === 'partial' && kept.length === 0 ? 'complete' : state, reasons: kept };
}

/** The sentences of a coverage, as documents list them. */
export function reasonTexts({ reasons }: Coverage): string[] {
  return reasons.map(({ text }) => text);
}

interface Reading {
  readonly byName: ReadonlyMap<string, Section>;
  readonly sources: Sources;
  readonly legacyTables: CaptureContents['legacyTables'];
  readonly subsystems: CaptureContents['subsystems'];
  readonly fault: string | null;
}

/** Judges what was read against what the kernel says exists. */
export function judgeCoverage(reading: Reading): { coverage: Coverage; diagnostics: Diagnostic[] } {
  const { byName, sources, fault } = reading;
  const diagnostics: Diagnostic[] = [];
  const reasons: CoverageReason[] = [];
  const lacks = (code: string, text: string, family: AddressFamily | null = null): void => {
    reasons.push({ text, family });
    diagnostics.push(diagnostic(code, 'error', text));
  };

  if (fault !== null) lacks('PROBE_MALFORMED', `the payload is not well framed: ${fault}`);
  for (const [key, tool] of TOOL_OF_SOURCE) {
    const source = sources[key];
    if (source === undefined) continue;
    if (source.status === 'failed')
      lacks('PROBE_SOURCE_FAILED', `${key} could not be read with ${tool}: ${source.detail}`, FAMILY_OF_SOURCE[key]);
    if (source.status === 'captured' && source.detail !== '') {
      diagnostics.push(diagnostic('PROBE_TOOL_REMARK', 'info', `${tool} remarked: ${source.detail}`));
    }
  }
  for (const { text, family } of unreadable(reading)) lacks('PROBE_SOURCE_UNREADABLE', text, family);
  const saves = [sources.ipv4, sources.ipv6, sources.ipv4_nft, sources.ipv6_nft].map((source) => source?.text ?? '');
  for (const [, table = ''] of saves.join('\n').matchAll(INCOMPATIBLE_TABLE)) {
    const what = `table ${excerpt(table)} holds what iptables cannot print; only the nft listing has it`;
    if (sources.nft.status === 'captured') diagnostics.push(diagnostic('PROBE_TABLE_INCOMPATIBLE', 'info', what));
    else lacks('PROBE_TABLE_INCOMPATIBLE', what);
  }
  for (const section of byName.values()) {
    if (section.isUtf8) continue;
    const what = `${section.name} has bytes that are not UTF-8; each stands as U+FFFD and two hexadecimal digits`;
    diagnostics.push(diagnostic('PROBE_NOT_UTF8', 'warning', what));
  }
  const uid = /^uid (\d+)$/m.exec(byName.get('probe')?.stdout ?? '')?.[1];
  if (uid !== undefined && uid !== '0') {
    diagnostics.push(diagnostic('PROBE_NOT_ROOT', 'error', `the probe ran as user ${uid}; only root reads a firewall`));
  }

  const ruleSources = [sources.ipv4, sources.ipv6, sources.ipv4_legacy, sources.ipv6_legacy, sources.nft];
  const isNothingRead = !ruleSources.some((source) => source?.status === 'captured' || source?.status === 'skipped');
  const isEmptyByKernel = reasons.length === 0;
  return {
    coverage: { state: isEmptyByKernel ? 'complete' : isNothingRead ? 'failed' : 'partial', reasons },
    diagnostics,
  };
}

/** What can hold rules by the kernel's word, and has no tool that could say so. */
function unreadable({ byName, sources, legacyTables, subsystems }: Reading): CoverageReason[] {
  const lacks: CoverageReason[] = [];
  const add = (text: string, family: AddressFamily | null = null): void => {
    lacks.push({ text, family });
  };
  if (sources.nft.status === 'absent' && subsystems.nft !== 'not-loaded') {
    add('nft is not installed, so nftables tables, if there are any, could not be read');
  }
  for (const [tool, family, tables] of [
    ['iptables', 'ipv4', legacyTables.ipv4],
    ['ip6tables', 'ipv6', legacyTables.ipv6],
  ] as const) {
    const names = byName.get(family === 'ipv4' ? 'ip_tables_names' : 'ip6_tables_names');
    const legacySection = byName.get(`${tool}-legacy-save`);
    const isReadByMain = sources[family].backend === 'legacy';
    if (names === undefined || (names.status === 'exit' && names.exitCode !== 0) || names.status === 'timeout') {
      add(`the kernel's list of legacy ${family} tables could not be read`, family);
    } else if (tables.length > 0 && !isReadByMain && legacySection === undefined) {
      add(`legacy ${family} tables exist, and were not read: ${excerpt(tables.join(', '))}`, family);
    }
  }
  const isSetNamed = [sources.ipv4, sources.ipv6, sources.ipv4_legacy, sources.ipv6_legacy].some(namesSet);
  if (isSetNamed && sources.ipsets.status !== 'captured' && sources.ipsets.status !== 'failed') {
    add(`rules name ipsets, and ipset was not read: ${sources.ipsets.detail}`);
  }
  return lacks;
}

function namesSet(source: Source | undefined): boolean {
  return source !== undefined && /--(?:match|add|del|map)-set /.test(source.text);
}

function diagnostic(code: string, severity: Diagnostic['severity'], message: string): Diagnostic {
  return { code, severity, line: 0, column: 0, excerpt: '', message };
}
