import assert from 'node:assert/strict';
import { test } from 'node:test';
import functions from '@azure/functions';
import { serve } from '../../src/api/azure-functions.ts';
import { makeAzureServices } from '../../src/azure/services.ts';

async function answered(
  handle: () => Promise<never>,
): Promise<{ status: number | undefined; body: string; log: string }> {
  const log: string[] = [];
  const context = new functions.InvocationContext({
    invocationId: 'invocation-1',
    functionName: 'startRun',
    logHandler: (_level, ...args) => log.push(args.map(String).join(' ')),
  });
  const request = new functions.HttpRequest({ method: 'POST', url: 'http://localhost/api/v1/runs' });
  const { status, headers, body } = await serve(request, context, handle);
  assert.equal((headers as Record<string, string>)['content-type'], 'application/problem+json');
  return { status, body: String(body), log: log.join('\n') };
}

const SECRET = 'AccountKey=c2VjcmV0';
const good = { BASELINE_STORAGE: 'UseDevelopmentStorage=true' };

test('a setting that is not valid is a problem that names it, and never its value', async () => {
  const settings: [Record<string, string>, string][] = [
    [{}, 'BASELINE_STORAGE__blobServiceUri'],
    [{ BASELINE_STORAGE: `nonsense;${SECRET}` }, 'BASELINE_STORAGE'],
    [{ BASELINE_STORAGE: `BlobEndpoint=:;${SECRET}` }, 'BASELINE_STORAGE'],
    [{ BASELINE_STORAGE__blobServiceUri: 'nonsense' }, 'BASELINE_STORAGE__blobServiceUri'],
    [{ BASELINE_STORAGE__blobServiceUri: 'http://account.example' }, 'BASELINE_STORAGE__blobServiceUri'],
    [{ ...good, RUN_LANES: 'many' }, 'RUN_LANES'],
    [{ ...good, ARM_ENDPOINT: 'nonsense' }, 'ARM_ENDPOINT'],
    [{ ...good, ARM_ENDPOINT: 'http://192.0.2.1' }, 'ARM_ENDPOINT'],
  ];
  for (const [env, name] of settings) {
    const { status, body } = await answered(async () => assert.fail(String(makeAzureServices(env))));
    assert.equal(status, 500);
    assert.match(body, /"code":"CONFIG_(SETTING|ARM_ENDPOINT)"/, JSON.stringify(env));
    assert.match(body, new RegExp(`"detail":"${name}: `), JSON.stringify(env));
    assert.doesNotMatch(body, /c2VjcmV0|nonsense|many/);
  }
});

test('an empty setting is one that is not set', () => {
  assert.equal(makeAzureServices({ ...good, ARM_ENDPOINT: '' }).settings.armEndpoint, 'https://management.azure.com');
});

test('a bug is a problem that says where to look, and its text is in the log alone', async () => {
  const { status, body, log } = await answered(async () => {
    throw new TypeError('the rule -A INPUT is undefined');
  });
  assert.equal(status, 500);
  assert.match(body, /"code":"INTERNAL_ERROR"/);
  assert.match(body, /invocation-1/);
  assert.doesNotMatch(body, /INPUT/);
  assert.match(log, /TypeError: the rule/);
});
