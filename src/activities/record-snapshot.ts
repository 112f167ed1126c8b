import { artifactNames } from '../core/artifact-names.ts';
import { reasonTexts } from '../core/capture/coverage.ts';
import { probeScriptSha256 } from '../core/capture/probe-script.ts';
import type { OutcomeSummary, RecordSnapshotInput, RunRequest, VmOutcome, VmTarget } from '../core/contracts.ts';
import { OperationError } from '../core/errors.ts';
import { vmKey } from '../core/vm-id.ts';
import { approveBaseline } from './approved-baseline.ts';
import { compareWithBaseline } from './compare-with-baseline.ts';
import { changed, readOutcome, readRequest, readTarget, recordOutcome, summarize } from './documents.ts';
import { readStagedSlice } from './poll-probe.ts';
import { failureOutcome } from './record-failure.ts';
import type { InspectionServices } from './services.ts';
import { storeSnapshot, takeSnapshot } from './take-snapshot.ts';

type Services = Pick<InspectionServices, 'store' | 'probeText' | 'now'>;

/**
 * Verifies a capture, parses it, stores the snapshot with its companion, and in a drift run compares. Everything is
 * derived from staged slices, so a second run writes the same bytes again.
 */
export const makeRecordSnapshot =
  (services: Services) =>
  async (input: RecordSnapshotInput): Promise<OutcomeSummary> => {
    const { store } = services;
    const recorded = await readOutcome(store, input.runId, input);
    if (recorded !== null) return summarize(recorded);
    const [request, target] = await Promise.all([
      readRequest(store, input.runId),
      readTarget(store, input.runId, input),
    ]);
    return recordOutcome(
      store,
      input.runId,
      input,
      await refusal(target, () => inspectCapture(services, input, request, target)),
    );
  };

/** What trying again would not change is the VM's outcome, under its own code. */
async function refusal(target: VmTarget, inspect: () => Promise<VmOutcome>): Promise<VmOutcome> {
  try {
    return await inspect();
  } catch (error) {
    if (!(error instanceof OperationError) || error.retryable) throw error;
    const { code, subject, what, nextStep } = error;
    const message = `${subject}: ${what}`;
    return failureOutcome(target, { reason: 'internal_error', code, message, nextStep });
  }
}

async function inspectCapture(
  { store, probeText, now }: Services,
  input: RecordSnapshotInput,
  request: RunRequest,
  target: VmTarget,
): Promise<VmOutcome> {
  const staged = await Promise.all(
    input.attempts.map((attempt, index) => readStagedSlice(store, { ...input, slice: index + 1, attempt })),
  );
  const other = staged.findIndex(({ slice }) => slice.payloadSha256 !== input.sha256);
  if (other !== -1) {
    throw changed('runs', artifactNames.slice({ ...input, slice: other + 1, attempt: input.attempts[other] ?? 0 }));
  }
  const taken = takeSnapshot(
    staged.map(({ slice }) => slice),
    {
      target,
      sessionId: input.runId,
      capturedAt: staged[0]?.received_at ?? request.requested_at,
      probeScriptSha256: probeScriptSha256(probeText),
    },
  );
  if (!taken.ok) return failureOutcome(target, taken);
  const { snapshot, sha256, firewall } = taken.side;
  const key = vmKey(target.vm_id);
  await storeSnapshot(store, request.mode === 'baseline' ? 'baselines' : 'reports', key, taken);
  const outcome: VmOutcome = {
    vm_id: target.vm_id,
    vm_name: target.vm_name,
    resource_group: target.resource_group,
    vm_key: key,
    verdict: null,
    baselined: request.mode === 'baseline',
    coverage: firewall.coverage.state,
    coverage_reasons: reasonTexts(firewall.coverage),
    integrity: 'not_checked',
    problem: null,
    framework: snapshot.framework,
    snapshot_session: input.runId,
    snapshot_sha256: sha256,
    baseline_session: null,
    drift: null,
    slices: taken.slices,
  };
  if (request.mode === 'baseline') {
    if (request.approve !== false) await approveBaseline(store, key, snapshot, sha256, now());
    return outcome;
  }
  return { ...outcome, ...(await compareWithBaseline(store, key, taken.side, request.baseline)) };
}
