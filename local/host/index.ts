import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { applyLocalSettings, type HostSettings, loadApp, readHostSettings, replaceSettings } from './app.ts';
import { clientBindingText } from './client-binding.ts';
import { type Clock, ManualClock, systemClock } from './clock.ts';
import { lockDirectory } from './directory-lock.ts';
import { answerFromError, type OrchestratorAnswer } from './durable-protocol.ts';
import { DurableEngine } from './engine.ts';
import { describeFunction, type FunctionSummary } from './function-summary.ts';
import { FunctionsCore, type RegisteredFunction } from './functions-core.ts';
import { type HostKeys, plain, readExchange, writeAnswer } from './http-exchange.ts';
import { type Invoker, makeInvoker } from './invoke.ts';
import { Journal } from './journal.ts';
import { errorText, type Log } from './log.ts';
import { makeRouter, type Router } from './router.ts';
import { forbidTaskReuse } from './strict.ts';
import { makeTimerTriggers } from './timer-triggers.ts';
import { jsonFromTypedData } from './typed-data.ts';

export interface FunctionsHostOptions {
  /** Holds package.json (its `main` names the entry points), host.json and, if wanted, local.settings.json. */
  appDirectory: string;
  /** On 127.0.0.1; 0, the default, takes a free one. */
  port?: number;
  /** Where durable state is kept; without one it is in memory only. One host per directory. */
  stateDirectory?: string;
  /** App settings; these win over the environment, which wins over local.settings.json. */
  settings?: Readonly<Record<string, string>>;
  /** Default: `local-function-key`, `local-master-key`, `local-system-key`. They are always checked. */
  keys?: Partial<HostKeys>;
  /** Default: the system's clock, at `timeScale`. */
  clock?: Clock;
  /** Virtual seconds per real second, for durable timers and timer triggers; default 1. */
  timeScale?: number;
  /** Whether timer triggers run on their schedule; default true. By hand they always can. */
  timersEnabled?: boolean;
  log?: Log;
  /** Whether reusing a task in `Task.all` or `Task.any` is an error; default true. */
  strict?: boolean;
  /** How many answers one episode takes; default 32, the `controlQueueBatchSize` of Azure Storage. */
  maxMessagesPerEpisode?: number;
  /** How long `stop` waits for functions that run; default 5,000. */
  stopGraceMs?: number;
}

export interface FunctionsHost {
  /** `http://127.0.0.1:<port>` */
  url: string;
  port: number;
  keys: HostKeys;
  functions: FunctionSummary[];
  /**
   * Waits until no instance can go on by itself. With a `ManualClock` it moves time to the next alarm, again and again,
   * up to `untilMs`; switch timer triggers off, or give a limit, because they never end.
   */
  settle(untilMs?: number): Promise<void>;
  /** Lets running functions end, within the grace time. A host that is killed instead loses nothing either. */
  stop(): Promise<void>;
}

/**
 * Runs a compiled Azure Functions app (Node v4 programming model, Durable Functions v3) in this process, without Azure.
 *
 * One per process and lifetime: `@azure/functions` asks for its host once and keeps it. Nothing may have imported that
 * package before this is called.
 *
 * Errors: an entry point that does not load, `app.setup({ enableHttpStream: true })`, a schedule or route that cannot
 * be read, a port that is taken, a damaged journal.
 */
export async function startFunctionsHost(options: FunctionsHostOptions): Promise<FunctionsHost> {
  const log: Log = options.log ?? (() => {});
  const keys = checkedKeys(options.keys ?? {});
  const server = createServer();
  let becomeReady: (handle: Router | null) => void = () => {};
  const ready = new Promise<Router | null>((resolve) => {
    becomeReady = resolve;
  });
  const requests = new OpenRequests();
  server.on('request', (request: IncomingMessage, response: ServerResponse) => {
    requests.add(serve(request, response, ready, log));
  });
  const port = await listen(server, options.port ?? 0);
  const close = (): void => {
    server.close();
    server.closeAllConnections();
  };
  try {
    const host = await load(options, port, keys, log);
    becomeReady(host.handle);
    const stop = async (): Promise<void> => {
      await host.stop(requests);
      close();
    };
    return { url: host.origin, port, keys, functions: host.functions, settle: host.settle, stop };
  } catch (error) {
    becomeReady(null);
    close();
    throw error;
  }
}

/** The requests that are being answered, so that stopping can wait for them. */
class OpenRequests {
  readonly #open = new Set<Promise<void>>();

  add(answered: Promise<void>): void {
    this.#open.add(answered);
    void answered.finally(() => this.#open.delete(answered));
  }

  async whenNone(graceMs: number): Promise<void> {
    const timeout = new AbortController();
    const grace = setTimeout(graceMs, undefined, { signal: timeout.signal }).catch(() => {}); // Aborted: all are answered.
    await Promise.race([Promise.all(this.#open), grace]);
    timeout.abort();
  }
}

interface LoadedHost {
  origin: string;
  functions: FunctionSummary[];
  handle: Router;
  settle: (untilMs?: number) => Promise<void>;
  stop: (requests: OpenRequests) => Promise<void>;
}

async function load(options: FunctionsHostOptions, port: number, keys: HostKeys, log: Log): Promise<LoadedHost> {
  const origin = `http://127.0.0.1:${port}`;
  applyLocalSettings(options.appDirectory, options.settings ?? {});
  // Without it the SDK sends everyone to port 7071.
  process.env['WEBSITE_HOSTNAME'] = `127.0.0.1:${port}`;
  const raw = readHostSettings(options.appDirectory, { concurrentActivitiesMax: 10 * availableParallelism() });
  const settings = { ...raw, taskHub: replaceSettings(raw.taskHub) };
  const core = new FunctionsCore(log);
  core.install();
  await loadApp(options.appDirectory, core);
  if (options.strict ?? true) forbidTaskReuse(join(resolve(options.appDirectory), 'package.json'));

  const unlock = options.stateDirectory === undefined ? () => {} : await lockDirectory(options.stateDirectory);
  const journal = new Journal(options.stateDirectory ?? null);
  const clock = options.clock ?? systemClock({ timeScale: options.timeScale ?? 1, notBeforeMs: latestMs(journal) });
  // The SDK's own calls carry no key, so their path is a secret.
  const rpcPath = `/durabletask/${randomBytes(12).toString('hex')}/`;
  const binding = clientBindingText({
    origin,
    taskHub: settings.taskHub,
    systemKey: keys.system,
    rpcBaseUrl: `${origin}${rpcPath}`,
  });
  const invoker = makeInvoker(core, log, (type) => (type === 'durableClient' ? { string: binding } : undefined));
  const functions = [...core.functions.values()].filter((fn) => !isDisabled(fn));
  const engine = makeEngine(options, { clock, journal, log, settings, functions, invoker });
  const timers = makeTimerTriggers(functions, { clock, journal, invoker, log });
  const handle = makeRouter({ functions, settings, keys, invoker, log, engine, timers, rpcPath });
  for (const fn of functions) warnIfNotServed(fn, log);
  engine.start();
  if (options.timersEnabled ?? true) timers.start();

  return {
    origin,
    functions: functions.map((fn) => describeFunction(fn, settings.routePrefix)),
    handle,
    async settle(untilMs) {
      do await engine.whenIdle();
      while (clock instanceof ManualClock && clock.advanceToNext(untilMs));
    },
    async stop(requests) {
      const graceMs = options.stopGraceMs ?? 5000;
      timers.stop();
      await Promise.all([engine.stop(graceMs), requests.whenNone(graceMs)]);
      await core.runHooks('appTerminate', { hookData: {}, appHookData: core.appHookData });
      journal.close();
      unlock();
    },
  };
}

interface EngineParts {
  clock: Clock;
  journal: Journal;
  log: Log;
  settings: HostSettings;
  functions: readonly RegisteredFunction[];
  invoker: Invoker;
}

function makeEngine(options: FunctionsHostOptions, parts: EngineParts): DurableEngine {
  const { invoker } = parts;
  const byName = new Map(parts.functions.map((fn) => [`${fn.trigger.type} ${fn.name}`, fn]));
  const find = (type: string, name: string): RegisteredFunction => {
    const fn = byName.get(`${type} ${name}`);
    if (!fn) throw new Error(`The function '${name}' doesn't exist or is disabled.`);
    return fn;
  };
  return new DurableEngine({
    clock: parts.clock,
    journal: parts.journal,
    log: parts.log,
    maxMessagesPerEpisode: options.maxMessagesPerEpisode ?? 32,
    concurrentActivitiesMax: parts.settings.concurrentActivitiesMax,
    isKnown: (kind, name) => byName.has(`${kind}Trigger ${name}`),
    async runOrchestrator(name, trigger): Promise<OrchestratorAnswer> {
      const fn = find('orchestrationTrigger', name);
      try {
        const { returnValue } = await invoker.invoke(fn, { trigger: { string: trigger } });
        return JSON.parse(jsonFromTypedData(returnValue)) as OrchestratorAnswer;
      } catch (error) {
        return answerFromError(error);
      }
    },
    async runActivity(name, argument, instanceId) {
      const fn = find('activityTrigger', name);
      const triggerMetadata = { instanceId: { string: instanceId }, data: argument, [fn.triggerName]: argument };
      const { returnValue } = await invoker.invoke(fn, { trigger: argument, triggerMetadata });
      return jsonFromTypedData(returnValue);
    },
  });
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  ready: Promise<Router | null>,
  log: Log,
): Promise<void> {
  try {
    const exchange = await readExchange(request, 'localhost');
    if ('status' in exchange) {
      response.setHeader('connection', 'close');
      writeAnswer(response, exchange);
      return;
    }
    if (exchange.headers['transfer-encoding'] !== undefined) {
      log({
        level: 'warning',
        category: 'host',
        message: `${exchange.url.pathname}: a body without Content-Length is dropped, as on Azure`,
      });
    }
    const handle = await ready;
    writeAnswer(response, handle ? await handle(exchange) : plain(503));
  } catch (error) {
    if (!response.writableEnded)
      log({ level: 'error', category: 'host', message: `${request.url}: ${errorText(error)}` });
    if (!response.headersSent) response.statusCode = 500;
    response.end();
  }
}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve((server.address() as AddressInfo).port));
  });
}

function checkedKeys(given: Partial<HostKeys>): HostKeys {
  const keys = { function: 'local-function-key', master: 'local-master-key', system: 'local-system-key', ...given };
  for (const [name, key] of Object.entries(keys)) if (!key) throw new Error(`the ${name} key is empty`);
  return keys;
}

/** `AzureWebJobs.<name>.Disabled`, or with underscores where dots cannot be in a variable's name. */
function isDisabled({ name }: RegisteredFunction): boolean {
  const value = process.env[`AzureWebJobs.${name}.Disabled`] ?? process.env[`AzureWebJobs_${name}_Disabled`] ?? '';
  return /^(1|true)$/i.test(value);
}

const servedTriggers = new Set([
  'httpTrigger',
  'timerTrigger',
  'eventGridTrigger',
  'orchestrationTrigger',
  'activityTrigger',
]);

function warnIfNotServed(fn: RegisteredFunction, log: Log): void {
  if (servedTriggers.has(fn.trigger.type)) return;
  const message = `${fn.name}: the embedded host has no listener for ${fn.trigger.type}`;
  log({ level: 'warning', category: 'host', message, functionName: fn.name });
}

/** The latest moment the journal knows of: virtual time can be ahead of the real one. */
function latestMs(journal: Journal): number {
  let latest = 0;
  for (const { lastUpdatedAt } of journal.state.instances.values())
    latest = Math.max(latest, Date.parse(lastUpdatedAt));
  for (const { lastUpdated } of journal.state.timers.values()) latest = Math.max(latest, Date.parse(lastUpdated));
  return latest;
}
