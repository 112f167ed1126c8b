import { setTimeout as sleep } from 'node:timers/promises';
import { readApproved } from '../activities/approved-baseline.ts';
import {
  comparedAnswer,
  errorAnswer,
  recordedAnswer,
  runningAnswer,
  type ToolError,
  toolError,
} from '../agent/answer.ts';
import { type ToolInput, toolInputSchema } from '../agent/tool-input.ts';
import { artifactNames } from '../core/artifact-names.ts';
import { parseDocument, sha256Hex } from '../core/baseline/integrity.ts';
import { sessionIdAt } from '../core/baseline/session-id.ts';
import type { Snapshot } from '../core/baseline/snapshot.ts';
import type { RunReport, VmOutcome } from '../core/contracts.ts';
import type { DriftDocument } from '../core/drift/drift-document.ts';
import { OperationError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { parseVmId, vmKey } from '../core/vm-id.ts';
import { answering } from './errors.ts';
import type { ApiRequest, DurableClient, HttpResponseInit } from './http.ts';
import { operationLinks } from './operations.ts';
import { invalidBody, problem } from './problem.ts';
import { type RunServices, startRun } from './runs.ts';

const BODY_BYTES_MAX = 64 * 1024;
const WAIT_MS = 25_000;
const LOOK_MS = 500;
const RETRY_SECONDS = 10;
const NEWEST_NAMED = 5;

export interface AgentServices extends RunServices {
  /** How long a call waits for its run, ms; at most 25 s when left out. */
  readonly waitMs?: number;
}

/**
 * `POST /api/v1/tools/detect_config_drift`: the reference agent's tool. Starts a run over one VM and waits a little for
 * it; asked again with the same session id, it is the same run. What went wrong with the VM is an answer of status
 * `error`; only a request that makes no sense is a problem document.
 */
export function detectConfigDrift(
  request: ApiRequest,
  client: DurableClient,
  services: AgentServices,
): Promise<HttpResponseInit> {
  return answering(async () => {
    const parsed = await parseBody(request);
    if ('response' in parsed) return parsed.response;
    const { input } = parsed;
    if (input.provider !== 'azure') {
      return refused({
        code: 'AGENT_PROVIDER',
        message: `provider ${input.provider} cannot be used here: this service reaches VMs through Azure alone`,
        retryable: false,
        retryAfterSeconds: null,
        suggestion: 'use provider azure here, or the MCP server of firewall-inspector where SSH can reach the VM',
      });
    }
    const vmId = vmIdOf(input);
    if (vmId === null) {
      const errors = [{ pointer: '/vm_id', detail: 'give vm_id, or vm_name with resource_group and subscription_id' }];
      return problem(422, 'HTTP_BODY_INVALID', 'Body is not valid', 'which VM?', { errors });
    }
    return inspectVm(vmId, input, request, client, services);
  });
}

async function inspectVm(
  vmId: string,
  input: ToolInput,
  request: ApiRequest,
  client: DurableClient,
  services: AgentServices,
): Promise<HttpResponseInit> {
  const key = vmKey(vmId);
  const { compare_session_id: compared } = input;
  if (compared !== undefined && !(await wasRecorded(services, key, compared))) {
    return refused(...(await baselineNotFound(services, key, compared)));
  }
  // Two agents may ask for two VMs in one second: the VM is part of an id that is made.
  const sessionId = input.session_id ?? `${sessionIdAt(services.now())}_${key.slice(-6)}`;
  const started = await startRun(bodyOf(request, vmId, input, sessionId), client, services);
  if (started.status !== 202) return started;
  if (!(await hasFinished(client, sessionId, services.waitMs ?? WAIT_MS))) {
    const next = `ask again with session_id ${sessionId} and the same arguments, or look at ${operationLinks(sessionId).operation}`;
    return answered(202, runningAnswer(sessionId, RETRY_SECONDS, next), {
      location: operationLinks(sessionId).operation,
      'retry-after': String(RETRY_SECONDS),
    });
  }
  const stored = await services.store.read('runs', artifactNames.runReport(sessionId));
  const report = stored === null ? null : (parseDocument(stored.bytes) as unknown as RunReport);
  const outcome = report?.outcomes[0];
  if (outcome === undefined) {
    return refused({
      code: 'RUN_FAILED',
      message: `run ${sessionId} ended without an outcome for this VM`,
      retryable: true,
      retryAfterSeconds: RETRY_SECONDS,
      suggestion: 'ask again without session_id; the app’s log says under the run’s id what happened',
    });
  }
  return answered(200, await answerOf(outcome, sessionId, input, services));
}

/** On one line: an answer's bound is one of bytes. */
function answered(status: number, answer: JsonObject, headers: Record<string, string> = {}): HttpResponseInit {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(answer) };
}

/** A new request for `startRun`, of one VM. */
function bodyOf(request: ApiRequest, vmId: string, input: ToolInput, sessionId: string): ApiRequest {
  const body = {
    // An agent's baseline is one to name later, never the one that sweeps compare with: that is a person's to say.
    ...(input.is_baseline === true ? { mode: 'baseline', approve: false } : { mode: 'drift' }),
    selector: { vm_ids: [vmId] },
    session_id: sessionId,
    ...(input.compare_session_id === undefined ? {} : { baseline: input.compare_session_id }),
  };
  return { params: {}, headers: request.headers, text: async () => JSON.stringify(body) };
}

async function hasFinished(client: DurableClient, runId: string, waitMs: number): Promise<boolean> {
  for (let waited = 0; ; waited += LOOK_MS) {
    const { runtimeStatus } = await client.getStatus(runId);
    if (['Completed', 'Failed', 'Terminated', 'Canceled'].includes(runtimeStatus)) return true;
    if (waited >= waitMs) return false;
    await sleep(LOOK_MS);
  }
}

async function answerOf(
  outcome: VmOutcome,
  sessionId: string,
  { is_baseline: isBaseline, detail }: ToolInput,
  { store }: AgentServices,
): Promise<JsonObject> {
  const { problem: fault, vm_key: key } = outcome;
  if (fault !== null) {
    const error = new OperationError(fault.code, outcome.vm_name, fault.message, {
      nextStep: fault.next_step,
      retryable: RETRYABLE.has(fault.reason),
    });
    return errorAnswer(toolError(error), {
      session_id: sessionId,
      coverage: outcome.coverage,
      integrity: outcome.integrity,
    });
  }
  const links = `/api/v1/vms/${key}`;
  if (isBaseline === true) {
    const { bytes } = await existing(store, 'baselines', artifactNames.snapshot(key, sessionId));
    const snapshot = parseDocument(bytes) as unknown as Snapshot;
    const artifact = `${links}/snapshots/${sessionId}`;
    return recordedAnswer({ snapshot, sha256: sha256Hex(bytes), artifact, warnings: [] }, detail);
  }
  const { bytes } = await existing(store, 'reports', artifactNames.drift(key, sessionId));
  const drift = parseDocument(bytes) as unknown as DriftDocument;
  return comparedAnswer({ drift, artifact: `${links}/drifts/${sessionId}`, warnings: [] }, detail);
}

const RETRYABLE: ReadonlySet<string> = new Set([
  'busy',
  'throttled',
  'timed_out',
  'service_error',
  'bad_envelope',
  'unstable',
]);

async function existing(
  store: RunServices['store'],
  area: 'baselines' | 'reports',
  name: string,
): Promise<{ bytes: Uint8Array }> {
  const stored = await store.read(area, name);
  if (stored !== null) return stored;
  throw new OperationError('STORE_MISSING', `${area}/${name}`, 'the run has ended, and this is not there');
}

/** Whether anything is left of it: what is missing then is for the run to judge, and no "never recorded". */
async function wasRecorded({ store }: AgentServices, key: string, sessionId: string): Promise<boolean> {
  for (const name of [artifactNames.snapshot(key, sessionId), artifactNames.companion(key, sessionId)]) {
    if ((await store.read('baselines', name)) !== null) return true;
  }
  return (await readApproved(store, key))?.session_id === sessionId;
}

async function baselineNotFound(
  { store }: AgentServices,
  key: string,
  wanted: string,
): Promise<[ToolError, JsonObject]> {
  const ids: string[] = [];
  for await (const name of store.list('baselines', `${key}/`)) {
    if (name.endsWith('_snapshot.json')) ids.push(name.slice(key.length + 1, -'_snapshot.json'.length));
  }
  // Ids made by this product sort by time; those of callers, by name among them.
  const newest = ids.sort().reverse().slice(0, NEWEST_NAMED);
  const suggestion =
    newest.length === 0
      ? 'this VM has no baseline at all: record one with is_baseline true'
      : `compare with one of ${newest.join(', ')}`;
  const message = `this VM has no baseline ${wanted}`;
  return [
    { code: 'BASELINE_NOT_FOUND', message, retryable: false, retryAfterSeconds: null, suggestion },
    { baselines: newest },
  ];
}

function refused(error: ToolError, more: JsonObject = {}): HttpResponseInit {
  return answered(200, errorAnswer(error, more));
}

function vmIdOf({ vm_id, vm_name, resource_group, subscription_id }: ToolInput): string | null {
  if (vm_id !== undefined) return vm_id;
  if (vm_name === undefined || resource_group === undefined || subscription_id === undefined) return null;
  const id = `/subscriptions/${subscription_id}/resourceGroups/${resource_group}/providers/Microsoft.Compute/virtualMachines/${vm_name}`;
  parseVmId(id);
  return id;
}

async function parseBody(request: ApiRequest): Promise<{ input: ToolInput } | { response: HttpResponseInit }> {
  const text = await request.text();
  if (Buffer.byteLength(text) > BODY_BYTES_MAX) {
    const detail = `the body may hold ${BODY_BYTES_MAX} bytes`;
    return { response: problem(413, 'HTTP_BODY_TOO_LARGE', 'Body too large', detail) };
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return {
      response: problem(400, 'HTTP_BODY_NOT_JSON', 'Body is not JSON', 'send the tool’s arguments as an object'),
    };
  }
  const parsed = toolInputSchema.safeParse(value);
  if (parsed.success) return { input: parsed.data };
  return { response: invalidBody(parsed.error.issues) };
}
