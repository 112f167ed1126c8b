import { createRequire } from 'node:module';

/** The few members of the SDK's task objects that say whether a task was used before. */
interface SdkTask {
  alreadyScheduled?: boolean;
  parent?: unknown;
}

interface ContextPrototype {
  isDFTaskArray(tasks: readonly SdkTask[]): boolean;
}

/**
 * Makes `Task.all` and `Task.any` refuse a task that was yielded, or put into another of them, before.
 *
 * durable-functions 3.x sends such a task's action again and the host schedules it again, so activities run twice and
 * results reach the wrong task (Azure/azure-functions-durable-js#574, open). On Azure that is silent; here it fails the
 * orchestration. A task may go into one `Task.all` or `Task.any`; afterwards only `yield task` itself is safe.
 * The guard stays for the life of the process; a second call does nothing.
 *
 * @param from  the file whose durable-functions it is about; an app without that package is left alone
 */
export function forbidTaskReuse(from: string = import.meta.filename): void {
  const require = createRequire(from);
  try {
    require.resolve('durable-functions');
  } catch {
    return; // Nothing to guard.
  }
  const { DurableOrchestrationContext } =
    require('durable-functions/lib/src/orchestrations/DurableOrchestrationContext') as {
      DurableOrchestrationContext: { prototype: ContextPrototype };
    };
  const prototype = DurableOrchestrationContext.prototype;
  const original = prototype.isDFTaskArray;
  if (original.name === 'guarded') return;
  prototype.isDFTaskArray = function guarded(tasks) {
    const areTasks = original.call(this, tasks);
    if (areTasks && (tasks.some(isUsed) || new Set(tasks).size < tasks.length)) {
      throw new Error(
        'TASK_REUSED: a task that was yielded or combined before is in Task.all or Task.any again; ' +
          'durable-functions 3 would schedule it a second time and mix up results (azure-functions-durable-js#574)',
      );
    }
    return areTasks;
  };
}

function isUsed(task: SdkTask): boolean {
  return task.alreadyScheduled === true || task.parent !== undefined;
}
