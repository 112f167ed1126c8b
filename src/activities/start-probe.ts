import { artifactNames } from '../core/artifact-names.ts';
import { documentBytes } from '../core/baseline/integrity.ts';
import { buildProbeScript } from '../core/capture/probe-script.ts';
import type { ProbeStep, StartProbeInput } from '../core/contracts.ts';
import type { Unavailable } from '../core/ports.ts';
import { readTarget } from './documents.ts';
import type { InspectionServices } from './services.ts';

/** A Run Command under way, in staging: `state` holds signed URLs, which must not lie in an orchestration's history. */
export interface StagedOperation {
  readonly state: string;
}

/**
 * Posts the probe to a VM, once per (capture, slice, attempt). Should the process die between the post and the note of
 * it, the next run of this activity finds the VM busy with its own first script; the orchestrator waits and tries anew,
 * which costs time and, the probe being read-only, nothing else.
 */
export const makeStartProbe =
  ({ store, runner, probeText }: Pick<InspectionServices, 'store' | 'runner' | 'probeText'>) =>
  async (input: StartProbeInput): Promise<ProbeStep> => {
    const name = artifactNames.operation(input);
    if ((await store.read('runs', name)) !== null) return RUNNING;
    const target = await readTarget(store, input.runId, input);
    if (target.os_type === 'Windows') return unavailableStep(notLinux);
    if (input.capture === 0 && input.slice === 1) {
      const ready = await runner.readiness(target.vm_id);
      if (ready.kind === 'unavailable') return unavailableStep(ready);
    }
    const script = buildProbeScript(probeText, {
      nonce: input.nonce,
      slice: input.slice,
      mode: input.slice === 1 && input.capture === 0 ? 'auto' : 'stable',
    });
    const started = await runner.start(target.vm_id, script);
    if (started.kind === 'unavailable') return unavailableStep(started);
    const operation: StagedOperation = { state: started.state };
    await store.create('runs', name, documentBytes(operation));
    return RUNNING;
  };

const RUNNING: ProbeStep = { kind: 'running', retryAfterSeconds: null };

const notLinux: Unavailable = {
  kind: 'unavailable',
  reason: 'not_linux',
  atFault: 'command',
  message: 'the VM runs Windows',
  retryAfterSeconds: null,
};

export function unavailableStep({
  reason,
  message,
  retryAfterSeconds,
}: Unavailable): Extract<ProbeStep, { kind: 'unavailable' }> {
  return { kind: 'unavailable', reason, code: `ARM_${reason.toUpperCase()}`, message, retryAfterSeconds };
}
