import type { VirtualMachine } from '@azure/arm-compute';
import type { TagFilter, VmSelector, VmTarget } from '../core/contracts.ts';
import { OperationError } from '../core/errors.ts';
import type { VmDirectory } from '../core/ports.ts';
import { parseVmId } from '../core/vm-id.ts';
import { isLoginError, readArmError } from './arm-errors.ts';
import type { ComputeClients } from './compute-clients.ts';

const LIST_TIMEOUT_MS = 120_000;

/** Fleet listing through arm-compute: VM ids as given, a resource group, or whole subscriptions, by tag. */
export class AzureVmDirectory implements VmDirectory {
  readonly #clients: ComputeClients;

  constructor(clients: ComputeClients) {
    this.#clients = clients;
  }

  async *list(selector: VmSelector): AsyncIterable<VmTarget> {
    if ('vm_ids' in selector) {
      yield* new Map(selector.vm_ids.map(targetFromId).map((target) => [target.vm_id.toLowerCase(), target])).values();
      return;
    }
    if ('resource_group' in selector) {
      const { virtualMachines } = this.#clients.forSubscription(selector.subscription_id);
      const where = `resource group ${selector.resource_group}`;
      yield* tagged(where, virtualMachines.list(selector.resource_group, timeLimit()), selector.tag);
      return;
    }
    for (const subscriptionId of new Set(selector.subscription_ids)) {
      const { virtualMachines } = this.#clients.forSubscription(subscriptionId);
      yield* tagged(`subscription ${subscriptionId}`, virtualMachines.listAll(timeLimit()), selector.tag);
    }
  }
}

/** Of one listing: 200 subscriptions take longer than any one of them may. */
function timeLimit(): { abortSignal: AbortSignal } {
  return { abortSignal: AbortSignal.timeout(LIST_TIMEOUT_MS) };
}

/**
 * A VM that was named, not listed: its operating system is found out when it is asked. Its id loses a slash at the end,
 * so that it is one VM in listings and snapshots however it was named.
 */
function targetFromId(id: string): VmTarget {
  const { subscriptionId, resourceGroup, vmName } = parseVmId(id);
  return {
    vm_id: id.replace(/\/$/, ''),
    vm_name: vmName,
    resource_group: resourceGroup,
    subscription_id: subscriptionId,
    os_type: 'unknown',
  };
}

async function* tagged(
  where: string,
  vms: AsyncIterable<VirtualMachine>,
  tag: TagFilter | undefined,
): AsyncIterable<VmTarget> {
  try {
    for await (const vm of vms) {
      if (vm.id === undefined || !hasTag(vm.tags, tag)) continue;
      yield { ...targetFromId(vm.id), os_type: vm.storageProfile?.osDisk?.osType === 'Windows' ? 'Windows' : 'Linux' };
    }
  } catch (error) {
    throw listingError(where, error);
  }
}

function hasTag(tags: Record<string, string> | undefined, wanted: TagFilter | undefined): boolean {
  if (wanted === undefined) return true;
  const found = Object.entries(tags ?? {}).find(([name]) => name.toLowerCase() === wanted.name.toLowerCase());
  if (found === undefined) return false;
  return wanted.value === undefined || found[1].toLowerCase() === wanted.value.toLowerCase();
}

function listingError(where: string, error: unknown): OperationError {
  if (error instanceof OperationError) return error;
  if (isLoginError(error)) {
    return new OperationError('ARM_LOGIN', where, 'no credential gave the app a token', {
      nextStep: 'is its managed identity on? AZURE_CLIENT_ID names a user-assigned one',
      retryable: true,
      cause: error,
    });
  }
  const { status, code, retryAfterSeconds } = readArmError(error);
  const failed = (problem: string, nextStep: string, retryable: boolean): OperationError =>
    new OperationError(problem, where, `${code}, HTTP ${status ?? 'none'}`, {
      nextStep,
      retryable,
      retryAfterSeconds,
      cause: error,
    });
  switch (status) {
    case 401:
    case 403:
      return failed('ARM_DENIED', 'give the app Microsoft.Compute/virtualMachines/read there', false);
    case 404:
      return failed('ARM_LIST_FAILED', 'is it spelled as in Azure, and may the app see it?', false);
    default:
      return failed('ARM_LIST_FAILED', 'try again later', true);
  }
}
