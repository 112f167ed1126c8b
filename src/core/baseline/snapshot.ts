import type { Capture } from '../capture/assemble.ts';
import { type Coverage, reasonTexts } from '../capture/coverage.ts';
import type { VmTarget } from '../contracts.ts';
import { type HostFirewall, nativeNft } from '../host-firewall.ts';
import { ipsetDocument } from '../ipset/index.ts';
import { iptablesDocument } from '../iptables/index.ts';
import type { JsonObject } from '../json.ts';
import { nftDocument } from '../nftables/index.ts';

/** `{session_id}_snapshot.json`; docs/schemas/snapshot.schema.json says the whole shape. */
export interface Snapshot {
  readonly schema_version: 1;
  readonly snapshot_at: string;
  readonly session_id: string;
  readonly vm_name: string;
  readonly resource_group: string;
  readonly subscription_id: string;
  readonly vm_id: string;
  readonly framework: string;
  readonly probe_script_sha256: string;
  /** The payload itself, so that a newer parser re-reads an old baseline. */
  readonly capture: {
    readonly sha256: string;
    readonly bytes: number;
    readonly slices: number;
    readonly with_counters: boolean;
    readonly probe_time: string;
    readonly raw: string;
  };
  readonly coverage: { readonly status: Coverage['state']; readonly reasons: readonly string[] };
  readonly [field: string]: unknown;
}

export interface SnapshotOrigin {
  readonly target: Pick<VmTarget, 'vm_id' | 'vm_name' | 'resource_group' | 'subscription_id'>;
  readonly sessionId: string;
  /** By this program's clock, ISO 8601. */
  readonly capturedAt: string;
  readonly probeScriptSha256: string;
  /** What was looked at; `both` when left out. */
  readonly family?: 'ipv4' | 'ipv6' | 'both';
  /** gzip, base64. */
  readonly raw: string;
}

const WARNINGS_MAX = 200;

/** Equal captures of one session give equal documents, to the byte: nothing here reads a clock. */
export function buildSnapshot(capture: Capture, firewall: HostFirewall, origin: SnapshotOrigin): Snapshot {
  const { target } = origin;
  const native = nativeNft(firewall);
  return {
    schema_version: 1,
    snapshot_at: origin.capturedAt,
    session_id: origin.sessionId,
    vm_name: target.vm_name,
    resource_group: target.resource_group,
    subscription_id: target.subscription_id,
    vm_id: target.vm_id,
    host: firewall.host,
    family: origin.family ?? 'both',
    framework: firewall.framework.framework,
    framework_confidence: firewall.framework.confidence,
    framework_evidence: firewall.framework.evidence,
    probe_script_sha256: origin.probeScriptSha256,
    capture: {
      sha256: capture.sha256,
      bytes: capture.bytes,
      slices: capture.slices,
      with_counters: capture.withCounters,
      probe_time: capture.probeTimeUtc,
      raw: origin.raw,
    },
    coverage: { status: firewall.coverage.state, reasons: reasonTexts(firewall.coverage) },
    parse_warnings: warnings(firewall),
    rulesets: {
      ipv4: null,
      ipv6: null,
      ...Object.fromEntries(
        firewall.iptables.map(({ key, ruleset }): [string, JsonObject] => [key, iptablesDocument(ruleset)]),
      ),
      nft: native === null ? null : nftDocument(native),
    },
    ipsets: firewall.ipsets === null ? null : ipsetDocument(firewall.ipsets),
  };
}

/** Framework warnings, then what the parsers said, cut at a number a reader can take in; the count stays true. */
function warnings({ framework, diagnostics }: HostFirewall): string[] {
  const said = diagnostics.map(({ code, line, message, excerpt }) => {
    const where = line > 0 ? ` line ${line}` : '';
    return `${code}${where}: ${message}${excerpt === '' ? '' : ` [${excerpt}]`}`;
  });
  const all = [...framework.warnings, ...said];
  if (all.length <= WARNINGS_MAX) return all;
  return [...all.slice(0, WARNINGS_MAX), `… and ${all.length - WARNINGS_MAX} more`];
}
