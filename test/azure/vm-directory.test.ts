import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { ComputeClients } from '../../src/azure/compute-clients.ts';
import { AzureVmDirectory } from '../../src/azure/vm-directory.ts';
import type { VmSelector } from '../../src/core/contracts.ts';
import { OperationError } from '../../src/core/errors.ts';
import { SUBSCRIPTION, simulate, simulatedVm } from './simulated-subscription.ts';

const fleet = [
  ...Array.from({ length: 7 }, (_, index) => simulatedVm(`web-${index}`, { tags: { Role: 'Web' } })),
  simulatedVm('db-0', { tags: { role: 'db' }, resourceGroup: 'rg-data' }),
  simulatedVm('win-0', { osType: 'Windows', resourceGroup: 'rg-data' }),
];
const { arm, clients } = await simulate(fleet, { pageSize: 3 });
after(() => arm.stop());

async function names(selector: VmSelector): Promise<string[]> {
  const found: string[] = [];
  for await (const target of new AzureVmDirectory(clients()).list(selector)) found.push(target.vm_name);
  return found.sort();
}

test('a subscription is listed to its last page', async () => {
  assert.equal((await names({ subscription_ids: [SUBSCRIPTION] })).length, fleet.length);
});

test('a resource group, and a tag however it is spelled', async () => {
  assert.deepEqual(await names({ subscription_id: SUBSCRIPTION, resource_group: 'rg-data' }), ['db-0', 'win-0']);
  assert.equal((await names({ subscription_ids: [SUBSCRIPTION], tag: { name: 'role', value: 'web' } })).length, 7);
  assert.equal((await names({ subscription_ids: [SUBSCRIPTION], tag: { name: 'role' } })).length, 8);
  assert.deepEqual(await names({ subscription_ids: [SUBSCRIPTION], tag: { name: 'role', value: 'mail' } }), []);
});

test('VM ids are taken as given, each once however it is written', async () => {
  const [first] = fleet;
  assert.ok(first);
  assert.equal((await names({ vm_ids: [first.id, first.id.toUpperCase(), `${first.id}/`] })).length, 1);
  for await (const target of new AzureVmDirectory(clients()).list({ vm_ids: [`${first.id}/`] })) {
    assert.equal(target.vm_id, first.id);
  }
});

test('a group or a subscription that is not there is not to be tried again', async () => {
  const nowhere = SUBSCRIPTION.replace(/^./, (digit) => (digit === '1' ? '2' : '1'));
  for (const selector of [
    { subscription_id: SUBSCRIPTION, resource_group: 'rg-nowhere' },
    { subscription_ids: [nowhere] },
  ]) {
    await assert.rejects(names(selector), (error) => {
      assert.ok(error instanceof OperationError);
      assert.deepEqual([error.code, error.retryable], ['ARM_LIST_FAILED', false]);
      assert.match(error.nextStep, /spelled/);
      return true;
    });
  }
});

test('what may not be listed is an error that names the permission', async () => {
  arm.control.deny('rg-data');
  await assert.rejects(names({ subscription_id: SUBSCRIPTION, resource_group: 'rg-data' }), (error) => {
    assert.ok(error instanceof OperationError);
    assert.equal(error.code, 'ARM_DENIED');
    assert.match(error.message, /virtualMachines\/read/);
    return true;
  });
});

test('tokens are never sent over plain http to another machine', () => {
  const credential = { getToken: async () => ({ token: 't', expiresOnTimestamp: 0 }) };
  for (const endpoint of ['http://example.test', 'http://10.0.0.1:80', 'ftp://127.0.0.1']) {
    assert.throws(() => new ComputeClients({ credential, endpoint }), /CONFIG_ARM_ENDPOINT/);
  }
});

test('a throttled listing says when to ask again', async () => {
  arm.control.failNext('list', { status: 429, on: 'list', retryAfterSeconds: 120 });
  await assert.rejects(names({ subscription_ids: [SUBSCRIPTION] }), (error) => {
    assert.ok(error instanceof OperationError);
    assert.deepEqual([error.code, error.retryable, error.retryAfterSeconds], ['ARM_LIST_FAILED', true, 120]);
    return true;
  });
});
