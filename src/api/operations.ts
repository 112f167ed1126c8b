import { artifactNames } from '../core/artifact-names.ts';
import { SESSION_ID } from '../core/baseline/session-id.ts';
import type { RunCounts } from '../core/contracts.ts';
import { findOperationError } from '../core/errors.ts';
import type { SnapshotStore } from '../core/ports.ts';
import { answering } from './errors.ts';
import { type ApiRequest, type DurableClient, type DurableStatus, type HttpResponseInit, json } from './http.ts';
import { problem } from './problem.ts';

/** Durable's words → the words of Azure's long-running operations. */
const STATUS: Readonly<Record<string, string>> = {
  Pending: 'NotStarted',
  Running: 'Running',
  ContinuedAsNew: 'Running',
  Suspended: 'Running',
  Completed: 'Succeeded',
  Failed: 'Failed',
  Terminated: 'Canceled',
  Canceled: 'Canceled',
};

export function operationState(runtimeStatus: string): string {
  return STATUS[runtimeStatus] ?? 'Running';
}

const ENDED: ReadonlySet<string> = new Set(['Succeeded', 'Failed', 'Canceled']);

/** The header that says when to look again, while there is something to wait for. */
export function lookAgain(state: string): Record<string, string> {
  return ENDED.has(state) ? {} : { 'retry-after': '5' };
}

export function operationLinks(runId: string): { operation: string; report: string } {
  return { operation: `/api/v1/operations/${runId}`, report: `/api/v1/runs/${runId}` };
}

/**
 * `GET /api/v1/operations/{id}`: always 200 while the operation is known. Our own route on purpose: the built-in status
 * URL carries a key that can terminate and purge any instance.
 */
export function getOperation(
  request: ApiRequest,
  client: DurableClient,
  store: SnapshotStore,
): Promise<HttpResponseInit> {
  return answering(async () => {
    const id = request.params['id'] ?? '';
    if (!SESSION_ID.test(id))
      return problem(400, 'CONFIG_SESSION_ID', 'Not an operation id', 'letters, digits, _ and -, 1 to 64');
    const status = await statusOf(client, id);
    if (status === null) {
      return problem(404, 'OPERATION_MISSING', 'No such operation', 'no run has this id, or its history was purged', {
        next_step: `a run that has finished left its report at ${operationLinks(id).report}`,
      });
    }
    const state = operationState(status.runtimeStatus);
    return json(
      200,
      {
        id,
        status: state,
        created_at: new Date(status.createdTime).toISOString(),
        updated_at: new Date(status.lastUpdatedTime).toISOString(),
        progress: await progressOf(store, id, status.customStatus),
        ...(state === 'Succeeded' ? { result: { counts: status.output as RunCounts } } : {}),
        ...(state === 'Failed' ? { error: runError(status.output) } : {}),
        links: operationLinks(id),
      },
      lookAgain(state),
    );
  });
}

async function statusOf(client: DurableClient, id: string): Promise<DurableStatus | null> {
  try {
    return await client.getStatus(id);
  } catch (error) {
    if (error instanceof Error && /\b404\b/.test(error.message)) return null;
    throw error;
  }
}

/** The orchestration's own word, and how many VMs have an outcome by now: history does not count while VMs are asked. */
async function progressOf(store: SnapshotStore, id: string, customStatus: unknown): Promise<object | null> {
  if (typeof customStatus !== 'object' || customStatus === null) return null;
  if ((customStatus as { phase?: unknown }).phase !== 'inspecting') return customStatus;
  let done = 0;
  for await (const _name of store.list('runs', artifactNames.outcomes(id))) done += 1;
  return { ...customStatus, done };
}

/** An OperationError's own message, where the run failed with one: those carry no secret. Else only where to look. */
function runError(output: unknown): { code: string; message: string } {
  const found = findOperationError(typeof output === 'string' ? output : JSON.stringify(output ?? ''));
  return found ?? { code: 'RUN_FAILED', message: 'the run failed; the app logs under this id say where' };
}
