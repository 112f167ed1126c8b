import {
  type ArmResponse,
  armError,
  authorizationFailed,
  invalidRequest,
  notSimulated,
  operationNotFound,
  resourceGroupNotFound,
  runCommandBusy,
  subscriptionNotFound,
  unknownCommand,
  vmNotFound,
  vmNotRunning,
} from './arm-errors.ts';
import type { Fault, FaultPoint, FaultQueue, HttpFault } from './faults.ts';
import type { Route, VmPath } from './routes.ts';
import { carriesToken, type RunCommandOperation, type RunCommandOperations } from './run-command-operations.ts';
import { type SimulatedVm, vmResourceId } from './simulated-vm.ts';
import { instanceView, vmDocument, vmStatusDocument } from './vm-documents.ts';

/** Everything the API answers from. VMs are keyed by their lower-cased id, in the order they are listed in. */
export interface ComputeState {
  readonly vms: Map<string, SimulatedVm>;
  /** Lower-cased names of VMs and resource groups. */
  readonly denied: Set<string>;
  readonly faults: FaultQueue;
  readonly operations: RunCommandOperations;
  readonly pageSize: number;
  readonly retryAfterSeconds: number | null;
}

export interface ApiRequest {
  readonly baseUrl: string;
  readonly query: URLSearchParams;
  /** The parsed JSON body; undefined where there was none, or none that could be read. */
  readonly body: unknown;
}

/** Answers one request whose route is known. `dropped` asks the server to close the connection without an answer. */
export function answerRoute(
  state: ComputeState,
  route: Exclude<Route, { kind: 'unknown' }>,
  request: ApiRequest,
): ArmResponse | 'dropped' {
  switch (route.kind) {
    case 'listAll':
    case 'list':
      return answerList(state, route, request);
    case 'operation':
      return answerOperation(state, route.operationId, request);
    case 'get':
    case 'instanceView':
    case 'runCommand':
      return answerVm(state, route, request);
  }
}

function answerList(
  state: ComputeState,
  route: Extract<Route, { kind: 'listAll' | 'list' }>,
  { baseUrl, query }: ApiRequest,
): ArmResponse | 'dropped' {
  const fault = httpFault(state, 'list', 'list');
  if (fault !== undefined) return fault;
  if (query.get('$filter') !== null) return notSimulated('the $filter of a list');
  if (query.get('$expand') !== null) return invalidRequest('$expand of a list is only supported with a valid $filter.');
  const inSubscription = [...state.vms.values()].filter((vm) => sameText(vm.subscriptionId, route.subscriptionId));
  if (inSubscription.length === 0) return subscriptionNotFound(route.subscriptionId);
  let listed = inSubscription;
  if (route.kind === 'list') {
    const scope = `/subscriptions/${route.subscriptionId}/resourceGroups/${route.resourceGroup}`;
    if (state.denied.has(route.resourceGroup.toLowerCase())) return authorizationFailed(READ, scope);
    listed = inSubscription.filter((vm) => sameText(vm.resourceGroup, route.resourceGroup));
    if (listed.length === 0) return resourceGroupNotFound(route.resourceGroup);
  }
  // A list never fails for one resource: what the caller may not read is left out.
  const readable = listed.filter((vm) => !isDenied(state, vm));
  const from = Number(query.get('$skiptoken') ?? '0');
  if (!Number.isInteger(from) || from < 0) return invalidRequest('The $skiptoken is not one that was given.');
  const statusOnly = route.kind === 'listAll' && query.get('statusOnly') === 'true';
  const page = readable.slice(from, from + state.pageSize);
  const next = from + state.pageSize;
  const value = page.map((vm) => (statusOnly ? vmStatusDocument(vm) : vmDocument(vm)));
  if (next >= readable.length) return { status: 200, body: { value } };
  const group = route.kind === 'list' ? `/resourceGroups/${encodeURIComponent(route.resourceGroup)}` : '';
  const path = `/subscriptions/${encodeURIComponent(route.subscriptionId)}${group}/providers/Microsoft.Compute/virtualMachines`;
  const nextQuery = new URLSearchParams(query);
  nextQuery.set('$skiptoken', String(next));
  return { status: 200, body: { value, nextLink: `${baseUrl}${path}?${nextQuery}` } };
}

function answerVm(
  state: ComputeState,
  route: VmPath & { readonly kind: 'get' | 'instanceView' | 'runCommand' },
  request: ApiRequest,
): ArmResponse | 'dropped' {
  const id = vmResourceId(route.subscriptionId, route.resourceGroup, route.name);
  const action = ACTIONS[route.kind];
  if (state.denied.has(route.name.toLowerCase()) || state.denied.has(route.resourceGroup.toLowerCase())) {
    return authorizationFailed(action, id);
  }
  const vm = state.vms.get(id.toLowerCase());
  if (vm === undefined) return missing(state, route);
  if (route.kind === 'runCommand') return answerRunCommand(state, vm, request);
  const fault = httpFault(state, vm.name, 'get');
  if (fault !== undefined) return fault;
  if (route.kind === 'instanceView') return { status: 200, body: instanceView(vm) };
  const expand = request.query.get('$expand');
  return { status: 200, body: vmDocument(vm, { instanceView: expand !== null && sameText(expand, 'instanceView') }) };
}

const READ = 'Microsoft.Compute/virtualMachines/read';
const ACTIONS = {
  get: READ,
  instanceView: 'Microsoft.Compute/virtualMachines/instanceView/read',
  runCommand: 'Microsoft.Compute/virtualMachines/runCommand/action',
} as const;

function missing(state: ComputeState, { subscriptionId, resourceGroup, name }: VmPath): ArmResponse {
  const inSubscription = [...state.vms.values()].filter((vm) => sameText(vm.subscriptionId, subscriptionId));
  if (inSubscription.length === 0) return subscriptionNotFound(subscriptionId);
  const hasGroup = inSubscription.some((vm) => sameText(vm.resourceGroup, resourceGroup));
  return hasGroup ? vmNotFound(resourceGroup, name) : resourceGroupNotFound(resourceGroup);
}

const COMMANDS: Readonly<Record<SimulatedVm['osType'], readonly string[]>> = {
  Linux: ['RunShellScript'],
  Windows: ['RunPowerShellScript'],
};

function answerRunCommand(state: ComputeState, vm: SimulatedVm, request: ApiRequest): ArmResponse | 'dropped' {
  const input = readInput(request.body);
  if (input === undefined) return invalidRequest('The request content was invalid and could not be deserialized.');
  if (input.hasParameters) return notSimulated('run command parameters: how the action passes them is not documented');
  if (!COMMANDS[vm.osType].some((command) => sameText(command, input.commandId))) return unknownCommand();
  const fault = state.faults.take(vm.name, 'post');
  if (fault?.kind === 'dropped' && fault.accepted !== true) return 'dropped';
  if (fault !== undefined && isHttp(fault)) return faultResponse(fault);
  if (vm.powerState !== 'running') return vmNotRunning();
  if (state.operations.isBusy(vm)) return runCommandBusy();
  const operation = state.operations.start(vm, input.script, fault);
  if (fault?.kind === 'dropped') return 'dropped';
  if (fault?.kind === 'acceptedThenHttp') return faultResponse({ ...fault, kind: 'http' });
  return {
    status: 202,
    body: undefined,
    headers: {
      'Azure-AsyncOperation': operationUrl(operation, request, false),
      Location: operationUrl(operation, request, true),
      ...retryAfter(state),
    },
  };
}

interface RunCommandInput {
  readonly commandId: string;
  readonly script: readonly string[];
  readonly hasParameters: boolean;
}

function readInput(body: unknown): RunCommandInput | undefined {
  if (typeof body !== 'object' || body === null) return undefined;
  const { commandId, script, parameters } = body as Record<string, unknown>;
  if (typeof commandId !== 'string') return undefined;
  if (script !== undefined && !(Array.isArray(script) && script.every((line) => typeof line === 'string'))) {
    return undefined;
  }
  const hasParameters = Array.isArray(parameters) && parameters.length > 0;
  return { commandId, script: script ?? [], hasParameters };
}

function operationUrl(operation: RunCommandOperation, { baseUrl, query }: ApiRequest, monitor: boolean): string {
  const { p, ...signature } = operation.token;
  const search = new URLSearchParams({
    p,
    ...(monitor ? { monitor: 'true' } : {}),
    'api-version': query.get('api-version') ?? '',
    ...signature,
  });
  const { subscriptionId, location } = operation.vm;
  return `${baseUrl}/subscriptions/${subscriptionId}/providers/Microsoft.Compute/locations/${location}/operations/${operation.id}?${search}`;
}

/** Both addresses of an operation: its status, and with `monitor=true` its result. */
function answerOperation(state: ComputeState, operationId: string, request: ApiRequest): ArmResponse | 'dropped' {
  const operation = state.operations.find(operationId);
  if (operation === undefined || !carriesToken(request.query, operation.token)) return operationNotFound();
  const monitor = request.query.get('monitor') === 'true';
  const fault = httpFault(state, operation.vm.name, monitor ? 'result' : 'poll');
  if (fault !== undefined) return fault;
  return monitor ? operationResult(state, operation, request) : operationStatus(state, operation);
}

function operationStatus(state: ComputeState, operation: RunCommandOperation): ArmResponse {
  const { id: name, startTime, endTime, outcome } = operation;
  if (outcome === undefined) {
    return { status: 200, body: { startTime, status: 'InProgress', name }, headers: retryAfter(state) };
  }
  const { status } = outcome;
  const ended = { startTime, endTime, status };
  if (outcome.status === 'Failed') return { status: 200, body: { ...ended, error: outcome.error, name } };
  return { status: 200, body: { ...ended, properties: { output: { value: outcome.value } }, name } };
}

function operationResult(state: ComputeState, operation: RunCommandOperation, request: ApiRequest): ArmResponse {
  const { outcome } = operation;
  if (outcome === undefined) {
    const headers = { Location: operationUrl(operation, request, true), ...retryAfter(state) };
    return { status: 202, body: undefined, headers };
  }
  if (outcome.status === 'Failed') return armError(409, outcome.error.code, outcome.error.message);
  return { status: 200, body: { value: outcome.value } };
}

function retryAfter(state: ComputeState): Readonly<Record<string, string>> {
  return state.retryAfterSeconds === null ? {} : { 'Retry-After': String(state.retryAfterSeconds) };
}

function httpFault(state: ComputeState, target: string, point: FaultPoint): ArmResponse | 'dropped' | undefined {
  const fault = state.faults.take(target, point);
  if (fault === undefined) return undefined;
  return isHttp(fault) ? faultResponse(fault) : 'dropped';
}

function isHttp(fault: Fault): fault is HttpFault {
  return fault.kind === undefined || fault.kind === 'http';
}

function faultResponse(fault: HttpFault): ArmResponse {
  const usual = USUAL_ERRORS.get(fault.status) ?? { code: `Status${fault.status}`, message: 'An injected fault.' };
  const headers =
    fault.retryAfterSeconds === undefined ? undefined : { 'Retry-After': String(fault.retryAfterSeconds) };
  return armError(fault.status, fault.code ?? usual.code, fault.message ?? usual.message, headers);
}

/** Compute's throttling answer has the code of a stopped VM's: a caller has to look at the status. */
const USUAL_ERRORS: ReadonlyMap<number, { code: string; message: string }> = new Map([
  [403, { code: 'AuthorizationFailed', message: 'The client does not have authorization to perform this action.' }],
  [404, { code: 'ResourceNotFound', message: 'The Resource was not found.' }],
  [409, { code: 'Conflict', message: 'Another operation is in progress.' }],
  [
    429,
    {
      code: 'OperationNotAllowed',
      message: 'The server rejected the request because too many requests have been received for this subscription.',
    },
  ],
  [500, { code: 'InternalServerError', message: 'Encountered internal server error.' }],
  [503, { code: 'ServiceUnavailable', message: 'The service is unavailable now, retry the request later.' }],
]);

function isDenied(state: ComputeState, vm: SimulatedVm): boolean {
  return state.denied.has(vm.name.toLowerCase()) || state.denied.has(vm.resourceGroup.toLowerCase());
}

function sameText(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase();
}
