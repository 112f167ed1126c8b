import { randomBytes } from 'node:crypto';
import { createRequire } from 'node:module';
import {
  type Action,
  type ArrivedEvent,
  answerFromError,
  EventType,
  exceptionDetails,
  type HistoryEvent,
  historyItems,
  type OrchestratorAnswer,
  type ScheduledEvent,
  triggerText,
} from './durable-protocol.ts';
import { type Decision, replay } from './replay.ts';
import { forbidTaskReuse } from './strict.ts';
import { activityArgument, isBooleanArgument } from './typed-data.ts';

/** A production orchestrator: what is given to `df.app.orchestration`. */
// biome-ignore lint/suspicious/noExplicitAny: the SDK's own handler type is Generator<Task, any, any> over its context class
export type OrchestratorFunction = (context: any) => Generator<any, any, any>;

/** Answers one call. A throw or rejection fails the task, as an activity that throws does. */
// biome-ignore lint/suspicious/noExplicitAny: inputs are whatever the orchestrator passed, after a trip through JSON
export type CallAnswer = (input: any, call: Call) => unknown;

export interface Call {
  kind: 'activity' | 'subOrchestration' | 'timer';
  /** The function's name; for a timer its due time, ISO 8601. */
  name: string;
  /** After a trip through JSON; undefined for a timer. */
  input: unknown;
  /** Virtual time at which it was scheduled, ISO 8601. */
  at: string;
  /** The instance that made the call, for a sub-orchestration the one that was started. */
  instanceId: string;
}

export interface OrchestrationScript {
  input?: unknown;
  instanceId?: string;
  /** Virtual start; default 2026-01-01T00:00:00Z. */
  startTime?: string | Date;
  activities?: Record<string, CallAnswer>;
  /** An orchestrator (`function*`) is run the same way, with the same activities; a plain function just answers. */
  subOrchestrations?: Record<string, CallAnswer | OrchestratorFunction>;
  /** External events for the outermost instance, at virtual times after the start. */
  events?: readonly { afterMs: number; name: string; data?: unknown }[];
  /** Virtual time a call takes until its answer is there; default 0. Not asked for timers and nested orchestrators. */
  durationMs?: (call: Call) => number;
  /** How many answers one replay may bring; default 1, so that the orchestrator is replayed after every single step. */
  messagesPerEpisode?: number;
  /** A limit against endless loops; default 10,000. */
  episodesMax?: number;
}

export interface OrchestrationRun {
  output: unknown;
  /** Each different custom status, in order; only the outermost instance. */
  customStatuses: unknown[];
  /** Every call of the instance and of nested orchestrators, in the order they were scheduled. */
  calls: Call[];
  /** Virtual time from start to end. */
  elapsedMs: number;
  episodes: number;
}

/** The orchestration ended as Failed; `message` is the reason as the instance's output would show it. */
export class OrchestrationFailed extends Error {
  override readonly name = 'OrchestrationFailed';
}

/** The orchestrator broke a rule of replay, or can never end. Not catchable by the orchestrator under test. */
export class ReplayViolation extends Error {
  override readonly name = 'ReplayViolation';
}

interface Sdk {
  createOrchestrator(handler: OrchestratorFunction): (trigger: unknown, context: unknown) => Promise<unknown>;
  DummyOrchestrationContext: new (name: string, invocationId: string, log: () => void) => object;
}

/**
 * Runs an orchestrator to its end in virtual time through the real durable-functions SDK, replaying it from the start
 * after every step, the way the extension does.
 *
 * Errors: `ReplayViolation` when a replay makes other calls, in another order or with other input, than before; when
 * two replays of the same history differ (clock, random values); when a task is reused; when a boolean is an activity's
 * input; when a function is not in the script; when nothing is left to wait for. `OrchestrationFailed` when the
 * orchestrator throws.
 */
export async function runOrchestration(
  handler: OrchestratorFunction,
  script: OrchestrationScript = {},
): Promise<OrchestrationRun> {
  forbidTaskReuse();
  const startMs = new Date(script.startTime ?? '2026-01-01T00:00:00.000Z').getTime();
  const calls: Call[] = [];
  const instance = new Instance(handler, script, script.instanceId ?? 'test-instance', null, startMs, calls);
  return { ...(await instance.run(script.input)), calls };
}

interface Message {
  atMs: number;
  event: ArrivedEvent;
}

class Instance {
  readonly #invoke: (trigger: string) => Promise<OrchestratorAnswer>;
  readonly #script: OrchestrationScript;
  readonly #instanceId: string;
  readonly #parentId: string | null;
  readonly #startMs: number;
  readonly #calls: Call[];
  #executionId = newExecutionId();
  #nowMs: number;
  #history: HistoryEvent[] = [];
  #queue: Message[] = [];
  #sent: string[] = [];
  #input: string | null = null;

  constructor(
    handler: OrchestratorFunction,
    script: OrchestrationScript,
    instanceId: string,
    parentId: string | null,
    startMs: number,
    calls: Call[],
  ) {
    this.#invoke = invoker(handler, instanceId);
    this.#script = script;
    this.#instanceId = instanceId;
    this.#parentId = parentId;
    this.#startMs = startMs;
    this.#nowMs = startMs;
    this.#calls = calls;
  }

  async run(input: unknown): Promise<Omit<OrchestrationRun, 'calls'>> {
    const customStatuses: unknown[] = [];
    const episodesMax = this.#script.episodesMax ?? 10_000;
    for (const { afterMs, name, data } of this.#parentId === null ? (this.#script.events ?? []) : []) {
      const text = data === undefined ? null : JSON.stringify(data);
      this.#push(this.#startMs + afterMs, {
        ...this.#stamp(),
        EventType: EventType.EventRaised,
        Name: name,
        Input: text,
      });
    }
    this.#start(input === undefined ? null : JSON.stringify(input));
    for (let episodes = 1; episodes <= episodesMax; episodes++) {
      const { answer, decision } = await this.#episode();
      const status = answer.customStatus ?? null;
      if (status !== null && JSON.stringify(status) !== JSON.stringify(customStatuses.at(-1)))
        customStatuses.push(status);
      for (const event of decision.scheduled) await this.#perform(event);
      const { outcome } = decision;
      if (outcome.kind === 'completed') {
        return { output: outcome.output, customStatuses, elapsedMs: this.#nowMs - this.#startMs, episodes };
      }
      if (outcome.kind === 'failed') throw failure(outcome.reason);
      if (outcome.kind === 'continued') {
        const carried = outcome.carriedOver.map((event) => ({ atMs: this.#nowMs, event }));
        this.#queue = [...carried, ...this.#queue.filter(({ event }) => event.EventType === EventType.EventRaised)];
        this.#start(continuedInput(outcome.input));
      }
    }
    throw new ReplayViolation(`${this.#instanceId} is not through after ${episodesMax} episodes`);
  }

  #start(input: string | null): void {
    this.#executionId = newExecutionId();
    this.#history = [];
    this.#sent = [];
    this.#input = input;
    const event: ArrivedEvent = {
      ...this.#stamp(),
      EventType: EventType.ExecutionStarted,
      OrchestrationInstance: { InstanceId: this.#instanceId, ExecutionId: this.#executionId },
      Name: 'orchestrator',
      Version: '',
      Input: input,
    };
    this.#queue.unshift({ atMs: this.#nowMs, event });
  }

  async #episode(): Promise<{ answer: OrchestratorAnswer; decision: Decision }> {
    const first = this.#queue[0];
    if (!first)
      throw new ReplayViolation(`${this.#instanceId} waits for something that can never happen: ${this.#sent.at(-1)}`);
    this.#nowMs = Math.max(this.#nowMs, first.atMs);
    const due = this.#queue.filter(({ atMs }) => atMs <= this.#nowMs).length;
    const taken = this.#queue.splice(0, Math.min(due, this.#script.messagesPerEpisode ?? 1));
    const fresh: HistoryEvent[] = [
      { ...this.#stamp(), EventType: EventType.OrchestratorStarted },
      ...taken.map(({ event }) => ({ ...event, Timestamp: this.#nowIso() })),
    ];
    const answer = await this.#replayedTwice(fresh);
    this.#compareWithBefore(answer);
    const decision = replay([...this.#history, ...fresh], answer, {
      instanceId: this.#instanceId,
      executionId: this.#executionId,
      isKnown: (kind, name) => this.#answerFor(kind, name) !== undefined,
    });
    this.#history.push(...fresh, ...decision.scheduled, {
      ...this.#stamp(),
      EventType: EventType.OrchestratorCompleted,
    });
    return { answer, decision };
  }

  /** The same history twice must give the same answer; in between the clock moves, so that a use of it shows. */
  async #replayedTwice(fresh: readonly HistoryEvent[]): Promise<OrchestratorAnswer> {
    const trigger = triggerText({
      instanceId: this.#instanceId,
      parentInstanceId: this.#parentId,
      input: this.#input,
      isReplaying: this.#history.length > 0,
      historyItems: [historyItems(this.#history, true), historyItems(fresh, false)].filter((items) => items).join(','),
    });
    const answer = await this.#invoke(trigger);
    const millisecond = Date.now();
    while (Date.now() === millisecond);
    const again = await this.#invoke(trigger);
    if (JSON.stringify(answer) !== JSON.stringify(again)) {
      throw new ReplayViolation(
        `NON_DETERMINISTIC: two replays of the same history differ:\n  ${JSON.stringify(answer)}\n  ${JSON.stringify(again)}`,
      );
    }
    return answer;
  }

  #compareWithBefore(answer: OrchestratorAnswer): void {
    const sent = answer.actions.flat().map((action) => JSON.stringify(withoutCancellation(action)));
    const changed = this.#sent.findIndex((before, index) => before !== sent[index]);
    if (changed >= 0) {
      throw new ReplayViolation(
        `NON_DETERMINISTIC: call ${changed} was ${this.#sent[changed]}, and is after a replay ${sent[changed] ?? 'missing'}`,
      );
    }
    this.#sent = sent;
  }

  async #perform(event: ScheduledEvent): Promise<void> {
    const at = this.#nowIso();
    if (event.EventType === EventType.TimerCreated) {
      this.#calls.push({ kind: 'timer', name: event.FireAt, input: undefined, at, instanceId: this.#instanceId });
      const fired: ArrivedEvent = {
        ...this.#stamp(),
        EventType: EventType.TimerFired,
        TimerId: event.EventId,
        FireAt: event.FireAt,
      };
      this.#push(Date.parse(event.FireAt), fired);
      return;
    }
    const isActivity = event.EventType === EventType.TaskScheduled;
    if (isActivity && isBooleanArgument(event)) {
      throw new ReplayViolation(
        `activity '${event.Name}' gets a boolean, which arrives as the string "True" or "False"; pass an object`,
      );
    }
    const call: Call = isActivity
      ? { kind: 'activity', name: event.Name, input: argument(event), at, instanceId: this.#instanceId }
      : {
          kind: 'subOrchestration',
          name: event.Name,
          input: JSON.parse(event.Input ?? 'null'),
          at,
          instanceId: event.InstanceId,
        };
    this.#calls.push(call);
    const { atMs, result, error } = await this.#answer(call);
    const kind = isActivity ? 'Activity' : 'Orchestrator';
    this.#push(
      atMs,
      error === undefined
        ? {
            ...this.#stamp(),
            EventType: isActivity ? EventType.TaskCompleted : EventType.SubOrchestrationInstanceCompleted,
            TaskScheduledId: event.EventId,
            Result: JSON.stringify(result ?? null),
          }
        : {
            ...this.#stamp(),
            EventType: isActivity ? EventType.TaskFailed : EventType.SubOrchestrationInstanceFailed,
            TaskScheduledId: event.EventId,
            Reason: `${kind} function '${event.Name}' failed: ${isActivity ? ' ' : ''}${error}`,
            Details: exceptionDetails(error),
            FailureDetails: null,
          },
    );
  }

  async #answer(call: Call): Promise<{ atMs: number; result?: unknown; error?: string }> {
    const kind = call.kind === 'activity' ? 'activity' : 'orchestration';
    const answer = this.#answerFor(kind, call.name);
    try {
      if (kind === 'orchestration' && isGeneratorFunction(answer)) {
        const nested = new Instance(answer, this.#script, call.instanceId, this.#instanceId, this.#nowMs, this.#calls);
        const { output, elapsedMs } = await nested.run(call.input);
        return { atMs: this.#nowMs + elapsedMs, result: output };
      }
      const result = await (answer as CallAnswer)(call.input, call);
      return { atMs: this.#doneAt(call), result };
    } catch (error) {
      if (error instanceof ReplayViolation) throw error;
      return { atMs: this.#doneAt(call), error: error instanceof Error ? error.message : String(error) };
    }
  }

  #doneAt(call: Call): number {
    return this.#nowMs + (this.#script.durationMs?.(call) ?? 0);
  }

  #answerFor(kind: 'activity' | 'orchestration', name: string): CallAnswer | OrchestratorFunction | undefined {
    const answers = (kind === 'activity' ? this.#script.activities : this.#script.subOrchestrations) ?? {};
    return Object.hasOwn(answers, name) ? answers[name] : undefined;
  }

  #push(atMs: number, event: ArrivedEvent): void {
    const later = this.#queue.findIndex((message) => message.atMs > atMs);
    this.#queue.splice(later < 0 ? this.#queue.length : later, 0, { atMs, event });
  }

  #stamp(): { EventId: number; Timestamp: string } {
    return { EventId: -1, Timestamp: this.#nowIso() };
  }

  #nowIso(): string {
    return new Date(this.#nowMs).toISOString();
  }
}

function invoker(handler: OrchestratorFunction, instanceId: string): (trigger: string) => Promise<OrchestratorAnswer> {
  const require = createRequire(import.meta.url);
  const sdk = require('durable-functions/lib/src/util/testingUtils') as Sdk;
  return async (trigger) => {
    const context = new sdk.DummyOrchestrationContext('orchestrator', instanceId, () => {});
    try {
      const answer = await sdk.createOrchestrator(handler)(JSON.parse(trigger), context);
      return JSON.parse(JSON.stringify(answer)) as OrchestratorAnswer;
    } catch (error) {
      return answerFromError(error);
    }
  };
}

/** What must have been there in the same shape before: everything but the mark that a timer was cancelled since. */
function withoutCancellation({ isCanceled: _, compoundActions, ...action }: Action): object {
  return compoundActions ? { ...action, compoundActions: compoundActions.map(withoutCancellation) } : action;
}

function argument(event: Extract<ScheduledEvent, { EventType: typeof EventType.TaskScheduled }>): unknown {
  const text = activityArgument(event).string;
  if (text === undefined || text === null) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text; // A string that is not JSON is passed on as it is, like the SDK does.
  }
}

/** `continueAsNew('x')` arrives quoted twice, here as on Azure; the SDK quotes strings once more than it should. */
function continuedInput(input: unknown): string | null {
  return input === undefined ? null : JSON.stringify(input);
}

function failure(reason: string): Error {
  const isViolation =
    reason.startsWith('TASK_REUSED') || reason.startsWith('Non-Deterministic') || reason.startsWith('The function ');
  return isViolation ? new ReplayViolation(reason) : new OrchestrationFailed(reason);
}

function isGeneratorFunction(value: unknown): value is OrchestratorFunction {
  return Object.prototype.toString.call(value) === '[object GeneratorFunction]';
}

function newExecutionId(): string {
  return randomBytes(16).toString('hex');
}
