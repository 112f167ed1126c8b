import { artifactNames } from '../core/artifact-names.ts';
import { documentBytes, parseDocument } from '../core/baseline/integrity.ts';
import type { OutcomeDrift, VmOutcome } from '../core/contracts.ts';
import { buildDriftDocument, type ComparedSide, type DriftDocument } from '../core/drift/drift-document.ts';
import { IntegrityError, OperationError } from '../core/errors.ts';
import type { SnapshotStore } from '../core/ports.ts';
import { readApproved } from './approved-baseline.ts';
import { createOnce } from './documents.ts';
import { readBaseline } from './read-baseline.ts';
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
  let sessionId = named;
  try {
    const approved = await readApproved(store, vmKey);
    sessionId ??= (await comparedBefore(store, vmKey, current)) ?? approved?.session_id ?? null;
    if (sessionId === null) return { verdict: 'unrecorded', integrity: 'not_checked', baseline_session: null };
    const noted = approved?.session_id === sessionId ? approved.sha256 : null;
    const baseline = await readBaseline(store, vmKey, sessionId, noted, current.firewall);
    // A named session that this VM has no baseline of: nothing to compare with, which is not "in sync".
    if (baseline === null) return { verdict: 'unrecorded', integrity: 'not_checked', baseline_session: sessionId };
    if (!isSameVm(baseline, current)) {
      const name = artifactNames.snapshot(vmKey, sessionId);
      throw new IntegrityError('BASELINE_TAMPERED', name, 'it verifies, and is the snapshot of another VM');
    }
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
    if (!(error instanceof OperationError) || !UNUSABLE.has(error.code)) throw error;
    return {
      verdict: null,
      integrity: 'failed',
      baseline_session: sessionId,
      problem: {
        code: error.code,
        reason: 'integrity',
        message: `${error.subject}: ${error.what}`,
        next_step: error.code === 'BASELINE_FORMAT' ? 'record a new baseline' : nextStepFor('integrity'),
      },
    };
  }
}

/** What a run that died before its outcome had compared with: that stands, whatever was approved since. */
async function comparedBefore(
  store: SnapshotStore,
  vmKey: string,
  { snapshot, sha256 }: ComparedSide,
): Promise<string | null> {
  const stored = await store.read('reports', artifactNames.drift(vmKey, snapshot.session_id));
  if (stored === null) return null;
  try {
    const drift = parseDocument(stored.bytes) as unknown as DriftDocument | null;
    return drift?.snapshot_sha256 === sha256 ? drift.baseline_session : null;
  } catch {
    return null; // something else lies there, which storing the comparison will say
  }
}

/** What a baseline can be that nothing is compared with. */
const UNUSABLE: ReadonlySet<string> = new Set(['BASELINE_COMPANION_MISSING', 'BASELINE_TAMPERED', 'BASELINE_FORMAT']);

/** One run baselines many VMs under one session id: a pair of files moved between their folders still agrees. */
function isSameVm(baseline: ComparedSide, current: ComparedSide): boolean {
  return baseline.snapshot.vm_id?.toLowerCase() === current.snapshot.vm_id.toLowerCase();
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
