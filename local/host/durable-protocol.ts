/**
 * The JSON that crosses the boundary between a Durable Functions host and the JavaScript SDK ("out-of-process"
 * protocol, schema V3): the history the host sends, and the actions the SDK answers with. Property names are the wire's.
 */

export const EventType = {
  ExecutionStarted: 0,
  TaskScheduled: 4,
  TaskCompleted: 5,
  TaskFailed: 6,
  SubOrchestrationInstanceCreated: 7,
  SubOrchestrationInstanceCompleted: 8,
  SubOrchestrationInstanceFailed: 9,
  TimerCreated: 10,
  TimerFired: 11,
  OrchestratorStarted: 12,
  OrchestratorCompleted: 13,
  EventRaised: 15,
} as const;

/** `EventId` is the sequence id of an event that schedules something, else -1. `Timestamp` is ISO 8601, UTC. */
interface EventBase<Type extends number> {
  EventType: Type;
  EventId: number;
  Timestamp: string;
}

export interface ExecutionStarted extends EventBase<typeof EventType.ExecutionStarted> {
  OrchestrationInstance: { InstanceId: string; ExecutionId: string };
  Name: string;
  Version: string;
  /** JSON text, or null where none was given. */
  Input: string | null;
}
export interface TaskScheduled extends EventBase<typeof EventType.TaskScheduled> {
  Name: string;
  /** JSON text of an array with the one argument. */
  Input: string;
}
export interface SubOrchestrationCreated extends EventBase<typeof EventType.SubOrchestrationInstanceCreated> {
  Name: string;
  Version: string;
  InstanceId: string;
  Input: string | null;
}
export interface TimerCreated extends EventBase<typeof EventType.TimerCreated> {
  FireAt: string;
}
export interface TaskCompleted
  extends EventBase<typeof EventType.TaskCompleted | typeof EventType.SubOrchestrationInstanceCompleted> {
  TaskScheduledId: number;
  /** JSON text; null stands for null. */
  Result: string | null;
}
export interface TaskFailed
  extends EventBase<typeof EventType.TaskFailed | typeof EventType.SubOrchestrationInstanceFailed> {
  TaskScheduledId: number;
  Reason: string;
  Details: string;
  FailureDetails: FailureDetails | null;
}
export interface TimerFired extends EventBase<typeof EventType.TimerFired> {
  TimerId: number;
  FireAt: string;
}
export interface EventRaised extends EventBase<typeof EventType.EventRaised> {
  Name: string;
  Input: string | null;
}
export interface EpisodeMark
  extends EventBase<typeof EventType.OrchestratorStarted | typeof EventType.OrchestratorCompleted> {}

export interface FailureDetails {
  ErrorType: string;
  ErrorMessage: string;
  StackTrace: string | null;
  IsNonRetriable: boolean;
  Properties: Record<string, unknown> | null;
  InnerFailure: FailureDetails | null;
}

/** What an episode schedules; `EventId` is the sequence id. */
export type ScheduledEvent = TaskScheduled | SubOrchestrationCreated | TimerCreated;
/** What arrives for an instance and starts its next episode. */
export type ArrivedEvent = ExecutionStarted | TaskCompleted | TaskFailed | TimerFired | EventRaised;
export type HistoryEvent = ScheduledEvent | ArrivedEvent | EpisodeMark;

export const ActionType = {
  CallActivity: 0,
  CallActivityWithRetry: 1,
  CallSubOrchestrator: 2,
  CallSubOrchestratorWithRetry: 3,
  ContinueAsNew: 4,
  CreateTimer: 5,
  WaitForExternalEvent: 6,
  CallEntity: 7,
  CallHttp: 8,
  SignalEntity: 9,
  ScheduledSignal: 10,
  WhenAny: 11,
  WhenAll: 12,
  LockEntities: 13,
  ReleaseEntities: 14,
} as const;

export interface RetryOptions {
  firstRetryIntervalInMilliseconds: number;
  maxNumberOfAttempts: number;
  backoffCoefficient?: number;
  maxRetryIntervalInMilliseconds?: number;
  retryTimeoutInMilliseconds?: number;
}

/** One action of the SDK's answer. Which fields are there depends on `actionType`. */
export interface Action {
  actionType: number;
  functionName?: string;
  input?: unknown;
  instanceId?: string;
  version?: string;
  retryOptions?: RetryOptions;
  fireAt?: string;
  isCanceled?: boolean;
  externalEventName?: string;
  compoundActions?: Action[];
}

/** The SDK's answer: every action since the execution started, flat, in an array of length one. */
export interface OrchestratorAnswer {
  isDone: boolean;
  actions: Action[][];
  schemaVersion?: number;
  output?: unknown;
  customStatus?: unknown;
  error?: string;
}

/** A duration in .NET notation. Timers longer than the first are made of legs of the second; both sides must agree. */
export const longestTimer = { text: '6.00:00:00', ms: 6 * 86_400_000 };
export const longTimerLeg = { text: '3.00:00:00', ms: 3 * 86_400_000 };

export interface TriggerPayload {
  instanceId: string;
  parentInstanceId: string | null;
  /** JSON text of the orchestration's input. */
  input: string | null;
  /** False only in the first episode of an execution. */
  isReplaying: boolean;
  /** JSON text: the history's events with `IsPlayed`, comma-separated. */
  historyItems: string;
}

/** The text that is bound to an orchestration trigger. Built from parts, so that old history is not serialised again. */
export function triggerText(payload: TriggerPayload): string {
  const rest = {
    instanceId: payload.instanceId,
    isReplaying: payload.isReplaying,
    parentInstanceId: payload.parentInstanceId,
    upperSchemaVersion: 1,
    upperSchemaVersionNew: 2,
    longRunningTimerIntervalDuration: longTimerLeg.text,
    maximumShortTimerDuration: longestTimer.text,
    defaultHttpAsyncRequestSleepTimeMillseconds: 30000,
  };
  return `{"history":[${payload.historyItems}],"input":${payload.input ?? 'null'},${JSON.stringify(rest).slice(1)}`;
}

/** History events as items for `TriggerPayload.historyItems`. */
export function historyItems(events: readonly HistoryEvent[], isPlayed: boolean): string {
  return events.map((event) => JSON.stringify({ ...event, IsPlayed: isPlayed })).join(',');
}

const failureMark = '$OutOfProcData$:';

/**
 * What an orchestrator function returned or threw, as the SDK's answer. An orchestration fails by throwing an error
 * whose message carries the answer; any other error is one of the SDK or of the host, and is thrown on.
 */
export function answerFromError(error: unknown): OrchestratorAnswer {
  const message = error instanceof Error ? error.message : String(error);
  const at = message.indexOf(failureMark);
  if (at < 0) throw error;
  return JSON.parse(message.slice(at + failureMark.length)) as OrchestratorAnswer;
}

/** `Details` of a failed task: the .NET exception as the extension serialises it. Apps see it at the end of `message`. */
export function exceptionDetails(message: string): string {
  return JSON.stringify({
    $type: 'System.Exception, System.Private.CoreLib',
    ClassName: 'System.Exception',
    Message: message,
    StackTraceString: null,
    RemoteStackTraceString: null,
    HResult: -2146233088,
    Source: null,
  });
}
