import { spawn } from 'node:child_process';
import type { TokenCredential } from '@azure/identity';
import { type ArmSimulator, type ArmSimulatorOptions, startArmSimulator } from '../../local/arm/arm-simulator.ts';
import { type ExecuteScript, type SimulatedVm, vmResourceId } from '../../local/arm/simulated-vm.ts';
import { ComputeClients } from '../../src/azure/compute-clients.ts';

export const SUBSCRIPTION = '11111111-2222-3333-4444-555555555555';

export function simulatedVm(name: string, more: Partial<SimulatedVm> = {}): SimulatedVm {
  const resourceGroup = more.resourceGroup ?? 'rg-test';
  return {
    id: vmResourceId(SUBSCRIPTION, resourceGroup, name),
    name,
    subscriptionId: SUBSCRIPTION,
    resourceGroup,
    location: 'westeurope',
    vmId: '00000000-0000-0000-0000-000000000001',
    osType: 'Linux',
    powerState: 'running',
    agentReady: true,
    tags: {},
    ...more,
  };
}

/** A real shell, unprivileged and without firewall tools of its own. */
export const runInShell: ExecuteScript = (_vm, lines, signal) =>
  new Promise((resolve, reject) => {
    const shell = spawn('sh', ['-s'], { signal, stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    const errors: Buffer[] = [];
    shell.stdout.on('data', (chunk: Buffer) => out.push(chunk));
    shell.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
    shell.on('error', reject);
    shell.on('close', (code) =>
      resolve({ stdout: Buffer.concat(out), stderr: Buffer.concat(errors), exitCode: code ?? -1 }),
    );
    shell.stdin.end(`${lines.join('\n')}\n`);
  });

const credential: TokenCredential = {
  getToken: async () => ({ token: 'test', expiresOnTimestamp: Date.now() + 3_600_000 }),
};

export async function simulate(
  vms: readonly SimulatedVm[],
  options: Partial<ArmSimulatorOptions> = {},
): Promise<{ arm: ArmSimulator; clients: () => ComputeClients }> {
  const arm = await startArmSimulator({ vms, executeScript: runInShell, minimumRunMs: 50, ...options });
  return { arm, clients: () => new ComputeClients({ credential, endpoint: arm.url }) };
}
