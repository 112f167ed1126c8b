import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type ComputeManagementClient, restorePoller } from '@azure/arm-compute';
import { type ArmSimulator, startArmSimulator } from '../../../local/arm/arm-simulator.ts';
import { runScript } from '../../../local/fleet/run-script.ts';
import { loopbackComputeClient } from './loopback-compute-client.ts';
import { GROUP, SUBSCRIPTION, simulatedVm } from './simulated-fleet.ts';

const SHELL = { command: ['sh', '-s'], environment: { PATH: '/usr/bin:/bin' } } as const;
const NO_SDK_RETRIES = { retryOptions: { maxRetries: 0 } };

async function errorOf(promise: PromiseLike<unknown>): Promise<Error & { statusCode?: number; code?: string }> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof Error);
    return error;
  }
  throw new Error('expected a rejection');
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

let simulator: ArmSimulator;
let client: ComputeManagementClient;

async function start(options: Partial<Parameters<typeof startArmSimulator>[0]> = {}): Promise<void> {
  simulator = await startArmSimulator({
    vms: [
      simulatedVm('web-01', { tags: { role: 'web' } }),
      simulatedVm('web-02'),
      simulatedVm('db-01', { resourceGroup: 'rg-data' }),
      simulatedVm('off-01', { powerState: 'deallocated' }),
      simulatedVm('silent-01', { agentReady: false }),
      simulatedVm('win-01', { osType: 'Windows' }),
    ],
    executeScript: (_vm, lines, signal) => runScript(SHELL, lines, signal),
    minimumRunMs: 0,
    agentTimeoutMs: 20,
    retryAfterSeconds: 0,
    ...options,
  });
  client = loopbackComputeClient(simulator.url, SUBSCRIPTION, NO_SDK_RETRIES);
}

function run(
  vmName: string,
  ...script: string[]
): ReturnType<ComputeManagementClient['virtualMachines']['runCommand']> {
  return client.virtualMachines.runCommand(
    GROUP,
    vmName,
    { commandId: 'RunShellScript', script },
    { updateIntervalInMs: 5 },
  );
}

async function message(vmName: string, ...script: string[]): Promise<string | undefined> {
  return (await run(vmName, ...script)).value?.[0]?.message;
}

beforeEach(() => start());
afterEach(async () => {
  assert.deepEqual(
    simulator.requests.filter(({ route }) => route === 'unknown'),
    [],
  );
  await simulator.stop();
});

describe('listing and reading VMs', () => {
  test('a subscription is listed over several pages, each VM once and in order', async () => {
    await simulator.stop();
    await start({ pageSize: 2 });
    const pages = [];
    for await (const page of client.virtualMachines.listAll().byPage()) pages.push(page.map(({ name }) => name));
    assert.deepEqual(pages, [
      ['web-01', 'web-02'],
      ['db-01', 'off-01'],
      ['silent-01', 'win-01'],
    ]);
  });

  test('a resource group is listed without regard to case, with id, tags, location and operating system', async () => {
    const [vm] = await collect(client.virtualMachines.list('RG-DATA'));
    assert.equal(vm?.id, simulatedVm('db-01', { resourceGroup: 'rg-data' }).id);
    assert.deepEqual(vm?.tags, { 'fw-baseline': 'enabled' });
    assert.equal(vm?.location, 'westeurope');
    assert.equal(vm?.storageProfile?.osDisk?.osType, 'Linux');
    assert.equal(vm?.vmId, '22222222-2222-4222-8222-222222222222');
    assert.equal(vm?.instanceView, undefined);
  });

  test('statusOnly answers the run-time status and leaves the model out', async () => {
    const vms = await collect(client.virtualMachines.listAll({ statusOnly: 'true' }));
    const off = vms.find(({ name }) => name === 'off-01');
    assert.ok(off?.instanceView?.statuses?.some(({ code }) => code === 'PowerState/deallocated'));
    assert.equal(off?.storageProfile, undefined);
    assert.equal(off?.tags, undefined);
  });

  test('a VM expands to its instance view: power state and agent', async () => {
    const ready = await client.virtualMachines.get(GROUP, 'WEB-01', { expand: 'instanceView' });
    assert.deepEqual(
      ready.instanceView?.statuses?.map(({ code }) => code),
      ['ProvisioningState/succeeded', 'PowerState/running'],
    );
    assert.equal(ready.instanceView?.vmAgent?.statuses?.[0]?.displayStatus, 'Ready');
    const silent = await client.virtualMachines.instanceView(GROUP, 'silent-01');
    assert.equal(silent.vmAgent?.statuses?.[0]?.displayStatus, 'Not Ready');
    const off = await client.virtualMachines.instanceView(GROUP, 'off-01');
    assert.equal(off.vmAgent, undefined);
  });

  test('what does not exist is told apart: the VM, its resource group, its subscription', async () => {
    const vm = await errorOf(client.virtualMachines.get(GROUP, 'nobody'));
    assert.deepEqual([vm.statusCode, vm.code], [404, 'ResourceNotFound']);
    const group = await errorOf(client.virtualMachines.get('rg-nowhere', 'web-01'));
    assert.deepEqual([group.statusCode, group.code], [404, 'ResourceGroupNotFound']);
    const elsewhere = loopbackComputeClient(simulator.url, '99999999-9999-4999-8999-999999999999', NO_SDK_RETRIES);
    const subscription = await errorOf(collect(elsewhere.virtualMachines.listAll()));
    assert.equal(subscription.statusCode, 404);
  });

  test('what may not be read answers 403 by name and is left out of lists', async () => {
    simulator.control.deny('web-02');
    const denied = await errorOf(client.virtualMachines.get(GROUP, 'web-02'));
    assert.deepEqual([denied.statusCode, denied.code], [403, 'AuthorizationFailed']);
    assert.match(denied.message, /virtualMachines\/read/);
    const post = await errorOf(run('web-02', 'true'));
    assert.match(post.message, /virtualMachines\/runCommand\/action/);
    const names = (await collect(client.virtualMachines.listAll())).map(({ name }) => name);
    assert.ok(!names.includes('web-02'));
  });

  test('a request without a token answers 401', async () => {
    const anonymous = loopbackComputeClient(simulator.url, SUBSCRIPTION, { ...NO_SDK_RETRIES, token: null });
    const error = await errorOf(anonymous.virtualMachines.get(GROUP, 'web-01'));
    assert.equal(error.statusCode, 401);
  });
});

describe('run command', () => {
  test('a script really runs, and its output comes back in one message with both streams', async () => {
    const result = await run('web-01', 'echo "to stdout: $((6 * 7))"', 'echo to stderr >&2', 'exit 3');
    assert.deepEqual(result.value, [
      {
        code: 'ProvisioningState/succeeded',
        level: 'Info',
        displayStatus: 'Provisioning succeeded',
        message: 'Enable succeeded: \n[stdout]\nto stdout: 42\n\n[stderr]\nto stderr\n',
        time: undefined,
      },
    ]);
    assert.deepEqual(
      simulator.runs.map(({ vmName, exitCode }) => [vmName, exitCode]),
      [['web-01', 3]],
    );
  });

  test('only the last 4,096 bytes of each stream are kept', async () => {
    const text = await message('web-01', 'seq 1 3000', 'seq 5001 8000 >&2');
    const whole = (from: number, to: number): string =>
      Array.from({ length: to - from + 1 }, (_, index) => `${from + index}\n`).join('');
    assert.equal(
      text,
      `Enable succeeded: \n[stdout]\n${whole(1, 3000).slice(-4096)}\n[stderr]\n${whole(5001, 8000).slice(-4096)}`,
    );
  });

  test('a run is accepted with two signed addresses and polled until it is done', async () => {
    await simulator.stop();
    await start({ minimumRunMs: 150 });
    assert.match((await message('web-01', 'echo done')) ?? '', /done/);
    const routes = simulator.requests.map(({ route, status }) => `${route} ${status}`);
    assert.equal(routes[0], 'runCommand 202');
    assert.ok(routes.length > 3, 'it was polled while it ran');
    assert.ok(routes.slice(1).every((each) => each === 'operation 200'));
    assert.match(simulator.requests.at(-1)?.path ?? '', /monitor=true/);
  });

  test('a serialized poller is restored in another client and gets the result', async () => {
    await simulator.stop();
    await start({ minimumRunMs: 100 });
    const poller = run('web-01', 'echo survived');
    await poller.submitted();
    const state = await poller.serialize();
    const other = loopbackComputeClient(simulator.url, SUBSCRIPTION, NO_SDK_RETRIES);
    const restored = restorePoller(other, state, other.virtualMachines.runCommand, { updateIntervalInMs: 10 });
    await restored.poll();
    assert.equal(restored.isDone, false);
    const result = await restored.pollUntilDone();
    assert.match(result.value?.[0]?.message ?? '', /survived/);
    assert.equal(simulator.runs.length, 1);
  });

  test('an address that was not used as it was given finds nothing', async () => {
    const poller = run('web-01', 'true');
    await poller.submitted();
    const { state } = JSON.parse(await poller.serialize()) as { state: { config: { operationLocation: string } } };
    const url = new URL(state.config.operationLocation);
    const get = async (): Promise<number> =>
      (await fetch(url, { headers: { Authorization: 'Bearer any-value' } })).status;
    assert.equal(await get(), 200);
    url.searchParams.set('s', 'forged');
    assert.equal(await get(), 404);
    await poller.pollUntilDone();
  });

  test('a second command on a busy VM answers 409, and another VM is not busy', async () => {
    simulator.control.failNext('web-01', { kind: 'neverFinishes' });
    const first = run('web-01', 'echo first');
    await first.submitted();
    const busy = await errorOf(run('web-01', 'echo second'));
    assert.deepEqual([busy.statusCode, busy.code], [409, 'Conflict']);
    assert.match(busy.message, /execution is in progress/);
    assert.match((await message('web-02', 'echo other')) ?? '', /other/);
    simulator.control.finishAll();
    await first.pollUntilDone();
    assert.match((await message('web-01', 'echo third')) ?? '', /third/);
  });

  test('a stopped VM answers 409 OperationNotAllowed, and runs after it was started', async () => {
    const stopped = await errorOf(run('off-01', 'true'));
    assert.deepEqual([stopped.statusCode, stopped.code], [409, 'OperationNotAllowed']);
    assert.match(stopped.message, /requires the VM to be running/);
    simulator.control.setPowerState('off-01', 'running');
    assert.match((await message('off-01', 'echo up')) ?? '', /up/);
  });

  test('a silent agent lets the operation fail late', async () => {
    const error = await errorOf(run('silent-01', 'true'));
    assert.equal(error.statusCode, undefined);
    assert.match(error.message, /VMAgentStatusCommunicationError/);
    assert.deepEqual(simulator.requests.at(-1)?.route, 'operation');
  });

  test('Windows answers one status per stream, and knows another command', async () => {
    const shell = await errorOf(run('win-01', 'true'));
    assert.deepEqual([shell.statusCode, shell.code], [404, 'NotFound']);
    const result = await client.virtualMachines.runCommand(GROUP, 'win-01', {
      commandId: 'RunPowerShellScript',
      script: ['echo windows'],
    });
    assert.deepEqual(
      result.value?.map(({ code, message: text }) => [code, text]),
      [
        ['ComponentStatus/StdOut/succeeded', 'windows\n'],
        ['ComponentStatus/StdErr/succeeded', ''],
      ],
    );
  });

  test('an unknown command is not found', async () => {
    const error = await errorOf(client.virtualMachines.runCommand(GROUP, 'web-01', { commandId: 'RunNonsense' }));
    assert.deepEqual([error.statusCode, error.code], [404, 'NotFound']);
    assert.match(error.message, /not found in this Azure location/);
  });
});

describe('faults', () => {
  test('429 with Retry-After is met once, and the SDK waits that long and posts again', async () => {
    const patient = loopbackComputeClient(simulator.url, SUBSCRIPTION);
    simulator.control.failNext('web-01', { status: 429, retryAfterSeconds: 1 });
    const startedAt = performance.now();
    const result = await patient.virtualMachines.runCommand(GROUP, 'web-01', {
      commandId: 'RunShellScript',
      script: ['echo at last'],
    });
    assert.match(result.value?.[0]?.message ?? '', /at last/);
    assert.ok(performance.now() - startedAt >= 950);
    const posts = simulator.requests.filter(({ route }) => route === 'runCommand').map(({ status }) => status);
    assert.deepEqual(posts, [429, 202]);
  });

  test('a client without retries sees the status, the code and Retry-After', async () => {
    simulator.control.failNext('web-01', { status: 429, retryAfterSeconds: 7 });
    const error = await errorOf(run('web-01', 'true'));
    assert.deepEqual([error.statusCode, error.code], [429, 'OperationNotAllowed']);
    for (const status of [500, 503]) {
      simulator.control.failNext('web-01', { status });
      assert.equal((await errorOf(run('web-01', 'true'))).statusCode, status);
    }
    assert.equal(simulator.runs.length, 0);
  });

  test('every request of a VM and every list can be made to fail, each as often as asked', async () => {
    const { control } = simulator;
    control.failNext('list', { on: 'list', status: 500 });
    control.failNext('web-01', { on: 'get', status: 500 }, 2);
    control.failNext('web-01', { on: 'poll', status: 503 });
    control.failNext('web-02', { on: 'result', status: 500 });
    assert.match((await errorOf(collect(client.virtualMachines.listAll()))).message, /500/);
    for (let count = 0; count < 2; count += 1) {
      assert.equal((await errorOf(client.virtualMachines.get(GROUP, 'web-01'))).statusCode, 500);
    }
    assert.equal((await client.virtualMachines.get(GROUP, 'web-01')).name, 'web-01');
    assert.equal((await errorOf(run('web-01', 'true'))).statusCode, 503);
    assert.equal((await errorOf(run('web-02', 'true'))).statusCode, 500);
    assert.equal(control.pendingFaults(), 0);
  });

  test('a POST that was accepted but answered 500 or not at all is met again as a 409', async () => {
    const accepted = [
      { kind: 'acceptedThenHttp', status: 500 },
      { kind: 'dropped', accepted: true },
    ] as const;
    for (const fault of accepted) {
      simulator.control.failNext('web-01', fault);
      const gate = join(mkdtempSync(join(tmpdir(), 'arm-gate-')), 'open');
      await errorOf(run('web-01', `until [ -e ${gate} ]; do sleep 0.02; done`));
      assert.equal((await errorOf(run('web-01', 'true'))).statusCode, 409);
      writeFileSync(gate, '');
      await simulator.control.idle();
      rmSync(dirname(gate), { recursive: true });
      assert.match((await message('web-01', 'echo free')) ?? '', /free/);
    }
    assert.equal(simulator.runs.length, 4);
  });

  test('a connection that is closed before the POST was accepted leaves the VM free', async () => {
    simulator.control.failNext('web-01', { kind: 'dropped' });
    const error = await errorOf(run('web-01', 'true'));
    assert.equal(error.statusCode, undefined);
    assert.equal(simulator.runs.length, 0);
    assert.match((await message('web-01', 'echo free')) ?? '', /free/);
  });

  test('the wrong output comes back as a success: a sample script, the previous output, anything', async () => {
    const { control } = simulator;
    assert.match((await message('web-01', 'echo first')) ?? '', /first/);
    control.failNext('web-01', { kind: 'cachedOutput' });
    assert.match((await message('web-01', 'echo second')) ?? '', /first/);
    control.failNext('web-01', { kind: 'builtInSample' });
    assert.match((await message('web-01', 'echo third')) ?? '', /This is a sample script/);
    control.failNext('web-01', { kind: 'output', stdout: 'made up' });
    assert.equal(await message('web-01', 'echo fourth'), 'Enable succeeded: \n[stdout]\nmade up\n[stderr]\n');
  });

  test('an operation can be made to fail with any code', async () => {
    simulator.control.failNext('web-01', {
      kind: 'operationFails',
      code: 'VMExtensionProvisioningTimeout',
      message: 'x',
    });
    assert.match((await errorOf(run('web-01', 'true'))).message, /VMExtensionProvisioningTimeout/);
  });
});

describe('the server', () => {
  let own: ArmSimulator;
  before(async () => {
    own = await startArmSimulator({ vms: [], executeScript: () => Promise.reject(new Error('not used')) });
  });
  after(() => own.stop());

  test('an unknown route answers 501 and is recorded', async () => {
    const response = await fetch(`${own.url}/subscriptions/s/providers/Microsoft.Network/x?api-version=1`, {
      headers: { Authorization: 'Bearer any-value' },
    });
    assert.equal(response.status, 501);
    assert.deepEqual(
      own.requests.map(({ route, status }) => [route, status]),
      [['unknown', 501]],
    );
  });

  test('stopping ends running scripts', async () => {
    let markStarted = (): void => undefined;
    const started = new Promise<void>((resolve) => {
      markStarted = resolve;
    });
    let ended: unknown;
    const stopping = await startArmSimulator({
      vms: [simulatedVm('web-01')],
      executeScript: async (_vm, lines, signal) => {
        markStarted();
        try {
          return await runScript(SHELL, lines, signal);
        } catch (error) {
          ended = error;
          throw error;
        }
      },
    });
    const poller = loopbackComputeClient(stopping.url, SUBSCRIPTION, NO_SDK_RETRIES).virtualMachines.runCommand(
      GROUP,
      'web-01',
      { commandId: 'RunShellScript', script: ['sleep 60'] },
    );
    await poller.submitted();
    await started;
    await stopping.stop();
    assert.match(String(ended), /ended with the machine/);
  });
});
