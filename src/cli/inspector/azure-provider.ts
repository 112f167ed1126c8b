import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { decodeProbeOutput } from '../../activities/poll-probe.ts';
import { nextStepFor } from '../../activities/record-failure.ts';
import { buildProbeScript, type ProbeMode } from '../../core/capture/probe-script.ts';
import type { Slice } from '../../core/capture/slice.ts';
import type { FailureReason, RunSettings } from '../../core/contracts.ts';
import { OperationError } from '../../core/errors.ts';
import type { RunCommandRunner, Unavailable } from '../../core/ports.ts';
import { parseVmId } from '../../core/vm-id.ts';
import type { CaptureRun, Provider } from './provider.ts';

/** A VM through Run Command: slices one after another, as the app's orchestrator takes them, with this process waiting. */
export function azureProvider(vmId: string, runner: RunCommandRunner, settings: RunSettings): Provider {
  const { subscriptionId, resourceGroup, vmName } = parseVmId(vmId);
  return {
    host: { vm_id: vmId, vm_name: vmName, resource_group: resourceGroup, subscription_id: subscriptionId },
    async capture(run) {
      const reading = new Reading(vmId, vmName, runner, settings, run);
      run.progress(`asking Azure for ${vmName}`);
      const ready = await runner.readiness(vmId);
      if (ready.kind === 'unavailable') throw reading.unavailable(ready);
      for (let capture = 0; capture <= settings.recapturesMax; capture += 1) {
        const slices = await reading.capture(capture === 0 ? 'auto' : 'stable');
        if (slices !== null) return slices;
        run.progress('the ruleset changed between two slices: once more from the first');
      }
      const what = `the ruleset changed between slices in ${settings.recapturesMax + 1} captures`;
      throw reading.fault('unstable', 'PROBE_CHANGED_BETWEEN_SLICES', what, true);
    },
  };
}

class Reading {
  readonly #vmId: string;
  readonly #name: string;
  readonly #runner: RunCommandRunner;
  readonly #settings: RunSettings;
  readonly #run: CaptureRun;
  readonly #deadline: number;

  constructor(vmId: string, name: string, runner: RunCommandRunner, settings: RunSettings, run: CaptureRun) {
    this.#vmId = vmId;
    this.#name = name;
    this.#runner = runner;
    this.#settings = settings;
    this.#run = run;
    this.#deadline = run.now().getTime() + settings.vmDeadlineSeconds * 1000;
  }

  /** Null when the ruleset changed under way. */
  async capture(firstMode: ProbeMode): Promise<readonly Slice[] | null> {
    const first = await this.#slice(1, null, firstMode);
    if (first.slices > this.#settings.slicesMax) {
      const what = `the capture needs ${first.slices} slices, the limit is ${this.#settings.slicesMax}`;
      throw this.fault('too_large', 'PROBE_TOO_LARGE', what, false);
    }
    const slices = [first];
    for (let number = 2; number <= first.slices; number += 1) {
      const slice = await this.#slice(number, first.slices, 'stable');
      if (slice.payloadSha256 !== first.payloadSha256 || slice.slices !== first.slices) return null;
      slices.push(slice);
    }
    return slices;
  }

  async #slice(number: number, of: number | null, mode: ProbeMode): Promise<Slice> {
    const which = of === null ? 'slice 1' : `slice ${number} of ${of}`;
    const { attemptsMax } = this.#settings;
    for (let attempt = 1; ; attempt += 1) {
      const nonce = randomBytes(16).toString('hex');
      this.#run.progress(`run command on ${this.#name}, ${which}${attempt === 1 ? '' : `, try ${attempt}`}`);
      const answer = await this.#once(number, nonce, mode, which);
      if (!('kind' in answer)) return answer;
      if (answer.retryAfterSeconds === null || attempt === attemptsMax) throw answer.error;
      const seconds = answer.retryAfterSeconds * attempt;
      if (this.#run.now().getTime() + seconds * 1000 > this.#deadline) throw answer.error;
      this.#run.progress(`${answer.error.what}; again in ${seconds} s`);
      await this.#wait(seconds);
    }
  }

  async #once(slice: number, nonce: string, mode: ProbeMode, which: string): Promise<Slice | Failed> {
    const command = `run command RunShellScript on ${this.#vmId}: probe.sh, ${which}`;
    const script = buildProbeScript(this.#run.probeText, { nonce, slice, mode });
    const started = await this.#runner.start(this.#vmId, script);
    if (started.kind === 'unavailable') return this.#failed(started, command);
    const { pollSeconds, vmDeadlineSeconds } = this.#settings;
    for (;;) {
      if (this.#run.now().getTime() + pollSeconds * 1000 > this.#deadline) {
        this.#run.log({ command, exitCode: null, outputBytes: 0 });
        throw this.fault('timed_out', 'ARM_TIMED_OUT', `no answer within the ${vmDeadlineSeconds} s allowed`, true);
      }
      await this.#wait(pollSeconds);
      const polled = await this.#runner.poll(this.#vmId, started.state);
      if (polled.kind === 'running') continue;
      // A look that was throttled says nothing about the command: it is looked at again.
      if (polled.kind === 'unavailable' && polled.reason === 'throttled' && polled.retryAfterSeconds !== null) {
        await this.#wait(polled.retryAfterSeconds);
        continue;
      }
      if (polled.kind === 'unavailable') return this.#failed(polled, command);
      const outputBytes = polled.output.reduce((sum, { message }) => sum + Buffer.byteLength(message ?? ''), 0);
      this.#run.log({ command, exitCode: null, outputBytes });
      const decoded = decodeProbeOutput(polled.output, { nonce, slice });
      if (!('kind' in decoded)) return decoded;
      const error = this.fault(decoded.reason, decoded.code, decoded.message, decoded.retryAfterSeconds !== null);
      return { kind: 'failed', error, retryAfterSeconds: decoded.retryAfterSeconds };
    }
  }

  #failed(answer: Unavailable, command: string): Failed {
    this.#run.log({ command, exitCode: null, outputBytes: 0 });
    return { kind: 'failed', error: this.unavailable(answer), retryAfterSeconds: answer.retryAfterSeconds };
  }

  unavailable({ reason, message, retryAfterSeconds }: Unavailable): OperationError {
    return this.fault(reason, `ARM_${reason.toUpperCase()}`, message, retryAfterSeconds !== null);
  }

  fault(reason: FailureReason, code: string, what: string, retryable: boolean): OperationError {
    return new OperationError(code, this.#name, what, { nextStep: nextStepFor(reason), retryable });
  }

  async #wait(seconds: number): Promise<void> {
    try {
      await sleep(seconds * 1000, undefined, { signal: this.#run.signal });
    } catch {
      throw new OperationError('ARM_ABORTED', this.#name, 'interrupted while the run command went on', {
        nextStep: 'it ends by itself and changes nothing',
      });
    }
  }
}

interface Failed {
  readonly kind: 'failed';
  readonly error: OperationError;
  readonly retryAfterSeconds: number | null;
}
