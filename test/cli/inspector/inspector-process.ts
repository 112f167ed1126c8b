import { join } from 'node:path';
import { type ArmSimulator, startArmSimulator } from '../../../local/arm/arm-simulator.ts';
import { type Fleet, startFleet } from '../../../local/fleet/fleet.ts';
import { startIdentityEndpoint } from '../../../local/identity-endpoint.ts';
import { commandDirectory, type Finished, isCompiled, type RunOptions, runProcess } from '../run-command.ts';

export const inspectorPath: string = join(commandDirectory, `firewall-inspector.${isCompiled ? 'js' : 'ts'}`);

/** Runs the command as a process of its own. */
export function inspector(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  return runProcess(process.execPath, [inspectorPath, ...args], options);
}

/** Azure on loopback with the recorded fleet behind it: needs no root. */
export interface AzureOnLoopback {
  readonly fleet: Fleet;
  readonly arm: ArmSimulator;
  /** For the command: where ARM is, and who is signed in. */
  readonly env: Readonly<Record<string, string>>;
  /** Options that name a VM of the fleet. */
  vm(name: string): string[];
  stop(): Promise<void>;
}

export async function startAzure(): Promise<AzureOnLoopback> {
  const fleet = await startFleet({ mode: 'replay' });
  const arm = await startArmSimulator({ vms: fleet.vms, executeScript: fleet.executeScript, minimumRunMs: 20 });
  const identity = await startIdentityEndpoint();
  return {
    fleet,
    arm,
    env: {
      ...identity.settings,
      ARM_ENDPOINT: arm.url,
      AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
      RUN_POLL_SECONDS: '1',
    },
    vm(name) {
      const vm = fleet.vms.find((each) => each.name === name);
      if (vm === undefined) throw new Error(`the fleet has no ${name}`);
      return ['--vm-name', vm.name, '--resource-group', vm.resourceGroup, '--subscription-id', vm.subscriptionId];
    },
    async stop() {
      await arm.stop();
      await fleet.stop();
      await identity.stop();
    },
  };
}
