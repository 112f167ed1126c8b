import type { OrchestrationContext, Task } from 'durable-functions';
import {
  ACTIVITIES,
  type OutcomeSummary,
  type ProbeStep,
  type RecordFailureInput,
  type RecordSnapshotInput,
  type RunCounts,
  type StartProbeInput,
  type VmInput,
} from '../core/contracts.ts';
import { findOperationError } from '../core/errors.ts';
import { countOutcome } from '../core/run-counts.ts';
import { callActivity, wait } from './calls.ts';

type Failure = Pick<RecordFailureInput, 'reason' | 'code' | 'message'>;

type SliceTaken =
  | { readonly kind: 'slice'; readonly of: number; readonly sha256: string; readonly attempt: number }
  | { readonly kind: 'failed'; readonly failure: Failure };

type CaptureTaken =
  | { readonly kind: 'captured'; readonly attempts: readonly number[]; readonly sha256: string }
  | { readonly kind: 'changed' }
  | { readonly kind: 'failed'; readonly failure: Failure };

/**
 * Reads one VM: slices of a capture, one Run Command each, with durable timers between the looks; then its record.
 * Whatever happens to the VM becomes an outcome. Should even recording it fail, the run's report says that nothing was
 * recorded for this VM; the page goes on.
 */
export function* inspectVm(context: OrchestrationContext): Generator<Task, RunCounts, unknown> {
  const input = context.df.getInput<VmInput>();
  try {
    return countOutcome(yield* inspect(context, input));
  } catch (error) {
    if (!context.df.isReplaying)
      context.error(`inspectVm: run ${input.runId}, page ${input.page}, vm ${input.index}: ${error}`);
    return countOutcome(yield* recordBreakdown(context, input, error));
  }
}

/** What kept the VM from an outcome, under its own code where it has one. Best effort: the run goes on without it. */
function* recordBreakdown(
  context: OrchestrationContext,
  input: VmInput,
  error: unknown,
): Generator<Task, OutcomeSummary, unknown> {
  try {
    const found = findOperationError(String(error));
    const code = found?.code ?? 'RUN_OUTCOME_MISSING';
    const message = found?.message.slice(code.length + 2) ?? 'nothing was recorded for this VM';
    return yield* recordFailure(context, input, { reason: 'internal_error', code, message });
  } catch {
    return {
      verdict: null,
      coverage: 'failed',
      integrity: 'not_checked',
      baselined: false,
      critical: false,
    };
  }
}

function* inspect(context: OrchestrationContext, input: VmInput): Generator<Task, OutcomeSummary, unknown> {
  const { runId, page, index, settings } = input;
  const deadline = context.df.currentUtcDateTime.getTime() + settings.vmDeadlineSeconds * 1000;
  for (let capture = 0; capture <= settings.recapturesMax; capture += 1) {
    const taken = yield* takeCapture(context, input, capture, deadline);
    if (taken.kind === 'failed') return yield* recordFailure(context, input, taken.failure);
    if (taken.kind === 'captured') {
      const { attempts, sha256 } = taken;
      const record: RecordSnapshotInput = { runId, page, index, capture, attempts, sha256 };
      return yield* callActivity<OutcomeSummary>(context, ACTIVITIES.recordSnapshot, record);
    }
  }
  return yield* recordFailure(context, input, {
    reason: 'unstable',
    code: 'PROBE_CHANGED_BETWEEN_SLICES',
    message: `the ruleset changed between slices in ${settings.recapturesMax + 1} captures`,
  });
}

function* takeCapture(
  context: OrchestrationContext,
  input: VmInput,
  capture: number,
  deadline: number,
): Generator<Task, CaptureTaken, unknown> {
  const attempts: number[] = [];
  let first: { readonly of: number; readonly sha256: string } | null = null;
  for (let slice = 1; slice <= (first?.of ?? 1); slice += 1) {
    const taken: SliceTaken = yield* takeSlice(context, input, capture, slice, deadline);
    if (taken.kind === 'failed') return taken;
    if (taken.of > input.settings.slicesMax) {
      const message = `the capture needs ${taken.of} slices, the limit is ${input.settings.slicesMax}`;
      return { kind: 'failed', failure: { reason: 'too_large', code: 'PROBE_TOO_LARGE', message } };
    }
    first ??= taken;
    if (taken.sha256 !== first.sha256 || taken.of !== first.of) return { kind: 'changed' };
    attempts.push(taken.attempt);
  }
  return { kind: 'captured', attempts, sha256: first?.sha256 ?? '' };
}

function* takeSlice(
  context: OrchestrationContext,
  input: VmInput,
  capture: number,
  slice: number,
  deadline: number,
): Generator<Task, SliceTaken, unknown> {
  const { runId, page, index, settings } = input;
  let failure: Failure = { reason: 'timed_out', code: 'ARM_TIMED_OUT', message: 'no Run Command was finished in time' };
  for (let attempt = 0; attempt < settings.attemptsMax; attempt += 1) {
    // A nonce of its own for every Run Command: an earlier or somebody else's output can never pass for this one's.
    const nonce = context.df.newGuid(`${context.df.instanceId}/${capture}/${slice}/${attempt}`).replaceAll('-', '');
    const start: StartProbeInput = { runId, page, index, capture, slice, attempt, nonce };
    let step = yield* callActivity<ProbeStep>(context, ACTIVITIES.startProbe, start);
    while (step.kind === 'running') {
      const seconds = Math.max(settings.pollSeconds, step.retryAfterSeconds ?? 0);
      if (context.df.currentUtcDateTime.getTime() + seconds * 1000 > deadline)
        return timedOut(settings.vmDeadlineSeconds);
      yield* wait(context, seconds);
      step = yield* callActivity<ProbeStep>(context, ACTIVITIES.pollProbe, start);
    }
    if (step.kind === 'slice') return { kind: 'slice', of: step.of, sha256: step.sha256, attempt };
    failure = { reason: step.reason, code: step.code, message: step.message };
    if (step.retryAfterSeconds === null || attempt + 1 === settings.attemptsMax) break;
    // Each try waits longer: a Run Command of somebody else can hold a VM for minutes.
    const seconds = step.retryAfterSeconds * (attempt + 1);
    if (context.df.currentUtcDateTime.getTime() + seconds * 1000 > deadline) break;
    yield* wait(context, seconds);
  }
  return { kind: 'failed', failure };
}

function timedOut(deadlineSeconds: number): SliceTaken {
  const message = `no answer within the ${deadlineSeconds} s allowed for one VM`;
  return { kind: 'failed', failure: { reason: 'timed_out', code: 'ARM_TIMED_OUT', message } };
}

function* recordFailure(
  context: OrchestrationContext,
  input: VmInput,
  failure: Failure,
): Generator<Task, OutcomeSummary, unknown> {
  const { runId, page, index } = input;
  const record: RecordFailureInput = { runId, page, index, ...failure };
  return yield* callActivity<OutcomeSummary>(context, ACTIVITIES.recordFailure, record);
}
