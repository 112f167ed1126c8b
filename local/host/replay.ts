import {
  type Action,
  ActionType,
  type EventRaised,
  EventType,
  type HistoryEvent,
  longestTimer,
  longTimerLeg,
  type OrchestratorAnswer,
  type RetryOptions,
  type ScheduledEvent,
} from './durable-protocol.ts';

/** What one episode decided. */
export interface Decision {
  /** What the answer asks for and the history does not have yet, by ascending sequence id. */
  scheduled: ScheduledEvent[];
  outcome: Outcome;
}

export type Outcome =
  | {
      kind: 'running';
      /** The orchestrator function itself has ended, but something it started has not. */
      functionEnded: boolean;
      /** Timers nobody cancelled that have not fired. */
      openTimers: number;
      /** Nothing that could still happen would wake the orchestrator: a trap of the protocol, not of the app's logic. */
      stuck: boolean;
    }
  | { kind: 'completed'; output: unknown }
  | { kind: 'failed'; reason: string }
  | { kind: 'continued'; input: unknown; carriedOver: EventRaised[] };

export interface ReplayOptions {
  instanceId: string;
  /** 32 hex digits; a sub-orchestration without an id of its own is called `<executionId>:<sequence id>`. */
  executionId: string;
  /** Whether a function of that kind is registered; the default says yes. */
  isKnown?: (kind: 'activity' | 'orchestration', name: string) => boolean;
}

/**
 * Replays the whole answer of the SDK against the whole history and says what has to happen now.
 *
 * The protocol has no ids: the SDK and the host both count. So the host must invoke one action after the other,
 * awaiting each, exactly as the .NET extension does (`WhenAll` waits for every child even after a failure, a retried
 * task takes ids as its attempts complete), and must start from nothing each time, because an action that was sent
 * before can come back changed: a timer is cancelled long after it was created.
 *
 * @param history  every event of the execution, those of the episode that was just answered included
 * @returns        never throws on a history that disagrees with the answer: that is the outcome `failed`
 */
export function replay(history: readonly HistoryEvent[], answer: OrchestratorAnswer, options: ReplayOptions): Decision {
  const run = new Replay(answer.actions.flat(), options);
  try {
    for (const event of history) run.process(event);
  } catch (error) {
    if (!(error instanceof ReplayFailure)) throw error;
    return { scheduled: [], outcome: { kind: 'failed', reason: error.message } };
  }
  return { scheduled: run.unrecorded(), outcome: run.outcome(answer) };
}

class ReplayFailure extends Error {}

type ScheduledDraft = ScheduledEvent & { recorded: boolean };

/** A task as the host sees it. `onChild` is how a compound or retried task learns that a part of it has ended. */
class Task {
  done = false;
  succeeded = false;
  cancelled = false;
  isTimer = false;
  parent: Task | null = null;
  onChild: ((child: Task) => void) | null = null;

  end(succeeded: boolean): void {
    // A second answer to the same call is possible: activities run at least once.
    if (this.done) return;
    this.done = true;
    this.succeeded = succeeded;
    this.parent?.onChild?.(this);
  }
}

class Replay {
  readonly #actions: readonly Action[];
  readonly #options: ReplayOptions;
  #cursor = 0;
  #awaited: Task | null = null;
  #nowMs = 0;
  #nextId = 0;
  readonly #drafts: ScheduledDraft[] = [];
  readonly #tasks: Task[] = [];
  readonly #listeners = new Map<string, Task[]>();
  readonly #buffered = new Map<string, EventRaised[]>();
  #continuedWith: { input: unknown } | null = null;
  readonly #carriedOver: EventRaised[] = [];

  constructor(actions: readonly Action[], options: ReplayOptions) {
    this.#actions = actions;
    this.#options = options;
  }

  process(event: HistoryEvent): void {
    switch (event.EventType) {
      case EventType.OrchestratorStarted:
        this.#nowMs = Date.parse(event.Timestamp);
        break;
      case EventType.ExecutionStarted:
        this.#advance();
        break;
      case EventType.TaskScheduled:
      case EventType.SubOrchestrationInstanceCreated:
      case EventType.TimerCreated:
        this.#checkRecorded(event);
        break;
      case EventType.TaskCompleted:
      case EventType.SubOrchestrationInstanceCompleted:
        this.#end(event.TaskScheduledId, true);
        break;
      case EventType.TaskFailed:
      case EventType.SubOrchestrationInstanceFailed:
        this.#end(event.TaskScheduledId, false);
        break;
      case EventType.TimerFired:
        this.#end(event.TimerId, true);
        break;
      case EventType.EventRaised:
        this.#raise(event);
        break;
      case EventType.OrchestratorCompleted:
        break;
    }
  }

  unrecorded(): ScheduledEvent[] {
    return this.#drafts.filter((draft) => !draft.recorded).map(({ recorded: _, ...event }) => event);
  }

  outcome(answer: OrchestratorAnswer): Outcome {
    const isThrough = this.#cursor === this.#actions.length && this.#isAwaitOver();
    const open = this.#tasks.filter((task) => !task.done && !task.cancelled);
    const functionEnded = answer.isDone || answer.error !== undefined;
    if (!isThrough || open.length > 0 || (!answer.isDone && !answer.error)) {
      const isWaiting = open.length > 0 || !isThrough;
      return { kind: 'running', functionEnded, openTimers: open.filter((t) => t.isTimer).length, stuck: !isWaiting };
    }
    if (this.#continuedWith) {
      return { kind: 'continued', input: this.#continuedWith.input, carriedOver: this.#carriedOver };
    }
    return answer.error
      ? { kind: 'failed', reason: answer.error }
      : { kind: 'completed', output: answer.output ?? null };
  }

  #advance(): void {
    while (this.#cursor < this.#actions.length && this.#isAwaitOver()) {
      this.#awaited = this.#invoke(this.#actions[this.#cursor++] as Action);
    }
  }

  #isAwaitOver(): boolean {
    return this.#awaited === null || this.#awaited.done || this.#awaited.cancelled;
  }

  #invoke(action: Action): Task {
    switch (action.actionType) {
      case ActionType.CallActivity:
        return this.#callActivity(action);
      case ActionType.CallActivityWithRetry:
        return this.#retried(action.retryOptions, () => this.#callActivity(action));
      case ActionType.CallSubOrchestrator:
        return this.#callSubOrchestrator(action);
      case ActionType.CallSubOrchestratorWithRetry:
        return this.#retried(action.retryOptions, () => this.#callSubOrchestrator(action));
      case ActionType.CreateTimer:
        return this.#createTimer(Date.parse(action.fireAt ?? ''), action.isCanceled === true);
      case ActionType.WaitForExternalEvent:
        return this.#waitForEvent(action.externalEventName ?? '');
      case ActionType.ContinueAsNew:
        this.#continuedWith = { input: action.input };
        return ended();
      case ActionType.WhenAll:
      case ActionType.WhenAny:
        return this.#compound(action);
      default:
        throw new ReplayFailure(
          `${actionName(action.actionType)} is not supported by the embedded host (durable entities and callHttp are not part of it)`,
        );
    }
  }

  #schedule(draft: ScheduledEvent): Task {
    const task = new Task();
    this.#drafts.push({ ...draft, recorded: false });
    this.#tasks.push(task);
    return task;
  }

  #stamp(): { EventId: number; Timestamp: string } {
    return { EventId: this.#nextId++, Timestamp: new Date(this.#nowMs).toISOString() };
  }

  #callActivity(action: Action): Task {
    const name = action.functionName ?? '';
    this.#requireKnown('activity', name);
    const input = JSON.stringify([action.input ?? null]);
    return this.#schedule({ ...this.#stamp(), EventType: EventType.TaskScheduled, Name: name, Input: input });
  }

  #callSubOrchestrator(action: Action): Task {
    const name = action.functionName ?? '';
    this.#requireKnown('orchestration', name);
    const stamp = this.#stamp();
    return this.#schedule({
      ...stamp,
      EventType: EventType.SubOrchestrationInstanceCreated,
      Name: name,
      Version: action.version ?? '',
      InstanceId: action.instanceId || `${this.#options.executionId}:${stamp.EventId}`,
      Input: action.input === undefined ? null : JSON.stringify(action.input),
    });
  }

  #requireKnown(kind: 'activity' | 'orchestration', name: string): void {
    if (this.#options.isKnown?.(kind, name) ?? true) return;
    const article = kind === 'activity' ? 'an activity' : 'an orchestrator';
    throw new ReplayFailure(`The function '${name}' doesn't exist, is disabled, or is not ${article} function.`);
  }

  /** A timer beyond the longest one is made of legs, each with a sequence id, as the SDK counts them. */
  #createTimer(fireAtMs: number, isCanceled: boolean): Task {
    const leg = (): Task => {
      const isLong = fireAtMs - this.#nowMs > longestTimer.ms;
      const at = new Date(isLong ? this.#nowMs + longTimerLeg.ms : fireAtMs).toISOString();
      const task = this.#schedule({ ...this.#stamp(), EventType: EventType.TimerCreated, FireAt: at });
      task.isTimer = true;
      task.cancelled = isCanceled;
      return task;
    };
    if (isCanceled || fireAtMs - this.#nowMs <= longestTimer.ms) return leg();
    const whole = new Task();
    const next = (): void => {
      const task = leg();
      task.parent = whole;
    };
    whole.onChild = () => {
      if (fireAtMs > this.#nowMs) next();
      else whole.end(true);
    };
    next();
    return whole;
  }

  #waitForEvent(name: string): Task {
    const buffered = this.#buffered.get(name);
    if (buffered?.shift()) return ended();
    const task = new Task();
    const listeners = this.#listeners.get(name);
    if (listeners) listeners.push(task);
    else this.#listeners.set(name, [task]);
    return task;
  }

  /** The last listener is served first; that is how the extension and the SDK both do it. */
  #raise(event: EventRaised): void {
    if (this.#continuedWith) {
      this.#carriedOver.push(event);
      return;
    }
    const listener = this.#listeners.get(event.Name)?.pop();
    if (listener) {
      listener.end(true);
      this.#advance();
      return;
    }
    const buffered = this.#buffered.get(event.Name);
    if (buffered) buffered.push(event);
    else this.#buffered.set(event.Name, [event]);
  }

  #compound(action: Action): Task {
    const whole = new Task();
    const children = (action.compoundActions ?? []).map((child) => this.#invoke(child));
    // A cancelled timer never wins: it was cancelled because something else had.
    const live = children.filter((child) => !child.cancelled);
    const isAll = action.actionType === ActionType.WhenAll;
    let open = live.filter((child) => !child.done).length;
    if (isAll ? open === 0 : live.length === 0 || open < live.length) {
      whole.done = true;
      return whole;
    }
    for (const child of live) child.parent = whole;
    whole.onChild = () => {
      open -= 1;
      if (!isAll || open === 0) whole.end(true);
    };
    return whole;
  }

  /**
   * Attempt, timer, attempt, timer … After the last failure there is one more timer, which fires at once: the SDK waits
   * for it before it throws. Where `retryTimeoutInMilliseconds` is used up there is none, and the SDK waits forever.
   */
  #retried(retry: RetryOptions | undefined, attempt: () => Task): Task {
    if (!retry) throw new ReplayFailure('a call with retry came without retry options');
    const whole = new Task();
    const startedMs = this.#nowMs;
    let failures = 0;
    let isDelay = false;
    const follow = (task: Task, delay: boolean): void => {
      isDelay = delay;
      task.parent = whole;
    };
    whole.onChild = (child) => {
      if (isDelay) {
        if (failures >= retry.maxNumberOfAttempts) whole.end(false);
        else follow(attempt(), false);
        return;
      }
      if (child.succeeded) {
        whole.end(true);
        return;
      }
      failures += 1;
      const timeoutMs = retry.retryTimeoutInMilliseconds ?? Number.POSITIVE_INFINITY;
      if (this.#nowMs - startedMs >= timeoutMs) {
        whole.end(false);
        return;
      }
      const isLast = failures >= retry.maxNumberOfAttempts;
      follow(this.#createTimer(this.#nowMs + (isLast ? 0 : delayMs(retry, failures)), false), true);
    };
    follow(attempt(), false);
    return whole;
  }

  #end(id: number, succeeded: boolean): void {
    this.#tasks[id]?.end(succeeded);
    this.#advance();
  }

  #checkRecorded(event: ScheduledEvent): void {
    const draft = this.#drafts[event.EventId];
    if (draft && sameCall(draft, event)) {
      draft.recorded = true;
      return;
    }
    const now = draft ? `schedules ${describe(draft)} there` : 'does not schedule anything with that id';
    throw new ReplayFailure(
      `Non-Deterministic workflow detected: a previous execution scheduled ${describe(event)} with sequence id ${event.EventId}, ` +
        `but the replay ${now}. Was the orchestrator changed while this instance ran, or does it use a clock, random values or I/O?`,
    );
  }
}

function ended(): Task {
  const task = new Task();
  task.done = true;
  task.succeeded = true;
  return task;
}

function delayMs(retry: RetryOptions, failures: number): number {
  const delay = retry.firstRetryIntervalInMilliseconds * (retry.backoffCoefficient ?? 1) ** (failures - 1);
  return Math.min(delay, retry.maxRetryIntervalInMilliseconds ?? Number.POSITIVE_INFINITY);
}

function sameCall(a: ScheduledEvent, b: ScheduledEvent): boolean {
  if (a.EventType !== b.EventType) return false;
  return a.EventType === EventType.TimerCreated || a.Name === (b as { Name?: string }).Name;
}

function describe(event: ScheduledEvent): string {
  if (event.EventType === EventType.TimerCreated) return 'a timer';
  const kind = event.EventType === EventType.TaskScheduled ? 'the activity' : 'the sub-orchestration';
  return `${kind} '${event.Name}'`;
}

function actionName(type: number): string {
  return Object.entries(ActionType).find(([, value]) => value === type)?.[0] ?? `action ${type}`;
}
