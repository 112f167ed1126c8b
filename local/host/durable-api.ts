import { managementUrls } from './client-binding.ts';
import { type DurableEngine, InstanceIsLive } from './engine.ts';
import { type HttpAnswer, type HttpExchange, json, plain } from './http-exchange.ts';
import { statusPayload } from './instance-view.ts';
import { type Instance, isFinished, runtimeStatus } from './instances.ts';
import { errorText } from './log.ts';

export interface DurableApiOptions {
  engine: DurableEngine;
  taskHub: string;
  systemKey: string;
  isOrchestrator: (name: string) => boolean;
}

/**
 * The management API of the Durable Functions extension, for the SDK's own calls and for webhooks alike.
 *
 * @param path  what follows the base URL: `instances/<id>/raiseEvent/<name>`, `orchestrators/<name>` …
 */
export async function durableApi(
  options: DurableApiOptions,
  exchange: HttpExchange,
  path: string,
): Promise<HttpAnswer> {
  const parts = path.replace(/\/+$/, '').split('/').map(decode);
  const [area, first, operation, name] = parts;
  if (area === 'orchestrators' && first && exchange.method === 'POST')
    return start(options, exchange, first, operation);
  if (area !== 'instances')
    return area === 'entities' ? plain(501, 'no durable entities in the embedded host') : plain(404);
  if (!first) {
    if (exchange.method === 'GET') return list(options.engine, exchange);
    return exchange.method === 'DELETE' ? purgeMany(options.engine, exchange) : plain(405);
  }
  const instance = options.engine.instances.get(first);
  if (!instance) return plain(404, `No instance with ID '${first}' found.`);
  if (!operation) {
    if (exchange.method === 'GET') return status(instance, exchange);
    if (exchange.method !== 'DELETE') return plain(405);
    options.engine.purge(instance);
    return json(200, { instancesDeleted: 1 });
  }
  return exchange.method === 'POST' ? operate(options, exchange, instance, operation, name) : plain(405);
}

function operate(
  options: DurableApiOptions,
  exchange: HttpExchange,
  instance: Instance,
  operation: string,
  eventName: string | undefined,
): HttpAnswer {
  const { engine } = options;
  if (operation === 'restart') {
    if (!isFinished(instance)) return plain(409, `instance '${instance.instanceId}' has not ended`);
    const isNew = exchange.url.searchParams.get('restartWithNewInstanceId') !== 'false';
    const { name, version, input, instanceId } = instance;
    const started = engine.startInstance({ name, version, input, ...(isNew ? {} : { instanceId }) });
    return accepted(options, exchange, started);
  }
  if (operation === 'rewind') return plain(501, 'the embedded host does not rewind');
  if (isFinished(instance)) return plain(410);
  switch (operation) {
    case 'raiseEvent': {
      if (!eventName) return plain(400, 'the event has no name');
      const invalid = invalidJson(exchange.body);
      if (invalid) return invalid;
      engine.raiseEvent(instance, eventName, exchange.body.toString('utf8'));
      return plain(202);
    }
    case 'terminate':
      engine.terminate(instance, exchange.url.searchParams.get('reason') ?? '');
      return plain(202);
    case 'suspend':
      engine.suspend(instance);
      return plain(202);
    case 'resume':
      engine.resume(instance);
      return plain(202);
    default:
      return plain(404);
  }
}

async function start(
  options: DurableApiOptions,
  exchange: HttpExchange,
  name: string,
  instanceId: string | undefined,
): Promise<HttpAnswer> {
  if (!options.isOrchestrator(name)) {
    return plain(400, `The function '${name}' doesn't exist, is disabled, or is not an orchestrator function.`);
  }
  const invalid = instanceId === undefined ? null : invalidInstanceId(instanceId);
  if (invalid) return plain(400, invalid);
  const query = exchange.url.searchParams;
  // Without an input the SDK posts an empty JSON string, which is then the input, here as on Azure.
  const input = exchange.body.length > 0 ? exchange.body.toString('utf8') : null;
  const wrong = input === null ? null : invalidJson(exchange.body);
  if (wrong) return wrong;
  try {
    const instance = options.engine.startInstance({
      name,
      input,
      version: query.get('version') ?? '',
      ...(instanceId === undefined ? {} : { instanceId }),
    });
    const timeoutSeconds = Number(query.get('timeout') ?? 0);
    if (timeoutSeconds > 0) await waitForEnd(instance, timeoutSeconds, Number(query.get('pollingInterval') ?? 1));
    if (timeoutSeconds > 0 && isFinished(instance)) return json(200, instance.output);
    return accepted(options, exchange, instance);
  } catch (error) {
    if (error instanceof InstanceIsLive) return plain(409, errorText(error));
    throw error;
  }
}

function accepted(options: DurableApiOptions, exchange: HttpExchange, instance: Instance): HttpAnswer {
  const urls = managementUrls(exchange.url.origin, options.taskHub, options.systemKey, instance.instanceId);
  return json(202, urls, { location: urls['statusQueryGetUri'] ?? '', 'retry-after': '10' });
}

async function waitForEnd(instance: Instance, timeoutSeconds: number, intervalSeconds: number): Promise<void> {
  const untilMs = performance.now() + timeoutSeconds * 1000;
  while (!isFinished(instance) && performance.now() < untilMs) {
    await new Promise((resolve) => setTimeout(resolve, Math.max(0.01, intervalSeconds) * 1000));
  }
}

function status(instance: Instance, exchange: HttpExchange): HttpAnswer {
  const query = exchange.url.searchParams;
  const body = statusPayload(instance, {
    showInput: query.get('showInput') !== 'false',
    showHistory: query.get('showHistory') === 'true',
    showHistoryOutput: query.get('showHistoryOutput') === 'true',
  });
  if (!isFinished(instance)) return json(202, body, { location: exchange.url.href, 'retry-after': '5' });
  const failsLoudly = instance.status === 'Failed' && query.get('returnInternalServerErrorOnFailure') === 'true';
  return json(failsLoudly ? 500 : 200, body);
}

function list(engine: DurableEngine, exchange: HttpExchange): HttpAnswer {
  const query = exchange.url.searchParams;
  const found = filtered(engine, query).sort(
    (a, b) => compare(a.createdAt, b.createdAt) || compare(a.instanceId, b.instanceId),
  );
  const top = Math.max(1, Number(query.get('top') ?? 100) || 100);
  const after = exchange.headers['x-ms-continuation-token'];
  const start = after ? Number(Buffer.from(after, 'base64').toString('utf8')) || 0 : 0;
  const page = found.slice(start, start + top).map((instance) =>
    statusPayload(instance, {
      showInput: query.get('showInput') !== 'false',
      showHistory: false,
      showHistoryOutput: false,
    }),
  );
  const next = start + top;
  const token = next < found.length ? { 'x-ms-continuation-token': Buffer.from(String(next)).toString('base64') } : {};
  return json(200, page, token);
}

function purgeMany(engine: DurableEngine, exchange: HttpExchange): HttpAnswer {
  const query = exchange.url.searchParams;
  if (!query.get('createdTimeFrom')) return plain(400, 'createdTimeFrom is required');
  const ended = filtered(engine, query).filter(isFinished);
  for (const instance of ended) engine.purge(instance);
  return ended.length > 0 ? json(200, { instancesDeleted: ended.length }) : plain(404);
}

function filtered(engine: DurableEngine, query: URLSearchParams): Instance[] {
  const fromMs = Date.parse(query.get('createdTimeFrom') ?? '') || Number.NEGATIVE_INFINITY;
  const toMs = Date.parse(query.get('createdTimeTo') ?? '') || Number.POSITIVE_INFINITY;
  const statuses = new Set((query.get('runtimeStatus') ?? '').split(',').filter((text) => text !== ''));
  const prefix = query.get('instanceIdPrefix') ?? '';
  return [...engine.instances.values()].filter((instance) => {
    const createdMs = Date.parse(instance.createdAt);
    if (createdMs < fromMs || createdMs > toMs || !instance.instanceId.startsWith(prefix)) return false;
    return statuses.size === 0 || statuses.has(runtimeStatus(instance));
  });
}

function invalidInstanceId(instanceId: string): string | null {
  const isValid = instanceId.length <= 100 && !/^@|[/\\#?\u0000-\u001f\u007f-\u009f]/.test(instanceId);
  return isValid
    ? null
    : 'Instance IDs have at most 100 characters, do not start with @ and have no / \\ # ? or control characters.';
}

function invalidJson(body: Buffer): HttpAnswer | null {
  try {
    JSON.parse(body.toString('utf8'));
    return null;
  } catch (error) {
    return json(400, {
      Message: 'Invalid JSON content',
      ExceptionMessage: errorText(error),
      ExceptionType: 'SyntaxError',
    });
  }
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // A stray percent sign stands for itself.
  }
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
