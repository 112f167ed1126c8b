import {
  type ArrivedEvent,
  type EventRaised,
  EventType,
  type HistoryEvent,
  historyItems,
  type ScheduledEvent,
} from './durable-protocol.ts';

export type RuntimeStatus = 'Pending' | 'Running' | 'Suspended' | 'Completed' | 'Failed' | 'Terminated';

export interface ParentLink {
  instanceId: string;
  executionId: string;
  /** The sequence id under which the parent waits. */
  taskId: number;
}

export interface Instance {
  instanceId: string;
  name: string;
  version: string;
  /** 32 hex digits; a new one after continueAsNew, so that answers to the old execution are recognised. */
  executionId: string;
  /** JSON text, or null. */
  input: string | null;
  parent: ParentLink | null;
  status: Exclude<RuntimeStatus, 'Suspended'>;
  isSuspended: boolean;
  customStatus: unknown;
  /** The result, or the reason of a failure or termination. */
  output: unknown;
  createdAt: string;
  lastUpdatedAt: string;
  history: HistoryEvent[];
  /** What has arrived and waits for the next episode. */
  inbox: ArrivedEvent[];
}

export type EpisodeEnd =
  | { kind: 'completed' | 'failed'; output: unknown }
  | { kind: 'continued'; executionId: string; input: string | null; carriedOver: EventRaised[] };

/** When a timer trigger ran and is due; the shape of `ScheduleStatus`. */
export interface TimerSchedule {
  last: string;
  next: string;
  lastUpdated: string;
}

/** Everything that changes the state. The journal is a list of these, and state is nothing but their sum. */
export type Change =
  | {
      change: 'started';
      instanceId: string;
      name: string;
      version: string;
      executionId: string;
      input: string | null;
      parent: ParentLink | null;
      at: string;
    }
  | { change: 'arrived'; instanceId: string; event: ArrivedEvent }
  | {
      change: 'episode';
      instanceId: string;
      at: string;
      taken: number;
      scheduled: ScheduledEvent[];
      customStatus: unknown;
      end: EpisodeEnd | null;
    }
  | { change: 'suspended' | 'resumed' | 'purged'; instanceId: string; at: string }
  | { change: 'terminated'; instanceId: string; at: string; reason: string }
  | { change: 'restored'; instance: Instance }
  | { change: 'timer'; name: string; schedule: TimerSchedule };

export interface HostState {
  instances: Map<string, Instance>;
  timers: Map<string, TimerSchedule>;
}

export function emptyState(): HostState {
  return { instances: new Map(), timers: new Map() };
}

/** Applies one change. A change of an instance that is not there (any more) does nothing. */
export function applyChange(state: HostState, change: Change): void {
  if (change.change === 'timer') {
    state.timers.set(change.name, change.schedule);
    return;
  }
  if (change.change === 'restored') {
    state.instances.set(change.instance.instanceId, change.instance);
    return;
  }
  if (change.change === 'started') {
    const { change: _, at, ...rest } = change;
    const instance: Instance = {
      ...rest,
      status: 'Pending',
      isSuspended: false,
      customStatus: null,
      output: null,
      createdAt: at,
      lastUpdatedAt: at,
      history: [],
      inbox: [],
    };
    instance.inbox.push(executionStarted(instance, at));
    state.instances.set(instance.instanceId, instance);
    return;
  }
  const instance = state.instances.get(change.instanceId);
  if (!instance) return;
  switch (change.change) {
    case 'arrived':
      instance.inbox.push(change.event);
      break;
    case 'episode':
      applyEpisode(instance, change);
      break;
    case 'suspended':
    case 'resumed':
      instance.isSuspended = change.change === 'suspended';
      instance.lastUpdatedAt = change.at;
      break;
    case 'terminated':
      finish(instance, 'Terminated', change.reason, change.at);
      break;
    case 'purged':
      state.instances.delete(change.instanceId);
      break;
  }
}

/** The shortest list of changes that makes this state. */
export function changesOf(state: HostState): Change[] {
  return [
    ...[...state.instances.values()].map((instance): Change => ({ change: 'restored', instance })),
    ...[...state.timers].map(([name, schedule]): Change => ({ change: 'timer', name, schedule })),
  ];
}

export function isFinished(instance: Instance): boolean {
  return instance.status !== 'Pending' && instance.status !== 'Running';
}

export function runtimeStatus(instance: Instance): RuntimeStatus {
  return instance.isSuspended && !isFinished(instance) ? 'Suspended' : instance.status;
}

/** The events of the episode that takes the first `taken` of the inbox. */
export function episodeEvents(instance: Instance, taken: number, at: string): HistoryEvent[] {
  const arrived = instance.inbox.slice(0, taken).map((event) => ({ ...event, Timestamp: at }));
  return [{ EventType: EventType.OrchestratorStarted, EventId: -1, Timestamp: at }, ...arrived];
}

/** What was scheduled and has neither an answer in the history nor one waiting in the inbox. */
export function unansweredEvents(instance: Instance): ScheduledEvent[] {
  const answered = new Set<number>();
  for (const event of [...instance.history, ...instance.inbox]) {
    if ('TaskScheduledId' in event) answered.add(event.TaskScheduledId);
    if ('TimerId' in event) answered.add(event.TimerId);
  }
  return instance.history.filter(
    (event): event is ScheduledEvent => event.EventId >= 0 && !answered.has(event.EventId),
  );
}

function applyEpisode(instance: Instance, episode: Extract<Change, { change: 'episode' }>): void {
  const { at, taken, scheduled, end } = episode;
  const mark: HistoryEvent = { EventType: EventType.OrchestratorCompleted, EventId: -1, Timestamp: at };
  const added = [...episodeEvents(instance, taken, at), ...scheduled, mark];
  for (const event of added) instance.history.push(event);
  instance.inbox.splice(0, taken);
  instance.status = 'Running';
  instance.customStatus = episode.customStatus;
  instance.lastUpdatedAt = at;
  rememberItems(instance, added);
  if (end?.kind === 'continued') continueAsNew(instance, end, at);
  else if (end) finish(instance, end.kind === 'completed' ? 'Completed' : 'Failed', end.output, at);
}

function continueAsNew(instance: Instance, end: Extract<EpisodeEnd, { kind: 'continued' }>, at: string): void {
  const waiting = instance.inbox.filter((event) => event.EventType === EventType.EventRaised);
  instance.executionId = end.executionId;
  instance.input = end.input;
  instance.history = [];
  instance.inbox = [executionStarted(instance, at), ...end.carriedOver, ...waiting];
  playedItems.delete(instance);
}

function finish(instance: Instance, status: 'Completed' | 'Failed' | 'Terminated', output: unknown, at: string): void {
  instance.status = status;
  instance.output = output;
  instance.lastUpdatedAt = at;
  instance.inbox = [];
  playedItems.delete(instance);
}

function executionStarted(instance: Instance, at: string): ArrivedEvent {
  return {
    EventType: EventType.ExecutionStarted,
    EventId: -1,
    Timestamp: at,
    OrchestrationInstance: { InstanceId: instance.instanceId, ExecutionId: instance.executionId },
    Name: instance.name,
    Version: instance.version,
    Input: instance.input,
  };
}

/** Old history as text. Serialising it anew in each episode would make a long orchestration quadratic twice over. */
const playedItems = new WeakMap<Instance, string>();

export function playedHistoryItems(instance: Instance): string {
  let items = playedItems.get(instance);
  if (items === undefined) {
    items = historyItems(instance.history, true);
    playedItems.set(instance, items);
  }
  return items;
}

function rememberItems(instance: Instance, added: readonly HistoryEvent[]): void {
  const items = playedItems.get(instance);
  if (items !== undefined)
    playedItems.set(instance, [items, historyItems(added, true)].filter((text) => text).join(','));
}
