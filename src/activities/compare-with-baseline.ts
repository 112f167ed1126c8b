import { gunzipSync } from 'node:zlib';
import { artifactNames } from '../core/artifact-names.ts';
import { documentBytes, parseDocument, sha256Hex, verifySnapshotBytes } from '../core/baseline/integrity.ts';
import type { Snapshot } from '../core/baseline/snapshot.ts';
import { PAYLOAD_BYTES_MAX } from '../core/capture/assemble.ts';
import type { OutcomeDrift, VmOutcome } from '../core/contracts.ts';
import { buildDriftDocument, type ComparedSide, type DriftDocument } from '../core/drift/drift-document.ts';
import { IntegrityError } from '../core/errors.ts';
import { readHostFirewall } from '../core/host-firewall.ts';
import type { SnapshotStore } from '../core/ports.ts';
import { readApproved } from './approved-baseline.ts';
import { createOnce } from './documents.ts';
import { nextStepFor } from './record-failure.ts';

type Compared = Pick<VmOutcome, 'verdict' | 'integrity' | 'baseline_session'> & Partial<VmOutcome>;

/**
 * Compares a snapshot with the named baseline, or the VM's approved one, and stores the drift document. A baseline that
 * does not verify is refused: no comparison is made, and the outcome says so.
 */
export async function compareWithBaseline(
  store: SnapshotStore,
  vmKey: string,
  current: ComparedSide,
  named: string | null,
): Promise<Compared> {
  const approved = await readApproved(store, vmKey);
  const sessionId = named ?? approved?.approved.session_id ?? null;
  if (sessionId === null) return { verdict: 'unrecorded', integrity: 'not_checked', baseline_session: null };
  try {
    const noted = approved?.approved.session_id === sessionId ? approved.approved.sha256 : null;
    const baseline = await readBaseline(store, vmKey, sessionId, noted);
    // A named session that this VM has no baseline of: nothing to compare with, which is not "in sync".
    if (baseline === null) return { verdict: 'unrecorded', integrity: 'not_checked', baseline_session: sessionId };
    const drift = buildDriftDocument(baseline, current);
    await createOnce(store, 'reports', artifactNames.drift(vmKey, current.snapshot.session_id), documentBytes(drift));
    return {
      verdict: drift.drift_detected ? 'drifted' : 'in_sync',
      integrity: 'verified',
      baseline_session: sessionId,
      coverage: drift.coverage.status,
      coverage_reasons: drift.coverage.reasons,
      drift: drift.drift_detected ? summarizeDrift(drift) : null,
    };
  } catch (error) {
    if (!(error instanceof IntegrityError)) throw error;
    return {
      verdict: null,
      integrity: 'failed',
      baseline_session: sessionId,
      problem: {
        code: error.code,
        reason: 'integrity',
        message: `${error.subject}: ${error.what}`,
        next_step: nextStepFor('integrity'),
      },
    };
  }
}

/** A baseline, verified before a byte of it is believed. Null when there is none. Errors: IntegrityError. */
async function readBaseline(
  store: SnapshotStore,
  vmKey: string,
  sessionId: string,
  noted: string | null,
): Promise<ComparedSide | null> {
  const name = artifactNames.snapshot(vmKey, sessionId);
  const [stored, companion] = await Promise.all([
    store.read('baselines', name),
    store.read('baselines', artifactNames.companion(vmKey, sessionId)),
  ]);
  if (stored === null) {
    // It was approved, so it was there: gone is tampered with, not "never recorded".
    if (noted === null) return null;
    throw new IntegrityError('BASELINE_TAMPERED', name, 'the approved baseline is no longer there');
  }
  const sha256 = verifySnapshotBytes(name, stored.bytes, companion?.bytes ?? null, noted);
  const snapshot = parseDocument(stored.bytes) as unknown as Snapshot;
  const payload = gunzipSync(Buffer.from(snapshot.capture.raw, 'base64'), { maxOutputLength: PAYLOAD_BYTES_MAX });
  if (sha256Hex(payload) !== snapshot.capture.sha256) {
    throw new IntegrityError('BASELINE_TAMPERED', name, 'the raw capture inside is not the one its digest names');
  }
  return { snapshot, sha256, firewall: readHostFirewall(payload) };
}

const TOP_CHANGES = 3;
const TOP_CHARACTERS_MAX = 200;

function summarizeDrift(drift: DriftDocument): OutcomeDrift {
  return {
    has_critical_changes: drift.has_critical_changes,
    severity_counts: drift.severity_counts,
    top: drift.explanation
      .slice(0, TOP_CHANGES)
      .map((sentence) =>
        sentence.length > TOP_CHARACTERS_MAX ? `${sentence.slice(0, TOP_CHARACTERS_MAX - 1)}…` : sentence,
      ),
  };
}
