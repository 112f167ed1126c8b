import type { RegisteredFunction } from './functions-core.ts';
import { httpRoute } from './http-triggers.ts';

export interface FunctionSummary {
  name: string;
  /** `httpTrigger`, `orchestrationTrigger` … */
  triggerType: string;
  /** What the trigger listens to: `POST,GET /api/runs (function)`, a schedule as written; '' where there is nothing to say. */
  listensTo: string;
  /** The other bindings, as `in:durableClient`, `out:http`. */
  bindings: string[];
}

export function describeFunction(fn: RegisteredFunction, routePrefix: string): FunctionSummary {
  const bindings = Object.entries(fn.metadata.bindings)
    .filter(([name]) => name !== fn.triggerName)
    .map(([, { direction, type }]) => `${direction}:${type}`);
  return { name: fn.name, triggerType: fn.trigger.type, listensTo: listensTo(fn, routePrefix), bindings };
}

function listensTo(fn: RegisteredFunction, routePrefix: string): string {
  const { trigger } = fn;
  switch (trigger.type) {
    case 'httpTrigger': {
      const methods = (trigger['methods'] as string[] | undefined) ?? ['GET', 'POST'];
      return `${methods.join(',')} ${httpRoute(fn, routePrefix)} (${String(trigger['authLevel'] ?? 'anonymous')})`;
    }
    case 'timerTrigger':
      return String(trigger['schedule'] ?? '');
    default: {
      const source = trigger['queueName'] ?? trigger['path'] ?? trigger['topicName'] ?? trigger['eventHubName'];
      return source === undefined ? '' : String(source);
    }
  }
}
