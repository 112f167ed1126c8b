import Module from 'node:module';
import type { Log, LogLevel } from './log.ts';
import type { TypedData } from './typed-data.ts';

export interface Binding {
  type: string;
  direction: 'in' | 'out' | 'inout';
  [option: string]: unknown;
}

export interface FunctionMetadata {
  name: string;
  functionId?: string;
  bindings: Record<string, Binding>;
}

export type FunctionCallback = (...args: unknown[]) => unknown;

export interface RegisteredFunction {
  name: string;
  metadata: FunctionMetadata;
  callback: FunctionCallback;
  /** The trigger binding and its name; the name is a hash the library makes. */
  triggerName: string;
  trigger: Binding;
}

export interface InvocationRequest {
  invocationId: string;
  functionId: string;
  inputData: { name: string; data: TypedData }[];
  triggerMetadata: Record<string, TypedData>;
  traceContext: { traceParent: string; traceState: string; attributes: Record<string, string> };
}

export interface InvocationResponse {
  outputData?: { name: string; data: TypedData }[];
  returnValue?: TypedData | null;
}

export interface InvocationModel {
  getArguments(): Promise<{ context: object; inputs: unknown[] }>;
  invokeFunction(context: object, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
  getResponse(context: object, result: unknown): Promise<InvocationResponse>;
}

export interface CoreInvocationContext {
  invocationId: string;
  request: InvocationRequest;
  metadata: FunctionMetadata;
  state?: 'preInvocationHooks' | 'invocation' | 'postInvocationHooks';
  log(level: LogLevel, category: 'user' | 'system', message: string): void;
}

export interface ProgrammingModel {
  name: string;
  version: string;
  getInvocationModel(context: CoreInvocationContext): InvocationModel | Promise<InvocationModel>;
  getCapabilities?(defaults: Record<string, string>): Promise<Record<string, string>> | Record<string, string>;
}

export const hookNames = ['preInvocation', 'postInvocation', 'appStart', 'appTerminate', 'log'] as const;
export type HookName = (typeof hookNames)[number];
export type HookCallback = (context: Record<string, unknown>) => unknown;

const coreModule = '@azure/functions-core';

/**
 * The module `@azure/functions-core`, which the Functions worker gives to `@azure/functions` and which is on no
 * registry. The library asks for it once per process and keeps the answer, so it must be installed before anything
 * imports the library, and there is one app per process.
 */
export class FunctionsCore {
  readonly functions = new Map<string, RegisteredFunction>();
  readonly #hooks = new Map<HookName, Set<HookCallback>>(hookNames.map((name) => [name, new Set()]));
  readonly #log: Log;
  #model: ProgrammingModel | null = null;
  #isLoading = true;
  /** Shared by the hooks of the whole app. */
  readonly appHookData: Record<string, unknown> = {};

  constructor(log: Log) {
    this.#log = log;
  }

  get programmingModel(): ProgrammingModel {
    if (!this.#model) throw new Error('the app registered no function: nothing called @azure/functions');
    return this.#model;
  }

  /** Makes `require('@azure/functions-core')` answer with this core, the way the Node worker does it. */
  install(): void {
    const api = this.#api();
    const original = Module.prototype.require;
    Module.prototype.require = Object.assign(function patched(this: NodeJS.Module, id: string): unknown {
      return id === coreModule ? api : original.call(this, id);
    }, original);
  }

  /** After this, registering a function throws, as on Azure. */
  endLoading(): void {
    this.#isLoading = false;
  }

  async runHooks(name: HookName, context: Record<string, unknown>): Promise<void> {
    for (const hook of this.#hooks.get(name) ?? []) await hook(context);
  }

  /** Log hooks may change the level and the message, and are synchronous. */
  runLogHooks(context: Record<string, unknown>): void {
    for (const hook of this.#hooks.get('log') ?? []) hook(context);
  }

  #api(): object {
    return {
      version: '3.12.0',
      hostVersion: '4.1040.300',
      registerFunction: (metadata: FunctionMetadata, callback: FunctionCallback) => this.#register(metadata, callback),
      registerHook: (name: string, callback: HookCallback) => this.#registerHook(name, callback),
      setProgrammingModel: (model: ProgrammingModel) => {
        this.#model = model;
      },
      getProgrammingModel: () => this.#model,
      log: (level: LogLevel, category: 'user' | 'system', message: string) => this.#log({ level, category, message }),
      Disposable,
    };
  }

  #register(metadata: FunctionMetadata, callback: FunctionCallback): Disposable {
    if (!this.#isLoading) throw systemError(new Error('A function can only be registered during app startup.'));
    const id = metadata.functionId || metadata.name;
    if (this.functions.has(id)) {
      throw systemError(new Error(`A function with id "${id}" has already been registered.`));
    }
    const found = Object.entries(metadata.bindings).find(([, binding]) => /trigger$/i.test(binding.type));
    if (!found) throw systemError(new Error(`The function "${metadata.name}" has no trigger binding.`));
    const [triggerName, trigger] = found;
    this.functions.set(id, { name: metadata.name, metadata, callback, triggerName, trigger });
    return new Disposable(() => this.functions.delete(id));
  }

  #registerHook(name: string, callback: HookCallback): Disposable {
    const hooks = this.#hooks.get(name as HookName);
    if (!hooks) throw systemError(new RangeError(`Unrecognized hook "${name}"`));
    hooks.add(callback);
    return new Disposable(() => hooks.delete(callback));
  }
}

function systemError<E extends Error>(error: E): E {
  return Object.assign(error, { isAzureFunctionsSystemError: true });
}

class Disposable {
  #dispose: (() => unknown) | null;

  constructor(dispose: () => unknown) {
    this.#dispose = dispose;
  }

  static from(...disposables: { dispose(): unknown }[]): Disposable {
    return new Disposable(() => {
      for (const disposable of disposables) disposable.dispose();
    });
  }

  dispose(): void {
    this.#dispose?.();
    this.#dispose = null;
  }
}
