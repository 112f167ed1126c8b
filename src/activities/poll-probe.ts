import { artifactNames, type SlicePlace } from '../core/artifact-names.ts';
import { documentBytes } from '../core/baseline/integrity.ts';
import { decodeRunCommandOutput } from '../core/capture/run-command-output.ts';
import { decodeSlice, isSlice, type Slice } from '../core/capture/slice.ts';
import type { ProbeStep, StartProbeInput } from '../core/contracts.ts';
import type { RunCommandStatus, SnapshotStore } from '../core/ports.ts';
import { changed, readDocument, readTarget } from './documents.ts';
import type { InspectionServices } from './services.ts';
import { type StagedOperation, unavailableStep } from './start-probe.ts';

/** A slice that verified, in staging, with when it was received by this program's clock; the VM's may be wrong. */
export interface StagedSlice {
  readonly slice: Slice;
  readonly received_at: string;
}

// Output that is not this run's answer: somebody else's, a cached one, a cut one. Another try gets a new nonce.
const FOREIGN_OUTPUT_RETRY_SECONDS = 10;

/** Looks once at a Run Command. Its output is kept only when its envelope verifies. */
export const makePollProbe =
  ({ store, runner, now }: Pick<InspectionServices, 'store' | 'runner' | 'now'>) =>
  async (input: StartProbeInput): Promise<ProbeStep> => {
    const sliceName = artifactNames.slice(input);
    if ((await store.read('runs', sliceName)) !== null) return sliceStep((await readStagedSlice(store, input)).slice);
    const operationName = artifactNames.operation(input);
    const operation = await readDocument<StagedOperation>(store, 'runs', operationName);
    if (typeof operation.state !== 'string') throw changed('runs', operationName);
    const target = await readTarget(store, input.runId, input);
    const polled = await runner.poll(target.vm_id, operation.state);
    if (polled.kind === 'unavailable') return unavailableStep(polled);
    if (polled.kind === 'running') return polled;
    const decoded = decodeProbeOutput(polled.output, input);
    if ('kind' in decoded) return decoded;
    const received: StagedSlice = { slice: decoded, received_at: now().toISOString() };
    await store.create('runs', sliceName, documentBytes(received));
    return sliceStep(decoded);
  };

/** Errors: `STORE_MISSING`, `STORE_CHANGED` */
export async function readStagedSlice(store: SnapshotStore, at: SlicePlace): Promise<StagedSlice> {
  const name = artifactNames.slice(at);
  const staged = await readDocument<StagedSlice>(store, 'runs', name);
  if (!isSlice(staged.slice) || typeof staged.received_at !== 'string') throw changed('runs', name);
  return staged;
}

/** The slice in a Run Command's result, or why there is none and whether another try may help. */
export function decodeProbeOutput(
  output: readonly RunCommandStatus[],
  { nonce, slice }: Pick<StartProbeInput, 'nonce' | 'slice'>,
): Slice | Extract<ProbeStep, { kind: 'unavailable' }> {
  const streams = decodeRunCommandOutput(output);
  if (streams.kind === 'windows') {
    return unavailableStep({
      kind: 'unavailable',
      reason: 'not_linux',
      atFault: 'command',
      message: 'the VM runs Windows',
      retryAfterSeconds: null,
    });
  }
  const stdout = streams.kind === 'linux' ? streams.stdout : '';
  const decoded = decodeSlice(stdout, { nonce, slice });
  if (decoded.ok) return decoded.slice;
  const { code } = decoded;
  // Another script's output may hold anything, and a message goes to history, report and log.
  const message =
    code === 'PROBE_FOREIGN_OUTPUT'
      ? `${stdout.length} characters of output, and no envelope of the probe in them`
      : decoded.message;
  const final = code === 'PROBE_TOOL_MISSING' || code === 'PROBE_VERSION' || code === 'PROBE_TOO_LARGE';
  return {
    kind: 'unavailable',
    reason: 'bad_envelope',
    code,
    message,
    retryAfterSeconds: final ? null : FOREIGN_OUTPUT_RETRY_SECONDS,
  };
}

function sliceStep({ slices, payloadSha256 }: Slice): ProbeStep {
  return { kind: 'slice', of: slices, sha256: payloadSha256 };
}
