import { existsSync, globSync, readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { FunctionsCore } from './functions-core.ts';
import { errorText } from './log.ts';

/** What the host uses of host.json, with the extension's defaults. */
export interface HostSettings {
  /** Without slashes at its ends; '' puts functions at the root. */
  routePrefix: string;
  /** As written: may name an app setting, `%NAME%`. */
  taskHub: string;
  concurrentActivitiesMax: number;
}

type JsonObject = Record<string, unknown>;

/** `Values` of local.settings.json; a variable that is set already is kept. A missing file is no error. */
export function applyLocalSettings(appDirectory: string, settings: Readonly<Record<string, string>>): void {
  const file = join(appDirectory, 'local.settings.json');
  const values = existsSync(file) ? (readJson(file)['Values'] ?? {}) : {};
  for (const [name, value] of Object.entries(values as Record<string, string>)) process.env[name] ??= String(value);
  for (const [name, value] of Object.entries(settings)) process.env[name] = value;
}

/** host.json, with `AzureFunctionsJobHost__a__b` variables over it, as the real host has it. */
export function readHostSettings(appDirectory: string, defaults: { concurrentActivitiesMax: number }): HostSettings {
  const file = join(appDirectory, 'host.json');
  const root: JsonObject = existsSync(file) ? readJson(file) : {};
  const prefix = 'AzureFunctionsJobHost__';
  for (const [name, value] of Object.entries(process.env)) {
    if (name.startsWith(prefix)) setPath(root, name.slice(prefix.length).split('__'), value);
  }
  const durable = getPath(root, ['extensions', 'durableTask']) ?? {};
  const routePrefix = getPath(root, ['extensions', 'http'])?.['routePrefix'] ?? 'api';
  const activities = Number(durable['maxConcurrentActivityFunctions'] ?? defaults.concurrentActivitiesMax);
  if (!Number.isInteger(activities) || activities < 1) {
    throw new Error(`host.json: maxConcurrentActivityFunctions must be a whole number from 1, not ${activities}`);
  }
  return {
    routePrefix: String(routePrefix).replace(/^\/+|\/+$/g, ''),
    taskHub: String(durable['hubName'] ?? 'TestHubName'),
    concurrentActivitiesMax: activities,
  };
}

/** Replaces `%NAME%` by the app setting of that name. Error: one that is not set. */
export function replaceSettings(text: string): string {
  return text.replace(/%([^%]+)%/g, (_, name: string) => {
    const value = process.env[name];
    if (value === undefined) throw new Error(`the app setting ${name} is not set, but "${text}" refers to it`);
    return value;
  });
}

/**
 * Imports every entry point that package.json's `main` names (a file or a glob), in the order of their names.
 *
 * Error: no match, or one of them throws; its message is the worker's, because people search for it.
 */
export async function loadApp(appDirectory: string, core: FunctionsCore): Promise<void> {
  const root = resolve(appDirectory);
  const manifest = readJson(join(root, 'package.json'));
  const pattern = typeof manifest['main'] === 'string' ? manifest['main'] : 'index.js';
  const files = globSync(pattern, { cwd: root })
    .map(String)
    .filter((file) => statSync(join(root, file)).isFile())
    .sort();
  if (files.length === 0) {
    throw new Error(
      `Worker was unable to load entry point "${pattern}": Found zero files matching the supplied pattern in ${root}. Is the app built?`,
    );
  }
  const require = createRequire(join(root, 'package.json'));
  for (const file of files) {
    const path = join(root, file);
    const isModule = file.endsWith('.mjs') || (manifest['type'] === 'module' && !file.endsWith('.cjs'));
    try {
      if (isModule) await import(pathToFileURL(path).href);
      else require(path);
    } catch (error) {
      throw new Error(`Worker was unable to load entry point "${file}": ${errorText(error)}`, { cause: error });
    }
  }
  await core.runHooks('appStart', { functionAppDirectory: root, hookData: {}, appHookData: core.appHookData });
  await requireRpcHttp(core);
  core.endLoading();
}

const workerCapabilities = [
  'RawHttpBodyBytes',
  'RpcHttpTriggerMetadataRemoved',
  'RpcHttpBodyOnly',
  'IgnoreEmptyValuedRpcHttpHeaders',
  'UseNullableValueDictionaryForHttp',
  'WorkerStatus',
  'TypedDataCollection',
  'HandlesWorkerTerminateMessage',
];

/** Locks `app.setup` and refuses the one mode that is missing here. */
async function requireRpcHttp(core: FunctionsCore): Promise<void> {
  const defaults = Object.fromEntries(workerCapabilities.map((name) => [name, 'true']));
  const capabilities = (await core.programmingModel.getCapabilities?.(defaults)) ?? defaults;
  if (capabilities['HttpUri'] !== undefined) {
    throw new Error('the app calls app.setup({ enableHttpStream: true }); the embedded host has no HTTP streaming');
  }
}

function readJson(file: string): JsonObject {
  try {
    return JSON.parse(readFileSync(file, 'utf8').replace(/^\uFEFF/, '')) as JsonObject;
  } catch (error) {
    throw new Error(`${file}: ${errorText(error)}`, { cause: error });
  }
}

function getPath(root: JsonObject, path: readonly string[]): JsonObject | undefined {
  let value: unknown = root;
  for (const name of path) value = isObject(value) ? value[name] : undefined;
  return isObject(value) ? value : undefined;
}

function setPath(root: JsonObject, path: readonly string[], value: unknown): void {
  let target = root;
  for (const name of path.slice(0, -1)) {
    const key = keyOf(target, name);
    if (!isObject(target[key])) target[key] = {};
    target = target[key] as JsonObject;
  }
  const last = path.at(-1);
  if (last !== undefined) target[keyOf(target, last)] = value;
}

/** Configuration names are not case-sensitive in .NET. */
function keyOf(target: JsonObject, name: string): string {
  return Object.keys(target).find((key) => key.toLowerCase() === name.toLowerCase()) ?? name;
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
