import type { z } from 'zod';
import { createOnce, readRequest } from '../activities/documents.ts';
import { artifactNames } from '../core/artifact-names.ts';
import { documentBytes } from '../core/baseline/integrity.ts';
import { SESSION_ID, sessionIdAt } from '../core/baseline/session-id.ts';
import { type FleetInput, ORCHESTRATIONS, type RunRequest, type RunSettings } from '../core/contracts.ts';
import { OperationError } from '../core/errors.ts';
import type { SnapshotStore } from '../core/ports.ts';
import { answering } from './errors.ts';
import { type ApiRequest, type DurableClient, type HttpResponseInit, json } from './http.ts';
import { lookAgain, operationLinks, operationState } from './operations.ts';
import { invalidBody, problem } from './problem.ts';
import { runBodySchema } from './run-schema.ts';

const BODY_BYTES_MAX = 1024 * 1024;

export interface RunServices {
  readonly store: SnapshotStore;
  readonly settings: { readonly run: RunSettings };
  readonly now: () => Date;
}

/**
 * `POST /api/v1/runs`: stores the request under the session's id, then starts the orchestration under the same id.
 * Asking the same again gives the same operation; asking something else under a used session id is a conflict.
 */
export function startRun(request: ApiRequest, client: DurableClient, services: RunServices): Promise<HttpResponseInit> {
  return answering(async () => {
    const text = await request.text();
    if (Buffer.byteLength(text) > BODY_BYTES_MAX) {
      return problem(413, 'HTTP_BODY_TOO_LARGE', 'Body too large', `the body may hold ${BODY_BYTES_MAX} bytes`);
    }
    const parsed = parseBody(text);
    if ('response' in parsed) return parsed.response;
    const { mode, selector, baseline, approve, session_id } = parsed.body;
    const now = services.now();
    const asked: RunRequest = {
      schema_version: 1,
      run_id: session_id ?? sessionIdAt(now),
      mode,
      selector,
      baseline: baseline ?? null,
      ...(approve === false ? { approve } : {}),
      requested_at: now.toISOString(),
      trigger: 'http',
    };
    const runId =
      session_id === undefined ? await storeUnnamed(services.store, asked) : await storeRequest(services.store, asked);
    const status = await startOnce(client, runId, { runId, settings: services.settings.run });
    const links = operationLinks(runId);
    return json(
      202,
      { id: runId, session_id: runId, status, links },
      { location: links.operation, 'operation-location': links.operation, ...lookAgain(status) },
    );
  });
}

/** A request repeated differs in its time only; everything else must be what was asked before. */
async function storeRequest(store: SnapshotStore, request: RunRequest): Promise<string> {
  const name = artifactNames.runRequest(request.run_id);
  try {
    await createOnce(store, 'runs', name, documentBytes(request));
  } catch (error) {
    if (!(error instanceof OperationError) || error.code !== 'STORE_CONFLICT') throw error;
    const stored = await readRequest(store, request.run_id);
    const repeated = documentBytes({ ...request, requested_at: stored.requested_at });
    if (Buffer.compare(repeated, documentBytes(stored)) === 0) return request.run_id;
    throw new OperationError('STORE_CONFLICT', `session ${request.run_id}`, 'was used for another request', {
      nextStep: 'leave session_id out, or choose a new one',
      cause: error,
    });
  }
  return request.run_id;
}

const UNNAMED_PER_SECOND = 20;

/** Under the time's id, or with `_2`, `_3` … at its end where other requests of this second have it. */
async function storeUnnamed(store: SnapshotStore, request: RunRequest): Promise<string> {
  for (let count = 1; ; count += 1) {
    try {
      return await storeRequest(store, count === 1 ? request : { ...request, run_id: `${request.run_id}_${count}` });
    } catch (error) {
      const taken = error instanceof OperationError && error.code === 'STORE_CONFLICT';
      if (!taken || count === UNNAMED_PER_SECOND) throw error;
    }
  }
}

/** The run's state: of a request repeated, how far the run is that the first one started. */
async function startOnce(client: DurableClient, runId: string, input: FleetInput): Promise<string> {
  const known = await stateOf(client, runId);
  if (known !== null) return known;
  try {
    await client.startNew(ORCHESTRATIONS.inspectFleet, { instanceId: runId, input });
    return 'NotStarted';
  } catch (error) {
    // Two requests at once: the other one started it between our look and our start.
    const started = await stateOf(client, runId);
    if (started === null) throw error;
    return started;
  }
}

async function stateOf(client: DurableClient, instanceId: string): Promise<string | null> {
  try {
    return operationState((await client.getStatus(instanceId)).runtimeStatus);
  } catch {
    // The SDK throws for an unknown instance and gives no code to tell that from other failures; starting will tell.
    return null;
  }
}

function parseBody(text: string): { body: z.infer<typeof runBodySchema> } | { response: HttpResponseInit } {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {
      response: problem(400, 'HTTP_BODY_NOT_JSON', 'Body is not JSON', 'send a JSON object with mode and selector'),
    };
  }
  const result = runBodySchema.safeParse(value);
  if (result.success) return { body: result.data };
  return { response: invalidBody(result.error.issues) };
}

/** `GET /api/v1/runs/{session_id}`: the run's report. */
export function getRunReport(request: ApiRequest, store: SnapshotStore): Promise<HttpResponseInit> {
  return answering(async () => {
    const runId = request.params['session_id'] ?? '';
    if (!SESSION_ID.test(runId))
      return problem(400, 'CONFIG_SESSION_ID', 'Not a session id', 'letters, digits, _ and -, 1 to 64');
    const report = await store.read('runs', artifactNames.runReport(runId));
    if (report === null) {
      return problem(404, 'RUN_REPORT_MISSING', 'No report', 'no run of this session id has finished', {
        next_step: `look at ${operationLinks(runId).operation}`,
      });
    }
    return { status: 200, headers: { 'content-type': 'application/json' }, body: report.bytes };
  });
}
