import { randomBytes } from 'node:crypto';
import type { Clock } from './clock.ts';
import {
  type ArrivedEvent,
  EventType,
  exceptionDetails,
  type FailureDetails,
  historyItems,
  type OrchestratorAnswer,
  type ScheduledEvent,
  type SubOrchestrationCreated,
  type TaskScheduled,
  type TimerCreated,
  triggerText,
} from './durable-protocol.ts';
import {
  type Change,
  type EpisodeEnd,
  episodeEvents,
  type Instance,
  isFinished,
  type ParentLink,
  playedHistoryItems,
  unansweredEvents,
} from './instances.ts';
import type { Journal } from './journal.ts';
import { errorText, type Log } from './log.ts';
import { type Outcome, replay } from './replay.ts';
import { activityArgument, isBooleanArgument, type TypedData } from './typed-data.ts';

export interface EngineOptions {
  clock: Clock;
  journal: Journal;
  log: Log;
  maxMessagesPerEpisode: number;
  concurrentActivitiesMax: number;
  isKnown: (kind: 'activity' | 'orchestration', name: string) => boolean;
  /** Runs one episode through the SDK; rejects only for an error that is not the orchestrator's own. */
  runOrchestrator: (name: string, trigger: string) => Promise<OrchestratorAnswer>;
  /** Runs an activity; answers with the JSON text of its result, rejects with what it throws. */
  runActivity: (name: string, argument: TypedData, instanceId: string) => Promise<string>;
}

export interface StartRequest {
  name: string;
  instanceId?: string;
  version?: string;
  /** JSON text, or null. */
  input: string | null;
}

interface PendingActivity {
  instance: Instance;
  executionId: string;
  event: TaskScheduled;
}

/** Drives every instance: episodes, activities, timers, sub-orchestrations. All state is in the journal. */
export class DurableEngine {
  readonly #options: EngineOptions;
  readonly #journal: Journal;
  readonly #clock: Clock;
  readonly #inEpisode = new Set<Instance>();
  readonly #timers = new Map<Instance, Map<number, () => void>>();
  readonly #activities: PendingActivity[] = [];
  #runningActivities = 0;
  #isStopping = true;
  #idleWaiters: (() => void)[] = [];

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#journal = options.journal;
    this.#clock = options.clock;
  }

  get instances(): ReadonlyMap<string, Instance> {
    return this.#journal.state.instances;
  }

  /** Takes up whatever the journal holds: unanswered activities run again, timers are armed, waiting events are served. */
  start(): void {
    this.#isStopping = false;
    for (const instance of this.instances.values()) {
      if (isFinished(instance)) continue;
      for (const event of unansweredEvents(instance)) this.#perform(instance, event);
      this.#wake(instance);
    }
  }

  /** Starts nothing more, and waits for activities and episodes that run, at most `graceMs` of real time. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true;
    for (const timers of this.#timers.values()) for (const cancel of timers.values()) cancel();
    this.#timers.clear();
    let timeout: NodeJS.Timeout | undefined;
    const grace = new Promise<void>((resolve) => {
      timeout = setTimeout(resolve, graceMs);
    });
    await Promise.race([this.whenIdle(), grace]);
    clearTimeout(timeout);
  }

  /** Resolves when nothing runs or could run before a timer, an event or a request comes. */
  whenIdle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idleWaiters.push(resolve);
      this.#checkIdle();
    });
  }

  /** Error: an instance of that id is still running. */
  startInstance(request: StartRequest): Instance {
    const instanceId = request.instanceId ?? newId();
    const live = this.instances.get(instanceId);
    if (live && !isFinished(live)) {
      throw new InstanceIsLive(`An Orchestration instance with the status ${live.status} already exists.`);
    }
    this.#commit([this.#started({ ...request, instanceId }, null)]);
    return this.#wakeById(instanceId) as Instance;
  }

  raiseEvent(instance: Instance, name: string, input: string | null): void {
    const event: ArrivedEvent = { ...this.#stamp(), EventType: EventType.EventRaised, Name: name, Input: input };
    this.#commit([{ change: 'arrived', instanceId: instance.instanceId, event }]);
    this.#wake(instance);
  }

  suspend(instance: Instance): void {
    this.#commit([{ change: 'suspended', instanceId: instance.instanceId, at: this.#now() }]);
  }

  resume(instance: Instance): void {
    this.#commit([{ change: 'resumed', instanceId: instance.instanceId, at: this.#now() }]);
    this.#wake(instance);
  }

  /** Ends the instance at once. Its sub-orchestrations and activities go on, as on Azure. */
  terminate(instance: Instance, reason: string): void {
    const toParent = this.#parentMessage(instance, { kind: 'failed', output: reason });
    this.#commit([{ change: 'terminated', instanceId: instance.instanceId, at: this.#now(), reason }, ...toParent]);
    this.#release(instance);
  }

  purge(instance: Instance): void {
    this.#commit([{ change: 'purged', instanceId: instance.instanceId, at: this.#now() }]);
    this.#cancelTimers(instance);
  }

  #wakeById(instanceId: string): Instance | undefined {
    const instance = this.instances.get(instanceId);
    if (instance) this.#wake(instance);
    return instance;
  }

  /** Episodes start in the next turn of the event loop, so that answers of one turn are taken together. */
  #wake(instance: Instance): void {
    if (this.#isStopping || this.#inEpisode.has(instance) || !this.#isReady(instance)) return;
    this.#inEpisode.add(instance);
    setImmediate(() => {
      void this.#episode(instance).finally(() => {
        this.#inEpisode.delete(instance);
        this.#wake(instance);
        this.#checkIdle();
      });
    });
  }

  #isReady(instance: Instance): boolean {
    return instance.inbox.length > 0 && !instance.isSuspended && this.#isCurrent(instance, instance.executionId);
  }

  #isCurrent(instance: Instance, executionId: string): boolean {
    const isHere = this.instances.get(instance.instanceId) === instance;
    return isHere && !isFinished(instance) && instance.executionId === executionId;
  }

  async #episode(instance: Instance): Promise<void> {
    if (this.#isStopping || !this.#isReady(instance)) return;
    const { executionId } = instance;
    const at = this.#now();
    const taken = Math.min(instance.inbox.length, this.#options.maxMessagesPerEpisode);
    const fresh = episodeEvents(instance, taken, at);
    const items = [playedHistoryItems(instance), historyItems(fresh, false)].filter((text) => text).join(',');
    const trigger = triggerText({
      instanceId: instance.instanceId,
      parentInstanceId: instance.parent?.instanceId ?? null,
      input: instance.input,
      isReplaying: instance.history.length > 0,
      historyItems: items,
    });
    let answer: OrchestratorAnswer;
    let decision: { scheduled: ScheduledEvent[]; outcome: Outcome };
    try {
      answer = await this.#options.runOrchestrator(instance.name, trigger);
      decision = replay([...instance.history, ...fresh], answer, {
        instanceId: instance.instanceId,
        executionId,
        isKnown: this.#options.isKnown,
      });
    } catch (error) {
      answer = { isDone: false, actions: [], customStatus: instance.customStatus };
      decision = { scheduled: [], outcome: { kind: 'failed', reason: errorText(error) } };
    }
    // Terminated or purged while the orchestrator ran: its answer counts for nothing.
    if (!this.#isCurrent(instance, executionId)) return;
    this.#warn(instance, decision.outcome, decision.scheduled);
    this.#commitEpisode(instance, { at, taken, scheduled: decision.scheduled, answer, outcome: decision.outcome });
  }

  #commitEpisode(
    instance: Instance,
    episode: { at: string; taken: number; scheduled: ScheduledEvent[]; answer: OrchestratorAnswer; outcome: Outcome },
  ): void {
    const { at, taken, scheduled, answer } = episode;
    const { instanceId, executionId } = instance;
    const end = episodeEnd(instance, episode.outcome);
    const changes: Change[] = [
      { change: 'episode', instanceId, at, taken, scheduled, customStatus: answer.customStatus ?? null, end },
    ];
    const childIds = new Set<string>();
    for (const event of scheduled) {
      if (event.EventType !== EventType.SubOrchestrationInstanceCreated) continue;
      const live = this.instances.get(event.InstanceId);
      if (childIds.has(event.InstanceId) || (live && !isFinished(live))) {
        const reason = `An Orchestration instance with the id '${event.InstanceId}' is running already.`;
        changes.push({ change: 'arrived', instanceId, event: this.#failed(event, reason, null) });
        continue;
      }
      childIds.add(event.InstanceId);
      const parent = { instanceId, executionId, taskId: event.EventId };
      changes.push(this.#started({ ...childRequest(event) }, parent));
    }
    if (end && end.kind !== 'continued') changes.push(...this.#parentMessage(instance, end));
    this.#commit(changes);
    if (end) {
      this.#cancelTimers(instance);
      if (end.kind !== 'continued') this.#release(instance);
      return;
    }
    for (const event of scheduled) this.#perform(instance, event);
    for (const childId of childIds) this.#wakeById(childId);
  }

  #started(request: StartRequest & { instanceId: string }, parent: ParentLink | null): Change {
    const { instanceId, name, version = '', input } = request;
    return { change: 'started', instanceId, name, version, executionId: newId(), input, parent, at: this.#now() };
  }

  /** The message that tells the parent how its child ended, if the parent still waits for it. */
  #parentMessage(instance: Instance, end: { kind: 'completed' | 'failed'; output: unknown }): Change[] {
    const link = instance.parent;
    const parent = link && this.instances.get(link.instanceId);
    if (!link || !parent || !this.#isCurrent(parent, link.executionId)) return [];
    const event: ArrivedEvent =
      end.kind === 'completed'
        ? {
            ...this.#stamp(),
            EventType: EventType.SubOrchestrationInstanceCompleted,
            TaskScheduledId: link.taskId,
            Result: JSON.stringify(end.output ?? null),
          }
        : {
            ...this.#stamp(),
            EventType: EventType.SubOrchestrationInstanceFailed,
            TaskScheduledId: link.taskId,
            Reason: String(end.output),
            Details: exceptionDetails(String(end.output)),
            FailureDetails: null,
          };
    return [{ change: 'arrived', instanceId: parent.instanceId, event }];
  }

  /** After an instance has ended: its timers go, its parent is woken. */
  #release(instance: Instance): void {
    this.#cancelTimers(instance);
    if (instance.parent) this.#wakeById(instance.parent.instanceId);
  }

  #perform(instance: Instance, event: ScheduledEvent): void {
    if (event.EventType === EventType.TimerCreated) this.#armTimer(instance, event);
    if (event.EventType !== EventType.TaskScheduled) return;
    this.#activities.push({ instance, executionId: instance.executionId, event });
    this.#runActivities();
  }

  #armTimer(instance: Instance, { EventId, FireAt }: TimerCreated): void {
    const { executionId } = instance;
    const timers = this.#timers.get(instance) ?? new Map<number, () => void>();
    this.#timers.set(instance, timers);
    const cancel = this.#clock.schedule(Date.parse(FireAt), () => {
      timers.delete(EventId);
      this.#arrive(instance, executionId, {
        ...this.#stamp(),
        EventType: EventType.TimerFired,
        TimerId: EventId,
        FireAt,
      });
    });
    timers.set(EventId, cancel);
  }

  #cancelTimers(instance: Instance): void {
    for (const cancel of this.#timers.get(instance)?.values() ?? []) cancel();
    this.#timers.delete(instance);
  }

  #runActivities(): void {
    while (!this.#isStopping && this.#runningActivities < this.#options.concurrentActivitiesMax) {
      const next = this.#activities.shift();
      if (!next) return;
      if (!this.#isCurrent(next.instance, next.executionId)) continue;
      this.#runningActivities += 1;
      void this.#runActivity(next).finally(() => {
        this.#runningActivities -= 1;
        this.#runActivities();
        this.#checkIdle();
      });
    }
  }

  async #runActivity({ instance, executionId, event }: PendingActivity): Promise<void> {
    let answer: ArrivedEvent;
    try {
      const result = await this.#options.runActivity(event.Name, activityArgument(event), instance.instanceId);
      answer = { ...this.#stamp(), EventType: EventType.TaskCompleted, TaskScheduledId: event.EventId, Result: result };
    } catch (error) {
      const details = failureDetails(error);
      const message = details ? details.ErrorMessage : errorText(error);
      answer = this.#failed(event, `Activity function '${event.Name}' failed:  ${message}`, details);
      this.#options.log({ level: 'warning', category: 'host', message: answer.Reason, functionName: event.Name });
    }
    this.#arrive(instance, executionId, answer);
  }

  #failed<E extends TaskScheduled | SubOrchestrationCreated>(event: E, reason: string, details: FailureDetails | null) {
    const isActivity = event.EventType === EventType.TaskScheduled;
    return {
      ...this.#stamp(),
      EventType: isActivity ? EventType.TaskFailed : EventType.SubOrchestrationInstanceFailed,
      TaskScheduledId: event.EventId,
      Reason: reason,
      Details: exceptionDetails(reason),
      FailureDetails: details,
    };
  }

  #arrive(instance: Instance, executionId: string, event: ArrivedEvent): void {
    if (!this.#isCurrent(instance, executionId)) return;
    this.#commit([{ change: 'arrived', instanceId: instance.instanceId, event }]);
    this.#wake(instance);
  }

  #warn(instance: Instance, outcome: Outcome, scheduled: readonly ScheduledEvent[]): void {
    const warn = (message: string): void =>
      this.#options.log({
        level: 'warning',
        category: 'host',
        message: `${instance.instanceId}: ${message}`,
        functionName: instance.name,
      });
    for (const event of scheduled) {
      if (event.EventType === EventType.TaskScheduled && isBooleanArgument(event)) {
        warn(`activity '${event.Name}' gets a boolean, which arrives as the string "True" or "False"; pass an object`);
      }
    }
    if (outcome.kind !== 'running') return;
    if (outcome.stuck) {
      warn(
        'nothing is left to wait for, yet it has not ended: an error without a message does that; it stays Running, as on Azure',
      );
    }
    if (outcome.functionEnded && outcome.openTimers > 0) {
      warn(
        `the orchestrator has ended, but ${outcome.openTimers} timer(s) were not cancelled; it stays Running until they fire`,
      );
    }
  }

  #commit(changes: readonly Change[]): void {
    this.#journal.commit(changes);
  }

  #checkIdle(): void {
    const canRun = this.#isStopping ? 0 : this.#activities.length;
    if (this.#inEpisode.size > 0 || this.#runningActivities > 0 || canRun > 0) return;
    const waiters = this.#idleWaiters;
    this.#idleWaiters = [];
    for (const resolve of waiters) resolve();
  }

  #stamp(): { EventId: number; Timestamp: string } {
    return { EventId: -1, Timestamp: this.#now() };
  }

  #now(): string {
    return new Date(this.#clock.nowMs()).toISOString();
  }
}

/** Starting an instance under the id of one that has not ended. */
export class InstanceIsLive extends Error {
  override readonly name = 'InstanceIsLive';
}

function childRequest(event: SubOrchestrationCreated): StartRequest & { instanceId: string } {
  return { name: event.Name, instanceId: event.InstanceId, version: event.Version, input: event.Input };
}

function episodeEnd(instance: Instance, outcome: Outcome): EpisodeEnd | null {
  switch (outcome.kind) {
    case 'running':
      return null;
    case 'completed':
      return { kind: 'completed', output: outcome.output };
    case 'failed':
      return { kind: 'failed', output: `Orchestrator function '${instance.name}' failed: ${outcome.reason}` };
    case 'continued': {
      const input = outcome.input === undefined ? null : JSON.stringify(outcome.input);
      return { kind: 'continued', executionId: newId(), input, carriedOver: outcome.carriedOver };
    }
  }
}

/** The SDK puts details into the message, as JSON, where the app has set an exception properties provider. */
function failureDetails(error: unknown): FailureDetails | null {
  let payload: unknown;
  try {
    payload = JSON.parse(errorText(error));
  } catch {
    return null; // An ordinary message.
  }
  if (typeof payload !== 'object' || payload === null) return null;
  const { errorType, errorMessage, stackTrace, properties } = payload as Record<string, unknown>;
  if (typeof errorType !== 'string' || typeof errorMessage !== 'string') return null;
  return {
    ErrorType: errorType,
    ErrorMessage: errorMessage,
    StackTrace: typeof stackTrace === 'string' ? stackTrace : null,
    IsNonRetriable: false,
    Properties: (properties as Record<string, unknown> | undefined) ?? null,
    InnerFailure: null,
  };
}

function newId(): string {
  return randomBytes(16).toString('hex');
}
