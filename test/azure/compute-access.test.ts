import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { type IdentityEndpoint, startIdentityEndpoint } from '../../local/identity-endpoint.ts';
import { isPermitted, makeComputeAccess } from '../../src/azure/compute-access.ts';
import { isArmAddress } from '../../src/azure/compute-clients.ts';
import { OperationError } from '../../src/core/errors.ts';

const RUN = 'Microsoft.Compute/virtualMachines/runCommand/action';
const READ = 'Microsoft.Compute/virtualMachines/read';

test('a permission is given by one role and not taken away by the same', () => {
  const cases: [Parameters<typeof isPermitted>[0], boolean][] = [
    [[{ actions: ['*'] }], true],
    [[{ actions: ['*'], notActions: ['Microsoft.Authorization/*/Delete'] }], true],
    [[{ actions: ['microsoft.compute/virtualmachines/*'] }], true],
    [[{ actions: ['Microsoft.Compute/*/read'] }], false],
    [[{ actions: ['*'], notActions: ['Microsoft.Compute/virtualMachines/runCommand/*'] }], false],
    [[{ actions: ['*'], notActions: [RUN] }, { actions: [RUN] }], true],
    [[{ actions: ['Microsoft.Compute/virtualMachines/runCommand/actio.'] }], false],
    [[], false],
    [[{}], false],
  ];
  for (const [permissions, expected] of cases)
    assert.equal(isPermitted(permissions, RUN), expected, JSON.stringify(permissions));
});

let identity: IdentityEndpoint;
const saved = { ...process.env };
before(async () => {
  identity = await startIdentityEndpoint();
  Object.assign(process.env, identity.settings, { AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential' });
});
after(async () => {
  for (const name of [...Object.keys(identity.settings), 'AZURE_TOKEN_CREDENTIALS']) delete process.env[name];
  Object.assign(process.env, saved);
  await identity.stop();
});

test('what ARM says of permissions is asked with a token, and no answer is not "missing"', async () => {
  const asked: string[] = [];
  let status = 200;
  const server = createServer((request, response) => {
    asked.push(`${request.url} ${request.headers.authorization?.slice(0, 7)}`);
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ value: [{ actions: [READ], notActions: [] }] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const access = makeComputeAccess({ ARM_ENDPOINT: endpoint });
  const vm = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachines/v';
  assert.deepEqual(await access.missingActions(vm, [READ, RUN]), [RUN]);
  assert.deepEqual(asked, [`${vm}/providers/Microsoft.Authorization/permissions?api-version=2022-04-01 Bearer `]);
  status = 501;
  assert.equal(await access.missingActions(vm, [RUN]), null);
  await new Promise((resolve) => server.close(resolve));
});

test('a token is never sent in the clear to another machine', () => {
  assert.throws(
    () => makeComputeAccess({ ARM_ENDPOINT: 'http://192.0.2.1' }),
    (error) => error instanceof OperationError && error.code === 'CONFIG_ARM_ENDPOINT',
  );
});

test('an address is ARM’s when it is on its host or a region’s below it', () => {
  const arm = 'https://management.azure.com';
  const cases: [string, boolean][] = [
    [`${arm}/subscriptions/s?t=1`, true],
    ['https://MANAGEMENT.azure.com:443/x', true],
    ['https://westeurope.management.azure.com/x', true],
    ['http://management.azure.com/x', false],
    ['https://management.azure.com.example.test/x', false],
    ['https://management.azure.com@example.test/x', false],
    ['https://evilmanagement.azure.com/x', false],
    ['https://management.azure.com:8443/x', false],
    ['//example.test', false],
    ['', false],
  ];
  for (const [address, expected] of cases) assert.equal(isArmAddress(address, arm), expected, address);
  assert.equal(isArmAddress('http://127.0.0.1:81/x', 'http://127.0.0.1:80'), false);
});
