import type { OrchestrationContext, Task } from 'durable-functions';
import {
  ACTIVITIES,
  type FleetInput,
  ORCHESTRATIONS,
  type RunCounts,
  type RunRequest,
  type SweepInput,
} from '../core/contracts.ts';
import { callActivity } from './calls.ts';

/**
 * A scheduled drift run. Its instance id is fixed, and a live instance cannot be started again: two sweeps never run
 * at once. The run inside has an instance of its own, so operations and reports look like any other run's.
 */
export function* sweepFleet(context: OrchestrationContext): Generator<Task, RunCounts, unknown> {
  const { runId, settings, selector, requestedAt } = context.df.getInput<SweepInput>();
  const request: RunRequest = {
    schema_version: 1,
    run_id: runId,
    mode: 'drift',
    selector,
    baseline: null,
    requested_at: requestedAt,
    trigger: 'timer',
  };
  yield* callActivity(context, ACTIVITIES.openRun, request);
  const input: FleetInput = { runId, settings };
  return (yield context.df.callSubOrchestrator(ORCHESTRATIONS.inspectFleet, input, runId)) as RunCounts;
}
