import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ArmResponse, armError, authenticationFailed, missingApiVersion, notSimulated } from './arm-errors.ts';
import { answerRoute, type ComputeState } from './compute-api.ts';
import { type Fault, FaultQueue } from './faults.ts';
import { matchRoute, type Route } from './routes.ts';
import { RunCommandOperations, type RunLogEntry } from './run-command-operations.ts';
import type { ExecuteScript, SimulatedVm } from './simulated-vm.ts';

export interface ArmSimulatorOptions {
  readonly vms: readonly SimulatedVm[];
  readonly executeScript: ExecuteScript;
  /** 0, the default, takes a free port. The address is always 127.0.0.1. */
  readonly port?: number;
  /** VMs per page of a list. Default 50. */
  readonly pageSize?: number;
  /** The shortest run of a script; the real service needs about 20 s. Default 200. */
  readonly minimumRunMs?: number;
  /** How late a run on a silent agent fails; the real service takes about 25 min. Default 500. */
  readonly agentTimeoutMs?: number;
  /** `Retry-After` of a 202 and of a poll that is not done yet, in whole seconds; null sends none. Default 1. */
  readonly retryAfterSeconds?: number | null;
}

export interface ArmRequest {
  readonly method: string;
  /** The path and the query without the operation's signature, which is long and says nothing. */
  readonly path: string;
  readonly route: Route['kind'];
  /** Undefined for requests that name no VM (lists), and for unknown routes. */
  readonly vmName: string | undefined;
  /** 0 where the connection was closed without an answer. */
  readonly status: number;
  readonly atUtc: string;
}

/** What tests and the demo may change while the simulator runs. VM names are compared without case. */
export interface ArmControl {
  /** Makes the next `times` fitting calls go wrong; `target` is a VM's name, or `list`. */
  failNext(target: string, fault: Fault, times?: number): void;
  /** Faults that were asked for and not met yet. */
  pendingFaults(): number;
  setPowerState(vmName: string, powerState: SimulatedVm['powerState']): void;
  setAgentReady(vmName: string, agentReady: boolean): void;
  /** From now on every call on this VM, or on this resource group, answers 403. */
  deny(vmOrResourceGroup: string): void;
  addVm(vm: SimulatedVm): void;
  removeVm(vmName: string): void;
  /** Ends the operations that a `neverFinishes` fault keeps open. */
  finishAll(): void;
  /** Resolves once no VM runs a script: from then on the first call on any VM is not refused as busy. */
  idle(): Promise<void>;
}

export interface ArmSimulator {
  /** `http://127.0.0.1:{port}` */
  readonly url: string;
  /** Every request so far, oldest first. Requests to an unknown route have `route: 'unknown'` and status 501. */
  readonly requests: readonly ArmRequest[];
  readonly runs: readonly RunLogEntry[];
  readonly control: ArmControl;
  /** Ends running scripts, closes connections and frees the port. */
  stop(): Promise<void>;
}

const BODY_BYTES_MAX = 1024 * 1024;

/**
 * Serves the part of Azure's Compute REST API that this product uses, on loopback, for its real client library.
 *
 * It keeps no state beyond its own life: a client that restarts can go on polling, a restarted simulator answers 404.
 */
export async function startArmSimulator(options: ArmSimulatorOptions): Promise<ArmSimulator> {
  const faults = new FaultQueue();
  const operations = new RunCommandOperations(options.executeScript, {
    minimumRunMs: options.minimumRunMs ?? 200,
    agentTimeoutMs: options.agentTimeoutMs ?? 500,
  });
  const state: ComputeState = {
    vms: new Map(options.vms.map((vm) => [vm.id.toLowerCase(), vm])),
    denied: new Set(),
    faults,
    operations,
    pageSize: options.pageSize ?? 50,
    retryAfterSeconds: options.retryAfterSeconds === undefined ? 1 : options.retryAfterSeconds,
  };
  const requests: ArmRequest[] = [];
  const server = createServer((request, response) => {
    void handle(state, url, request, response, requests);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port ?? 0, '127.0.0.1', resolve);
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    requests,
    runs: operations.runs,
    control: makeControl(state),
    stop: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      await Promise.all([closed, operations.stop()]);
    },
  };
}

async function handle(
  state: ComputeState,
  baseUrl: string,
  request: IncomingMessage,
  response: ServerResponse,
  log: ArmRequest[],
): Promise<void> {
  const method = request.method ?? 'GET';
  const url = new URL(request.url ?? '/', baseUrl);
  const route = matchRoute(method, url.pathname);
  let answer: ArmResponse | 'dropped';
  try {
    const body = await readBody(request);
    if (!/^Bearer\s+\S/i.test(request.headers.authorization ?? '')) answer = authenticationFailed();
    else if (route.kind === 'unknown') answer = notSimulated(`${method} ${url.pathname}`);
    else if (url.searchParams.get('api-version') === null) answer = missingApiVersion();
    else answer = answerRoute(state, route, { baseUrl, query: url.searchParams, body });
  } catch (error) {
    answer = armError(500, 'InternalServerError', `the ARM simulator failed: ${String(error)}`);
  }
  log.push({
    method,
    path: `${url.pathname}${withoutSignature(url.searchParams)}`,
    route: route.kind,
    vmName: vmNameOf(state, route),
    status: answer === 'dropped' ? 0 : answer.status,
    atUtc: new Date().toISOString(),
  });
  if (answer === 'dropped') response.destroy();
  else send(response, answer);
}

function send(response: ServerResponse, answer: ArmResponse): void {
  const text = answer.body === undefined ? '' : JSON.stringify(answer.body);
  response.writeHead(answer.status, {
    ...(text === '' ? {} : { 'Content-Type': 'application/json; charset=utf-8' }),
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-cache',
    'x-ms-request-id': crypto.randomUUID(),
    ...answer.headers,
  });
  response.end(text);
}

/** The request's JSON, or undefined where there is none or it is not JSON. */
async function readBody(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk as Buffer);
  }
  if (bytes === 0 || bytes > BODY_BYTES_MAX) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined; // the route answers 400, as for a body of the wrong shape
  }
}

function withoutSignature(query: URLSearchParams): string {
  const kept = [...query].filter(([name]) => !/^[ptcsh]$/.test(name));
  return kept.length === 0 ? '' : `?${kept.map(([name, value]) => `${name}=${value}`).join('&')}`;
}

function vmNameOf(state: ComputeState, route: Route): string | undefined {
  if (route.kind === 'operation') return state.operations.find(route.operationId)?.vm.name;
  return 'name' in route ? route.name : undefined;
}

function makeControl(state: ComputeState): ArmControl {
  const update = (vmName: string, change: Partial<SimulatedVm>): void => {
    const vm = [...state.vms.values()].find((each) => each.name.toLowerCase() === vmName.toLowerCase());
    if (vm === undefined) throw new Error(`the ARM simulator has no VM ${vmName}`);
    state.vms.set(vm.id.toLowerCase(), { ...vm, ...change });
  };
  return {
    failNext: (target, fault, times = 1) => state.faults.add(target, fault, times),
    pendingFaults: () => state.faults.pending,
    setPowerState: (vmName, powerState) => update(vmName, { powerState }),
    setAgentReady: (vmName, agentReady) => update(vmName, { agentReady }),
    deny: (vmOrResourceGroup) => void state.denied.add(vmOrResourceGroup.toLowerCase()),
    addVm: (vm) => void state.vms.set(vm.id.toLowerCase(), vm),
    removeVm: (vmName) => {
      for (const [key, vm] of state.vms) if (vm.name.toLowerCase() === vmName.toLowerCase()) state.vms.delete(key);
    },
    finishAll: () => state.operations.finishAll(),
    idle: () => state.operations.idle(),
  };
}
