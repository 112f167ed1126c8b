import type { Snapshot } from '../baseline/snapshot.ts';
import { reasonTexts } from '../capture/coverage.ts';
import { counted } from '../counted.ts';
import { printable } from '../diagnostics.ts';
import type { HostFirewall } from '../host-firewall.ts';
import { compareFirewalls } from './compare-firewalls.ts';
import { CHANGE_KINDS, type DocumentedChange, type FamilyDrift } from './family-drift.ts';
import { compareSeverity, SEVERITIES, type Severity } from './severity.ts';

/** `{session_id}_drift.json`; docs/schemas/drift.schema.json says the whole shape. */
export interface DriftDocument {
  readonly schema_version: 1;
  readonly diff_at: string;
  readonly session_id: string;
  readonly vm_name: string;
  readonly resource_group: string;
  readonly vm_id: string;
  readonly baseline_session: string;
  readonly baseline_sha256: string;
  readonly snapshot_sha256: string;
  readonly probe_script_sha256: string;
  readonly framework: { readonly baseline: string; readonly current: string };
  /** Of the comparison: partial when a source of either side was not read. */
  readonly coverage: { readonly status: 'complete' | 'partial'; readonly reasons: readonly string[] };
  readonly drift_detected: boolean;
  readonly has_critical_changes: boolean;
  readonly severity_counts: Record<Severity, number>;
  readonly drift_by_family: Readonly<Record<string, FamilyDrift>>;
  /** Plain sentences: first that the baseline is of another host, where it is, then the changes, worst first. */
  readonly explanation: readonly string[];
}

export interface ComparedSide {
  readonly snapshot: Snapshot;
  /** Verified hex digest of the snapshot's bytes. */
  readonly sha256: string;
  readonly firewall: HostFirewall;
}

const EXPLANATIONS_MAX = 50;

/**
 * Compares a verified baseline with a later snapshot of the same VM. Both are read anew from their raw captures, so that
 * a baseline taken by an older version is compared with today's understanding.
 */
export function buildDriftDocument(baseline: ComparedSide, current: ComparedSide): DriftDocument {
  const { families, uncompared } = compareFirewalls(baseline.firewall, current.firewall);
  const reasons = [
    ...new Set([...uncompared, ...reasonTexts(baseline.firewall.coverage), ...reasonTexts(current.firewall.coverage)]),
  ];
  const drifts = Object.values(families);
  const { snapshot } = current;
  return {
    schema_version: 1,
    diff_at: snapshot.snapshot_at,
    session_id: snapshot.session_id,
    vm_name: snapshot.vm_name,
    resource_group: snapshot.resource_group,
    vm_id: snapshot.vm_id,
    baseline_session: baseline.snapshot.session_id,
    baseline_sha256: baseline.sha256,
    snapshot_sha256: current.sha256,
    probe_script_sha256: snapshot.probe_script_sha256,
    framework: { baseline: baseline.firewall.framework.framework, current: current.firewall.framework.framework },
    coverage: { status: reasons.length === 0 ? 'complete' : 'partial', reasons },
    drift_detected: drifts.some(({ drift_detected }) => drift_detected),
    has_critical_changes: drifts.some(({ has_critical_changes }) => has_critical_changes),
    severity_counts: Object.fromEntries(
      SEVERITIES.map((severity) => [severity, drifts.reduce((sum, drift) => sum + drift.severity_counts[severity], 0)]),
    ) as Record<Severity, number>,
    drift_by_family: families,
    explanation: [...otherHost(baseline.snapshot, snapshot), ...explain(baseline.firewall, current.firewall, families)],
  };
}

/** Every listed change of a document with its family and kind, worst first. */
export function listedChanges(
  families: DriftDocument['drift_by_family'],
): { family: string; kind: string; change: DocumentedChange }[] {
  const all = Object.entries(families).flatMap(([family, drift]) =>
    CHANGE_KINDS.flatMap((kind) => drift.changes[kind].map((change) => ({ family, kind, change }))),
  );
  return all.sort((a, b) => compareSeverity(a.change.severity, b.change.severity));
}

function explain(baseline: HostFirewall, current: HostFirewall, families: DriftDocument['drift_by_family']): string[] {
  const sentences: string[] = [];
  if (baseline.framework.framework !== current.framework.framework) {
    sentences.push(
      `the firewall framework changed from ${baseline.framework.framework} to ${current.framework.framework}`,
    );
  }
  const changes = listedChanges(families).filter(({ change }) => change.severity !== 'noise');
  for (const { family, change } of changes.slice(0, EXPLANATIONS_MAX)) {
    const place = [family, change.table, change.chain].filter((part) => part !== null).join(' ');
    sentences.push(`${change.severity}: ${place}: ${change.reason}`);
  }
  if (changes.length > EXPLANATIONS_MAX) sentences.push(`… and ${changes.length - EXPLANATIONS_MAX} more changes`);
  for (const [family, { ephemeral_summary }] of Object.entries(families)) {
    for (const [owner, places] of Object.entries(ephemeral_summary)) {
      const count = Object.values(places).reduce((sum, each) => sum + each, 0);
      sentences.push(`noise: ${family}: ${counted(count, 'change')} that ${owner} makes by itself`);
    }
  }
  return sentences;
}

/** A directory holds sessions of many hosts: comparing two of them is allowed, and said. */
export function otherHost(baseline: Snapshot, current: Snapshot): string[] {
  const isSame =
    typeof baseline.vm_id === 'string'
      ? baseline.vm_id.toLowerCase() === current.vm_id.toLowerCase()
      : String(baseline.vm_name ?? '').toLowerCase() === current.vm_name.toLowerCase();
  const named = String(baseline.vm_name ?? baseline.vm_id ?? '') || 'a host without a name';
  return isSame ? [] : [`the baseline is of another host: ${printable(named)}, not ${printable(current.vm_name)}`];
}
