import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { CredentialUnavailableError } from '@azure/identity';
import { armScope, ComputeClients } from '../../src/azure/compute-clients.ts';
import { AzureRunCommandRunner } from '../../src/azure/run-command-runner.ts';
import { AzureVmDirectory } from '../../src/azure/vm-directory.ts';
import { OperationError } from '../../src/core/errors.ts';
import { SUBSCRIPTION, simulate, simulatedVm } from './simulated-subscription.ts';

const web = simulatedVm('web-01');
const { arm, clients } = await simulate([web]);
after(() => arm.stop());

const nobody = () =>
  new ComputeClients({
    credential: { getToken: () => Promise.reject(new CredentialUnavailableError('no managed identity')) },
    endpoint: arm.url,
  });

test('without an identity a VM is denied, and the identity may come: no bug, and no end at the first try', async () => {
  const runner = new AzureRunCommandRunner(nobody());
  for (const answer of [await runner.readiness(web.id), await runner.start(web.id, ['true'])]) {
    assert.ok(answer.kind === 'unavailable');
    assert.deepEqual([answer.reason, answer.message], ['denied', 'no credential gave a token']);
    assert.notEqual(answer.retryAfterSeconds, null);
  }
});

test('a look without a token says nothing about the command, which goes on', async () => {
  const started = await new AzureRunCommandRunner(clients()).start(web.id, ['true']);
  assert.ok(started.kind === 'started');
  assert.equal((await new AzureRunCommandRunner(nobody()).poll(web.id, started.state)).kind, 'running');
});

test('a token is asked for the cloud that it is sent to', () => {
  assert.equal(armScope('https://management.azure.com'), 'https://management.azure.com/.default');
  assert.equal(armScope('https://management.usgovcloudapi.net/'), 'https://management.usgovcloudapi.net/.default');
  assert.equal(armScope('http://127.0.0.1:9'), 'https://management.azure.com/.default');
});

test('without an identity a fleet is not listed, and the error says what to turn on', async () => {
  const listing = async () => {
    for await (const _target of new AzureVmDirectory(nobody()).list({ subscription_ids: [SUBSCRIPTION] }));
  };
  await assert.rejects(listing, (error) => {
    assert.ok(error instanceof OperationError);
    assert.deepEqual([error.code, error.retryable], ['ARM_LOGIN', true]);
    assert.match(error.nextStep, /managed identity/);
    return true;
  });
});
