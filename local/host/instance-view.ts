import { EventType, type HistoryEvent, type ScheduledEvent } from './durable-protocol.ts';
import { type Instance, isFinished, runtimeStatus } from './instances.ts';

export interface StatusOptions {
  showInput: boolean;
  showHistory: boolean;
  /** Results and inputs of the history's tasks. */
  showHistoryOutput: boolean;
}

/** An instance as the management API shows it. */
export function statusPayload(instance: Instance, options: StatusOptions): Record<string, unknown> {
  return {
    name: instance.name,
    instanceId: instance.instanceId,
    runtimeStatus: runtimeStatus(instance),
    input: options.showInput ? parsedText(instance.input) : null,
    customStatus: instance.customStatus,
    output: instance.output,
    createdTime: seconds(instance.createdAt),
    lastUpdatedTime: seconds(instance.lastUpdatedAt),
    ...(options.showHistory ? { historyEvents: historyView(instance, options.showHistoryOutput) } : {}),
  };
}

/** History for people: names instead of numbers, and a task as one entry, at the time it ended. */
function historyView(instance: Instance, showOutput: boolean): Record<string, unknown>[] {
  const scheduled = new Map<number, ScheduledEvent>();
  const entries: Record<string, unknown>[] = [];
  for (const event of instance.history) {
    if (event.EventId >= 0) scheduled.set(event.EventId, event as ScheduledEvent);
    const entry = historyEntry(event, scheduled, showOutput);
    if (entry) entries.push({ EventType: entry['EventType'], Timestamp: event.Timestamp, ...entry });
  }
  if (isFinished(instance)) {
    entries.push({
      EventType: instance.status === 'Terminated' ? 'ExecutionTerminated' : 'ExecutionCompleted',
      Timestamp: instance.lastUpdatedAt,
      OrchestrationStatus: instance.status,
      ...(showOutput ? { Result: instance.output } : {}),
    });
  }
  return entries;
}

function historyEntry(
  event: HistoryEvent,
  scheduled: ReadonlyMap<number, ScheduledEvent>,
  showOutput: boolean,
): Record<string, unknown> | null {
  switch (event.EventType) {
    case EventType.ExecutionStarted:
      return { EventType: 'ExecutionStarted', FunctionName: event.Name, ...(showOutput ? { Input: event.Input } : {}) };
    case EventType.TimerCreated:
      return { EventType: 'TimerCreated', FireAt: event.FireAt };
    case EventType.TimerFired:
      return { EventType: 'TimerFired', FireAt: event.FireAt };
    case EventType.EventRaised:
      return { EventType: 'EventRaised', Name: event.Name, ...(showOutput ? { Input: event.Input } : {}) };
    case EventType.TaskCompleted:
    case EventType.SubOrchestrationInstanceCompleted: {
      const isActivity = event.EventType === EventType.TaskCompleted;
      return {
        EventType: isActivity ? 'TaskCompleted' : 'SubOrchestrationInstanceCompleted',
        ...(showOutput ? { Result: parsedText(event.Result) } : {}),
        ...origin(scheduled.get(event.TaskScheduledId), showOutput),
      };
    }
    case EventType.TaskFailed:
    case EventType.SubOrchestrationInstanceFailed: {
      const isActivity = event.EventType === EventType.TaskFailed;
      return {
        EventType: isActivity ? 'TaskFailed' : 'SubOrchestrationInstanceFailed',
        Reason: event.Reason,
        ...origin(scheduled.get(event.TaskScheduledId), showOutput),
      };
    }
    default:
      return null;
  }
}

function origin(event: ScheduledEvent | undefined, showOutput: boolean): Record<string, unknown> {
  if (!event || event.EventType === EventType.TimerCreated) return {};
  return { ScheduledTime: event.Timestamp, FunctionName: event.Name, ...(showOutput ? { Input: event.Input } : {}) };
}

/** JSON text as its value; text that is no JSON as itself. */
function parsedText(text: string | null): unknown {
  if (text === null) return null;
  try {
    return JSON.parse(text);
  } catch {
    return text; // Written by a client that sent no JSON.
  }
}

function seconds(iso: string): string {
  return `${iso.slice(0, 19)}Z`;
}
