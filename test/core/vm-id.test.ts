import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isVmId, parseVmId, VM_KEY, vmKey } from '../../src/core/vm-id.ts';

const id =
  '/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg-prod/providers/Microsoft.Compute/virtualMachines/web-01';

test('an ARM id is taken apart', () => {
  assert.deepEqual(parseVmId(id), {
    subscriptionId: '11111111-2222-3333-4444-555555555555',
    resourceGroup: 'rg-prod',
    vmName: 'web-01',
  });
});

test('the key is the same however ARM writes the id, and readable', () => {
  assert.equal(vmKey(id), vmKey(id.toUpperCase()));
  assert.equal(vmKey(id), vmKey(`${id}/`));
  assert.match(vmKey(id), /^web-01-[0-9a-f]{12}$/);
});

test('two VMs of one name in two groups have two keys, and long or odd names give valid ones', () => {
  assert.notEqual(vmKey(id), vmKey(id.replace('rg-prod', 'rg-test')));
  for (const name of ['a', 'A.B_C', 'x'.repeat(64), '9-'.repeat(20)])
    assert.match(vmKey(id.replace('web-01', name)), VM_KEY);
});

test('a key begins with a letter or a digit, as the name of an artifact does', () => {
  assert.doesNotMatch('------------', VM_KEY);
});

test('anything else is refused', () => {
  for (const bad of [
    '',
    'web-01',
    `${id}/extensions/x`,
    id.replace('web-01', '../x'),
    id.replace('web-01', '-rf'),
    `${id}?a=b`,
    ` ${id}`,
    // A URL would resolve them to another resource: the whole subscription, for one.
    id.replace('rg-prod', '..'),
    id.replace('rg-prod', 'rg.'),
    // Letters that fold to s and k where case is ignored: one VM would have two keys.
    id.replace('subscriptions', '\u017Fubscriptions'),
    id.replace('web-01', 'wor\u212Aer'),
  ]) {
    assert.equal(isVmId(bad), false, bad);
    assert.throws(() => parseVmId(bad), /CONFIG_VM_ID/);
  }
});
