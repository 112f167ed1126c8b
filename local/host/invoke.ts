import { randomUUID } from 'node:crypto';
import type {
  CoreInvocationContext,
  FunctionCallback,
  FunctionsCore,
  InvocationResponse,
  RegisteredFunction,
} from './functions-core.ts';
import type { Log, LogLevel } from './log.ts';
import type { TypedData } from './typed-data.ts';

export interface InvocationInput {
  trigger: TypedData;
  triggerMetadata?: Record<string, TypedData>;
}

export interface Invoker {
  /** Runs a function the way the worker does, hooks included. Rejects with what the function throws. */
  invoke(fn: RegisteredFunction, input: InvocationInput): Promise<InvocationResponse>;
}

/**
 * @param inputBinding  the value of an input binding that is no trigger, by its type; undefined for one the host
 *                      does not know, which is an error of the invocation
 */
export function makeInvoker(
  core: FunctionsCore,
  log: Log,
  inputBinding: (type: string) => TypedData | undefined,
): Invoker {
  return {
    async invoke(fn, input) {
      const invocationId = randomUUID();
      const context: CoreInvocationContext = {
        invocationId,
        request: {
          invocationId,
          functionId: fn.metadata.functionId || fn.name,
          inputData: inputData(fn, input.trigger, inputBinding),
          triggerMetadata: input.triggerMetadata ?? {},
          traceContext: { traceParent: '', traceState: '', attributes: {} },
        },
        metadata: fn.metadata,
        log: () => {},
      };
      const model = await core.programmingModel.getInvocationModel(context);
      const hookData = {};
      let invocationContext: object | undefined;
      context.log = (level, category, message) => {
        const entry = { level, category, message, hookData, invocationContext };
        core.runLogHooks(entry);
        log({ level: entry.level as LogLevel, category, message: entry.message, functionName: fn.name, invocationId });
      };
      const args = await model.getArguments();
      invocationContext = args.context;
      const shared = { hookData, appHookData: core.appHookData, invocationContext };

      context.state = 'preInvocationHooks';
      const before = { ...shared, inputs: args.inputs, functionCallback: fn.callback };
      await core.runHooks('preInvocation', before);

      context.state = 'invocation';
      const after: Record<string, unknown> = { ...shared, inputs: before.inputs, result: undefined, error: undefined };
      try {
        after['result'] = await model.invokeFunction(
          args.context,
          before.inputs,
          before.functionCallback as FunctionCallback,
        );
      } catch (error) {
        after['error'] = error ?? new Error('the function threw nothing');
      }

      context.state = 'postInvocationHooks';
      await core.runHooks('postInvocation', after);
      if (after['error'] !== undefined && after['error'] !== null) throw after['error'];
      const response = await model.getResponse(args.context, after['result']);
      for (const { name } of response.outputData ?? []) {
        const type = fn.metadata.bindings[name]?.type;
        context.log('warning', 'system', `the embedded host does not write ${type} output; the value was dropped`);
      }
      return response;
    },
  };
}

function inputData(
  fn: RegisteredFunction,
  trigger: TypedData,
  inputBinding: (type: string) => TypedData | undefined,
): { name: string; data: TypedData }[] {
  const data = [{ name: fn.triggerName, data: trigger }];
  for (const [name, binding] of Object.entries(fn.metadata.bindings)) {
    if (binding.direction !== 'in' || name === fn.triggerName) continue;
    const value = inputBinding(binding.type);
    if (!value) throw new Error(`the embedded host has no ${binding.type} input binding (function ${fn.name})`);
    data.push({ name, data: value });
  }
  return data;
}
