import type { OrchestrationContext, Task } from 'durable-functions';
import * as df from 'durable-functions';

// Storage and ARM have bad minutes: an activity that throws is tried again before its VM is given up.
const FIRST_RETRY_MS = 5_000;
const ATTEMPTS = 4;

/** Schedules an activity with retries; a generator so that callers read `yield* callActivity<Answer>(…)`. */
export function* callActivity<Answer>(
  context: OrchestrationContext,
  name: string,
  input: object,
): Generator<Task, Answer, unknown> {
  const retry = new df.RetryOptions(FIRST_RETRY_MS, ATTEMPTS);
  retry.backoffCoefficient = 2;
  retry.maxRetryIntervalInMilliseconds = 60_000;
  return (yield context.df.callActivityWithRetry(name, retry, input)) as Answer;
}

/** A child's instance id: the colon cannot be in a session id, so that no caller can name an instance that is not a run. */
export function childId(context: OrchestrationContext, name: string): string {
  return `${context.df.instanceId}:${name}`;
}

/** Runs child orchestrations side by side, each under an id of its own, and waits for all of them. */
export function* callAll<Answer>(
  context: OrchestrationContext,
  name: string,
  children: readonly { readonly id: string; readonly input: object }[],
): Generator<Task, Answer[], unknown> {
  if (children.length === 0) return [];
  const tasks = children.map(({ id, input }) => context.df.callSubOrchestrator(name, input, childId(context, id)));
  return (yield context.df.Task.all(tasks)) as Answer[];
}

/** Waits without a worker. */
export function* wait(context: OrchestrationContext, seconds: number): Generator<Task, void, unknown> {
  yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + seconds * 1000));
}
