import type { HostSettings } from './app.ts';
import { webhookPath } from './client-binding.ts';
import { durableApi } from './durable-api.ts';
import type { DurableEngine } from './engine.ts';
import { eventGridPath, eventGridWebhook } from './event-grid.ts';
import { describeFunction } from './function-summary.ts';
import type { RegisteredFunction } from './functions-core.ts';
import { type HostKeys, type HttpAnswer, type HttpExchange, isAuthorized, json, plain } from './http-exchange.ts';
import { makeHttpTriggers } from './http-triggers.ts';
import type { Invoker } from './invoke.ts';
import { errorText, type Log } from './log.ts';
import type { TimerTriggers } from './timer-triggers.ts';

export type Router = (exchange: HttpExchange) => Promise<HttpAnswer>;

export interface RouterParts {
  functions: readonly RegisteredFunction[];
  settings: HostSettings;
  keys: HostKeys;
  invoker: Invoker;
  log: Log;
  engine: DurableEngine;
  timers: TimerTriggers;
  rpcPath: string;
}

/** Everything the host answers: functions, the two extensions' webhooks, the SDK's own calls, the admin API. */
export function makeRouter(parts: RouterParts): Router {
  const { functions, settings, keys, engine, rpcPath } = parts;
  const http = makeHttpTriggers(functions, { ...parts, routePrefix: settings.routePrefix });
  const durable = {
    engine,
    taskHub: settings.taskHub,
    systemKey: keys.system,
    isOrchestrator: (name: string) =>
      functions.some((fn) => fn.trigger.type === 'orchestrationTrigger' && fn.name === name),
  };
  return async (exchange) => {
    const path = exchange.url.pathname;
    if (path.startsWith(rpcPath)) return durableApi(durable, exchange, path.slice(rpcPath.length));
    if (path.startsWith(`${webhookPath}/`)) {
      if (!isAuthorized(exchange, 'system', keys)) return plain(401);
      return durableApi(durable, exchange, path.slice(webhookPath.length + 1));
    }
    if (path.toLowerCase() === eventGridPath.toLowerCase()) {
      return isAuthorized(exchange, 'system', keys) ? eventGridWebhook(exchange, functions, parts) : plain(401);
    }
    if (path.startsWith('/admin/')) {
      return isAuthorized(exchange, 'admin', keys) ? admin(exchange, parts) : plain(401);
    }
    return (await http(exchange)) ?? plain(404);
  };
}

/** The part of the admin API that is of use here: see whether the host runs, list functions, run one by hand. */
function admin(exchange: HttpExchange, { functions, settings, timers, invoker, log }: RouterParts): HttpAnswer {
  const path = exchange.url.pathname;
  if (path === '/admin/host/ping') return plain(200);
  if (path === '/admin/host/status') return json(200, { state: 'Running', version: 'embedded' });
  if (path === '/admin/functions')
    return json(
      200,
      functions.map((fn) => describeFunction(fn, settings.routePrefix)),
    );
  const name = /^\/admin\/functions\/([^/]+)$/.exec(path)?.[1];
  const fn = functions.find((one) => one.name === name);
  if (!fn) return plain(404);
  if (exchange.method !== 'POST') return plain(405);
  if (fn.trigger.type === 'timerTrigger') {
    void timers.runByHand(fn);
    return plain(202);
  }
  if (/^(http|orchestration|activity|entity)Trigger$/.test(fn.trigger.type)) {
    return plain(400, `a ${fn.trigger.type} is not run this way`);
  }
  let input: unknown;
  try {
    input = (JSON.parse(exchange.body.toString('utf8')) as { input?: unknown } | null)?.input;
  } catch {
    return plain(400, 'the body must be {"input": "…"}');
  }
  void invoker.invoke(fn, { trigger: { string: String(input ?? '') } }).catch((error: unknown) => {
    log({ level: 'error', category: 'host', functionName: fn.name, message: `${fn.name} failed: ${errorText(error)}` });
  });
  return plain(202);
}
