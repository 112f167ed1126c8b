import { type Diagnostic, excerpt } from '../diagnostics.ts';
import { type Coverage, judgeCoverage } from './coverage.ts';
import { readPayload, type Section } from './payload.ts';

export type Backend = 'legacy' | 'nft';
export type AddressFamily = 'ipv4' | 'ipv6';

/** What one tool said about one part of the firewall. */
export interface Source {
  /** The tool's standard output, empty unless `captured`. */
  readonly text: string;
  /** The iptables backend the tool speaks to; null for nft and ipset, and where there is no tool. */
  readonly backend: Backend | null;
  /**
   * `captured`: read, and an empty text means no rules. `skipped`: not asked, because the kernel says that there is
   * nothing to read (or, for iptables-nft, that the nft listing has all of it). `absent`: the tool is not installed.
   * `failed`: there may be rules, and they could not be read.
   */
  readonly status: 'captured' | 'absent' | 'skipped' | 'failed';
  /** Why, in words; empty when captured without a remark. */
  readonly detail: string;
}

export interface Sources {
  /** iptables-save of the host's default backend, the one an administrator's `iptables` shows. */
  readonly ipv4: Source;
  readonly ipv6: Source;
  /** The legacy rules beside a default that is not legacy; only where legacy tables exist or cannot be ruled out. */
  readonly ipv4_legacy?: Source;
  readonly ipv6_legacy?: Source;
  /** iptables-nft's rules beside a default that is not nft; the nft listing holds the same tables. */
  readonly ipv4_nft?: Source;
  readonly ipv6_nft?: Source;
  /** `nft --json list ruleset`: every nf_tables table, those of iptables-nft included. */
  readonly nft: Source;
  /** `ipset save`. */
  readonly ipsets: Source;
}

/** The address family that a source is about; null for what holds both. */
export const FAMILY_OF_SOURCE = {
  ipv4: 'ipv4',
  ipv6: 'ipv6',
  ipv4_legacy: 'ipv4',
  ipv6_legacy: 'ipv6',
  ipv4_nft: 'ipv4',
  ipv6_nft: 'ipv6',
  nft: null,
  ipsets: null,
} as const satisfies Record<keyof Sources, AddressFamily | null>;

export interface CaptureHost {
  readonly hostname: string | null;
  /** `uname -r`. */
  readonly kernel: string | null;
  readonly machine: string | null;
  /** os-release PRETTY_NAME and ID. */
  readonly os: string | null;
  readonly os_id: string | null;
  readonly boot_id: string | null;
  /** Version numbers as the tools print them, null where there is no tool or it was not asked. */
  readonly tools: {
    readonly iptables: string | null;
    readonly ip6tables: string | null;
    readonly nft: string | null;
    readonly ipset: string | null;
  };
  /** Where the iptables alternative (or link) leads; null when unknown. */
  readonly iptables_alternative: string | null;
}

export interface CaptureContents {
  readonly host: CaptureHost;
  readonly sections: readonly Section[];
  readonly sources: Sources;
  /** Legacy tables of this network namespace by the kernel's word, whether or not a tool could read them. */
  readonly legacyTables: { readonly ipv4: readonly string[]; readonly ipv6: readonly string[] };
  /** Whether the kernel has what nft and ipset speak to: `loaded`, `built-in`, `not-loaded`, … as the probe found. */
  readonly subsystems: { readonly nft: string | null; readonly ipsets: string | null };
  readonly coverage: Coverage;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Takes a verified payload apart: the host, each ruleset's text with how it was read, and how much that covers.
 * Never throws; what is wrong is in `diagnostics` (`PROBE_*`) and makes the coverage partial or failed.
 */
export function readCapture(payload: Uint8Array): CaptureContents {
  const { sections, fault } = readPayload(payload);
  const byName = new Map(sections.map((section) => [section.name, section]));
  const legacyTables = {
    ipv4: words(stdoutOf(byName, 'ip_tables_names')),
    ipv6: words(stdoutOf(byName, 'ip6_tables_names')),
  };
  const sources = readSources(byName, legacyTables);
  const stated = stdoutOf(byName, 'subsystems');
  const subsystems = {
    nft: /^nf_tables (.+)$/m.exec(stated)?.[1] ?? null,
    ipsets: /^ip_set (.+)$/m.exec(stated)?.[1] ?? null,
  };
  const { coverage, diagnostics } = judgeCoverage({ byName, sources, legacyTables, subsystems, fault });
  return { host: readHost(byName), sections, sources, legacyTables, subsystems, coverage, diagnostics };
}

function readSources(byName: ReadonlyMap<string, Section>, legacyTables: CaptureContents['legacyTables']): Sources {
  const family = (tool: 'iptables' | 'ip6tables', tables: readonly string[]) => {
    const backend = backendOf(byName, tool);
    return {
      main: sourceOf(byName.get(`${tool}-save`), backend, backend === 'legacy' ? tables : []),
      legacy: extraSource(byName.get(`${tool}-legacy-save`), 'legacy', tables),
      nft: extraSource(byName.get(`${tool}-nft-save`), 'nft', []),
    };
  };
  const ipv4 = family('iptables', legacyTables.ipv4);
  const ipv6 = family('ip6tables', legacyTables.ipv6);
  return {
    ipv4: ipv4.main,
    ipv6: ipv6.main,
    ...(ipv4.legacy === null ? {} : { ipv4_legacy: ipv4.legacy }),
    ...(ipv6.legacy === null ? {} : { ipv6_legacy: ipv6.legacy }),
    ...(ipv4.nft === null ? {} : { ipv4_nft: ipv4.nft }),
    ...(ipv6.nft === null ? {} : { ipv6_nft: ipv6.nft }),
    nft: sourceOf(byName.get('nft-ruleset'), null, []),
    ipsets: sourceOf(byName.get('ipset-save'), null, []),
  };
}

/** The other backend's source, or null when it holds nothing worth a key of its own. */
function extraSource(section: Section | undefined, backend: Backend, tables: readonly string[]): Source | null {
  const source = sourceOf(section, backend, tables);
  if (section === undefined || source.status === 'absent' || source.status === 'skipped') return null;
  return source.status === 'captured' && source.text.trim() === '' ? null : source;
}

/**
 * @param tables legacy tables that exist by the kernel's word: a tool that is not there then is a failure to read them
 */
function sourceOf(section: Section | undefined, backend: Backend | null, tables: readonly string[]): Source {
  if (section === undefined) return { text: '', backend, status: 'failed', detail: 'the capture has no such section' };
  const errors = section.stderr === '' ? '' : excerpt(section.stderr.trim());
  switch (section.status) {
    case 'exit':
      return section.exitCode === 0
        ? { text: section.stdout, backend, status: 'captured', detail: errors }
        : {
            text: '',
            backend,
            status: 'failed',
            detail: `exit status ${section.exitCode}: ${errors || 'no error text'}`,
          };
    case 'timeout':
      return { text: '', backend, status: 'failed', detail: 'ran into its time limit' };
    case 'absent':
      return tables.length > 0
        ? {
            text: '',
            backend,
            status: 'failed',
            detail: `not installed, but the kernel has tables: ${excerpt(tables.join(', '))}`,
          }
        : { text: '', backend, status: 'absent', detail: 'not installed' };
    case 'skipped':
      return section.reason.endsWith('-unknown')
        ? { text: '', backend, status: 'failed', detail: `${section.reason}: asking could have loaded a kernel module` }
        : { text: '', backend, status: 'skipped', detail: section.reason };
  }
}

function backendOf(byName: ReadonlyMap<string, Section>, tool: 'iptables' | 'ip6tables'): Backend | null {
  const stated = stdoutOf(byName, `${tool}-backend`).trim();
  return stated === 'legacy' || stated === 'nft' ? stated : null;
}

function readHost(byName: ReadonlyMap<string, Section>): CaptureHost {
  const [, hostname = null, kernel = null, machine = null] = words(stdoutOf(byName, 'kernel'));
  const osRelease = stdoutOf(byName, 'os-release');
  const version = (...names: string[]): string | null => {
    for (const name of names) {
      const found = /\bv?(\d+\.[\w.+-]+)/.exec(stdoutOf(byName, name));
      if (found?.[1] !== undefined) return found[1];
    }
    return null;
  };
  const alternative = stdoutOf(byName, 'alternatives').trim();
  return {
    hostname,
    kernel,
    machine,
    os: osReleaseValue(osRelease, 'PRETTY_NAME'),
    os_id: osReleaseValue(osRelease, 'ID'),
    boot_id: stdoutOf(byName, 'boot-id').trim() || null,
    tools: {
      iptables: version('iptables-version', 'iptables-command-version'),
      ip6tables: version('ip6tables-version', 'ip6tables-command-version'),
      nft: version('nft-version'),
      ipset: version('ipset-version'),
    },
    iptables_alternative: (/^Value: (.+)$/m.exec(alternative)?.[1] ?? /^\/.*$/.exec(alternative)?.[0]) || null,
  };
}

/** A value of os-release(5): plain, or quoted as in a shell. */
function osReleaseValue(text: string, key: 'PRETTY_NAME' | 'ID'): string | null {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${key}=`));
  const value = line?.slice(key.length + 1).trim() ?? '';
  const quoted = /^(["'])(.*)\1$/.exec(value)?.[2];
  return (quoted?.replace(/\\(["$`\\])/g, '$1') ?? value) || null;
}

function stdoutOf(byName: ReadonlyMap<string, Section>, name: string): string {
  return byName.get(name)?.stdout ?? '';
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== '');
}
