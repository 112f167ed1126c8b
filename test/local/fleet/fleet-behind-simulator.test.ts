import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ComputeManagementClient } from '@azure/arm-compute';
import { type ArmSimulator, startArmSimulator } from '../../../local/arm/arm-simulator.ts';
import { DEMO_SUBSCRIPTION_ID } from '../../../local/fleet/demo-fleet.ts';
import { type Fleet, startFleet } from '../../../local/fleet/fleet.ts';
import { kernelSkipReason, repositoryRoot } from '../../support/environment.ts';
import { loopbackComputeClient } from '../arm/loopback-compute-client.ts';

const PROBE = readFileSync(join(repositoryRoot, 'probe', 'probe.sh'), 'utf8').split('\n');
const NONCE = 'c0ffee00c0ffee00';

describe('the fleet behind the simulator', () => {
  let fleet: Fleet;
  let simulator: ArmSimulator;
  let client: ComputeManagementClient;
  before(async () => {
    fleet = await startFleet();
    simulator = await startArmSimulator({
      vms: fleet.vms,
      executeScript: fleet.executeScript,
      minimumRunMs: 0,
      agentTimeoutMs: 10,
      retryAfterSeconds: 0,
    });
    client = loopbackComputeClient(simulator.url, DEMO_SUBSCRIPTION_ID);
  });
  after(async () => {
    await simulator.stop();
    await fleet.stop();
  });

  async function probe(name: string, mode: string): Promise<string> {
    const vm = fleet.vms.find((each) => each.name === name);
    assert.ok(vm);
    const script = [`NFI_NONCE=${NONCE} NFI_MODE=${mode}`, ...PROBE];
    const input = { commandId: 'RunShellScript', script };
    const options = { updateIntervalInMs: 20 };
    const result = await client.virtualMachines.runCommand(vm.resourceGroup, name, input, options);
    return /^Enable succeeded: \n\[stdout\]\n(.*)\n\[stderr\]\n$/s.exec(result.value?.[0]?.message ?? '')?.[1] ?? '';
  }

  test('real firewalls are taken where they can be had, and the reason is said where not', () => {
    const why = kernelSkipReason();
    assert.equal(fleet.mode, why === false ? 'kernel' : 'replay', fleet.modeReason);
    assert.notEqual(fleet.modeReason, '');
  });

  test('the whole subscription is listed with its tags', async () => {
    const names: (string | undefined)[] = [];
    for await (const vm of client.virtualMachines.listAll()) {
      if (vm.tags?.['fw-baseline'] === 'enabled') names.push(vm.name);
    }
    assert.deepEqual(
      names,
      fleet.vms.map(({ name }) => name),
    );
    assert.ok(names.length >= 10);
  });

  test('the probe runs on every VM that can be read, all at once, and its envelope arrives whole', async () => {
    const readable = fleet.vms.filter((vm) => vm.osType === 'Linux' && vm.powerState === 'running' && vm.agentReady);
    assert.equal(readable.length, 10);
    const outputs = await Promise.all(readable.map(({ name }) => probe(name, 'auto')));
    for (const [index, output] of outputs.entries()) {
      const name = readable[index]?.name;
      assert.match(output, new RegExp(`^NFI-ENVELOPE 1 ${NONCE}\n`), name);
      assert.match(output, new RegExp(`\nNFI-END ${NONCE} 1/\\d+ [0-9a-f]{64}\n$`), name);
    }
  });

  test('what does not fit loses its beginning, as in the real service', async () => {
    const output = await probe('node-kube', 'full');
    assert.equal(output.length, 4096);
    assert.doesNotMatch(output, /NFI-ENVELOPE/);
    assert.match(output, /\nNFI-END c0ffee00c0ffee00 1\/1 [0-9a-f]{64}\n$/);
  });

  test('three VMs answer with a reason', async () => {
    await assert.rejects(probe('spare-stopped', 'auto'), { statusCode: 409, code: 'OperationNotAllowed' });
    await assert.rejects(probe('lab-silent', 'auto'), /VMAgentStatusCommunicationError/);
    await assert.rejects(probe('office-windows', 'auto'), { statusCode: 404, code: 'NotFound' });
  });
});
