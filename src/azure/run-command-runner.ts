import { type ComputeManagementClient, restorePoller, type VirtualMachineInstanceView } from '@azure/arm-compute';
import type { PollResult, RunCommandRunner, StartResult, Unavailable } from '../core/ports.ts';
import { parseVmId } from '../core/vm-id.ts';
import { unavailableFrom } from './arm-errors.ts';
import type { ComputeClients } from './compute-clients.ts';
import { hearRetryAfter } from './retry-after.ts';

const REQUEST_TIMEOUT_MS = 60_000;
const LOST_RETRY_SECONDS = 20;
const PASSING: ReadonlySet<string> = new Set(['PowerState/starting', 'PowerState/unknown']);
const PASSING_RETRY_SECONDS = 30;

/** Action Run Command (`POST …/runCommand`), one request a step; api-version as pinned by @azure/arm-compute. */
export class AzureRunCommandRunner implements RunCommandRunner {
  readonly #clients: ComputeClients;

  constructor(clients: ComputeClients) {
    this.#clients = clients;
  }

  async readiness(vmId: string): Promise<{ readonly kind: 'ready' } | Unavailable> {
    const { subscriptionId, resourceGroup, vmName } = parseVmId(vmId);
    return this.#answer(async () => {
      const client = this.#clients.forSubscription(subscriptionId);
      const vm = await client.virtualMachines.get(resourceGroup, vmName, {
        expand: 'instanceView',
        abortSignal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
      });
      if (vm.storageProfile?.osDisk?.osType === 'Windows') return notLinux();
      return judgeInstanceView(vm.instanceView);
    });
  }

  async start(vmId: string, script: readonly string[]): Promise<StartResult> {
    const { subscriptionId, resourceGroup, vmName } = parseVmId(vmId);
    return this.#answer(async () => {
      const client = this.#clients.forSubscription(subscriptionId);
      const poller = client.virtualMachines.runCommand(
        resourceGroup,
        vmName,
        { commandId: 'RunShellScript', script: [...script] },
        { abortSignal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) },
      );
      await poller.submitted();
      return { kind: 'started', state: await poller.serialize() };
    });
  }

  async poll(vmId: string, state: string): Promise<PollResult> {
    const { subscriptionId } = parseVmId(vmId);
    const client = this.#clients.forSubscription(subscriptionId);
    const poller = restore(client, state);
    if (poller === null) return lostOperation('its note cannot be read');
    const result = await this.#answer<PollResult>(() =>
      hearRetryAfter(async (heard) => {
        await poller.poll();
        if (!poller.isDone) return { kind: 'running', retryAfterSeconds: heard.retryAfterSeconds };
        const output = poller.result?.value ?? [];
        return { kind: 'finished', output: output.map(({ code, message }) => ({ code, message })) };
      }),
    );
    // A look that was throttled or met a bad minute says nothing about the command, which goes on: look again.
    if (result.kind === 'unavailable' && result.atFault === 'request' && result.retryAfterSeconds !== null) {
      return { kind: 'running', retryAfterSeconds: result.retryAfterSeconds };
    }
    // Operations are kept for a while only; whether the VM is gone too the next try will tell.
    if (result.kind === 'unavailable' && result.reason === 'vm_not_found') return lostOperation('ARM has forgotten it');
    return result;
  }

  async #answer<T>(ask: () => Promise<T>): Promise<T | Unavailable> {
    try {
      return await ask();
    } catch (error) {
      const answer = unavailableFrom(error);
      if (answer === null) throw error;
      return answer;
    }
  }
}

/** Null for a state that another version of the SDK wrote, or that is none. What the SDK throws quotes all of it. */
function restore(client: ComputeManagementClient, state: string) {
  try {
    return restorePoller(client, state, client.virtualMachines.runCommand, {
      abortSignal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
    });
  } catch {
    return null;
  }
}

function lostOperation(why: string): Unavailable {
  return {
    kind: 'unavailable',
    reason: 'service_error',
    atFault: 'command',
    message: `the operation is lost: ${why}`,
    retryAfterSeconds: LOST_RETRY_SECONDS,
  };
}

/**
 * A stopped VM and a silent agent are answers before the script is posted: a Run Command to a VM whose agent does not
 * report fails only after some 25 minutes.
 */
function judgeInstanceView(view: VirtualMachineInstanceView | undefined): { readonly kind: 'ready' } | Unavailable {
  const power = view?.statuses?.find(({ code }) => code?.startsWith('PowerState/'))?.code ?? 'PowerState/unknown';
  if (power !== 'PowerState/running') {
    return {
      kind: 'unavailable',
      reason: 'vm_stopped',
      atFault: 'command',
      message: `the VM is ${power.slice('PowerState/'.length)}`,
      retryAfterSeconds: PASSING.has(power) ? PASSING_RETRY_SECONDS : null,
    };
  }
  const agent = view?.vmAgent?.statuses?.[0];
  if (agent !== undefined && agent.code !== 'ProvisioningState/succeeded') {
    return {
      kind: 'unavailable',
      reason: 'agent_not_ready',
      atFault: 'command',
      message: `the VM agent is ${agent.displayStatus ?? agent.code ?? 'not ready'}`,
      retryAfterSeconds: null,
    };
  }
  if (view?.osName?.toLowerCase().includes('windows') === true) return notLinux();
  return { kind: 'ready' };
}

function notLinux(): Unavailable {
  return {
    kind: 'unavailable',
    reason: 'not_linux',
    atFault: 'command',
    message: 'the VM runs Windows',
    retryAfterSeconds: null,
  };
}
