import type { SimulatedVm } from './simulated-vm.ts';

/** What the server answers: a status, a JSON body and headers beyond the usual ones. */
export interface ArmResponse {
  readonly status: number;
  readonly body: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** ARM's error envelope. Codes and messages are the ones callers of the real service have posted. */
export function armError(
  status: number,
  code: string,
  message: string,
  headers?: Readonly<Record<string, string>>,
): ArmResponse {
  return { status, body: { error: { code, message } }, ...(headers === undefined ? {} : { headers }) };
}

export const authenticationFailed = (): ArmResponse =>
  armError(401, 'AuthenticationFailed', "Authentication failed. The 'Authorization' header is missing.", {
    'WWW-Authenticate': 'Bearer authorization_uri="https://login.windows.net/", error="invalid_token"',
  });

export const authorizationFailed = (action: string, scope: string): ArmResponse =>
  armError(
    403,
    'AuthorizationFailed',
    `The client 'simulated' with object id '00000000-0000-0000-0000-000000000000' does not have authorization to perform action '${action}' over scope '${scope}' or the scope is invalid. If access was recently granted, please refresh your credentials.`,
  );

export const missingApiVersion = (): ArmResponse =>
  armError(
    400,
    'MissingApiVersionParameter',
    'The api-version query parameter (?api-version=) is required for all requests.',
  );

export const subscriptionNotFound = (subscriptionId: string): ArmResponse =>
  armError(404, 'SubscriptionNotFound', `The subscription '${subscriptionId}' could not be found.`);

export const resourceGroupNotFound = (resourceGroup: string): ArmResponse =>
  armError(404, 'ResourceGroupNotFound', `Resource group '${resourceGroup}' could not be found.`);

export const vmNotFound = (resourceGroup: string, name: string): ArmResponse =>
  armError(
    404,
    'ResourceNotFound',
    `The Resource 'Microsoft.Compute/virtualMachines/${name}' under resource group '${resourceGroup}' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix`,
  );

export const invalidRequest = (message: string): ArmResponse => armError(400, 'InvalidRequestContent', message);

export const unknownCommand = (): ArmResponse =>
  armError(404, 'NotFound', 'The entity was not found in this Azure location.');

export const runCommandBusy = (): ArmResponse =>
  armError(
    409,
    'Conflict',
    'Run command extension execution is in progress. Please wait for completion before invoking a run command.',
  );

export const vmNotRunning = (): ArmResponse =>
  armError(409, 'OperationNotAllowed', 'The operation requires the VM to be running (or set to run).');

export const operationNotFound = (): ArmResponse =>
  armError(404, 'NotFound', 'The operation was not found, or its address was not used as it was given.');

export const notSimulated = (what: string): ArmResponse =>
  armError(501, 'NotSimulated', `the ARM simulator does not know ${what}`);

/** The `error` of a long-running operation on a VM whose agent never reported. */
export const agentSilent = (vm: SimulatedVm): OperationFailure => ({
  code: 'VMAgentStatusCommunicationError',
  message: `VM '${vm.name}' has not reported status for VM agent or extensions. Please verify the VM has a running VM agent, and can establish outbound connections to Azure storage.`,
});

export interface OperationFailure {
  readonly code: string;
  readonly message: string;
}
