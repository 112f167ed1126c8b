import { gunzipSync, gzipSync } from 'node:zlib';
import { artifactNames } from '../core/artifact-names.ts';
import { companionText, documentBytes, sha256Hex } from '../core/baseline/integrity.ts';
import { buildSnapshot } from '../core/baseline/snapshot.ts';
import { assembleCapture } from '../core/capture/assemble.ts';
import { probeScriptSha256 } from '../core/capture/probe-script.ts';
import type { OutcomeSummary, RecordSnapshotInput, RunRequest, VmOutcome, VmTarget } from '../core/contracts.ts';
import type { ComparedSide } from '../core/drift/drift-document.ts';
import { readHostFirewall } from '../core/host-firewall.ts';
import { vmKey } from '../core/vm-id.ts';
import { approveBaseline } from './approved-baseline.ts';
import { compareWithBaseline } from './compare-with-baseline.ts';
import {
  createOnce,
  readDocument,
  readOutcome,
  readRequest,
  readTarget,
  recordOutcome,
  summarize,
} from './documents.ts';
import type { StagedSlice } from './poll-probe.ts';
import { failureOutcome } from './record-failure.ts';
import type { InspectionServices } from './services.ts';

type Services = Pick<InspectionServices, 'store' | 'probeText'>;

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
    return recordOutcome(store, input.runId, input, await inspectCapture(services, input, request, target));
  };

async function inspectCapture(
  { store, probeText }: Services,
  input: RecordSnapshotInput,
  request: RunRequest,
  target: VmTarget,
): Promise<VmOutcome> {
  const staged = await Promise.all(
    input.attempts.map((attempt, index) =>
      readDocument<StagedSlice>(store, 'runs', artifactNames.slice({ ...input, slice: index + 1, attempt })),
    ),
  );
  const assembled = assembleCapture(
    staged.map(({ slice }) => slice),
    (bytes, maxOutputLength) => gunzipSync(bytes, { maxOutputLength }),
  );
  if (!assembled.ok)
    return failureOutcome(target, { reason: 'bad_envelope', code: assembled.code, message: assembled.message });
  const { capture } = assembled;
  const firewall = readHostFirewall(capture.payload);
  // Nothing read is no ruleset: it must never become a baseline, nor be compared with one.
  if (firewall.coverage.state === 'failed') {
    const message = firewall.coverage.reasons.join('; ');
    return failureOutcome(target, { reason: 'nothing_read', code: 'PROBE_NOTHING_READ', message });
  }
  const snapshot = buildSnapshot(capture, firewall, {
    target,
    sessionId: input.runId,
    capturedAt: staged[0]?.received_at ?? request.requested_at,
    probeScriptSha256: probeScriptSha256(probeText),
    raw: capture.rawGzipBase64 ?? gzipSync(capture.payload).toString('base64'),
  });
  const bytes = documentBytes(snapshot);
  const side: ComparedSide = { snapshot, sha256: sha256Hex(bytes), firewall };
  const key = vmKey(target.vm_id);
  const area = request.mode === 'baseline' ? 'baselines' : 'reports';
  // The companion first: a snapshot without one is tamper evidence, and a process may die between the two.
  await createOnce(
    store,
    area,
    artifactNames.companion(key, input.runId),
    new TextEncoder().encode(companionText(side.sha256)),
  );
  await createOnce(store, area, artifactNames.snapshot(key, input.runId), bytes);
  const outcome: VmOutcome = {
    vm_id: target.vm_id,
    vm_name: target.vm_name,
    resource_group: target.resource_group,
    vm_key: key,
    verdict: null,
    baselined: request.mode === 'baseline',
    coverage: firewall.coverage.state,
    coverage_reasons: firewall.coverage.reasons,
    integrity: 'not_checked',
    problem: null,
    framework: snapshot.framework,
    snapshot_session: input.runId,
    snapshot_sha256: side.sha256,
    baseline_session: null,
    drift: null,
    slices: capture.slices,
  };
  if (request.mode === 'baseline') {
    await approveBaseline(store, key, snapshot, side.sha256);
    return outcome;
  }
  return { ...outcome, ...(await compareWithBaseline(store, key, side, request.baseline)) };
}
