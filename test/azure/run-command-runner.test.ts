import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, test } from 'node:test';
import { RestError } from '@azure/storage-blob';
import { unavailableFrom } from '../../src/azure/arm-errors.ts';
import { readRetryAfter } from '../../src/azure/retry-after.ts';
import { AzureRunCommandRunner } from '../../src/azure/run-command-runner.ts';
import { OperationError } from '../../src/core/errors.ts';
import type { PollResult, StartResult } from '../../src/core/ports.ts';
import { simulate, simulatedVm } from './simulated-subscription.ts';

const web = simulatedVm('web-01');
const stopped = simulatedVm('stopped-01', { powerState: 'deallocated' });
const silent = simulatedVm('silent-01', { agentReady: false });
const windows = simulatedVm('win-01', { osType: 'Windows' });
const { arm, clients } = await simulate([web, stopped, silent, windows]);
after(() => arm.stop());

const runner = () => new AzureRunCommandRunner(clients());

async function untilDone(vmId: string, started: StartResult): Promise<PollResult> {
  assert.equal(started.kind, 'started');
  const { state } = started as Extract<StartResult, { kind: 'started' }>;
  for (let look = 0; look < 200; look += 1) {
    // A new runner for every look: the state alone carries the operation, as after a restart of the process.
    const result = await runner().poll(vmId, state);
    if (result.kind !== 'running') return result;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error('the run command did not end');
}

function reason(result: { kind: string; reason?: string; retryAfterSeconds?: number | null }) {
  return [result.kind, result.reason, typeof result.retryAfterSeconds];
}

test('a script is started with one request, and its output found by a process that knows the state only', async () => {
  const before = arm.requests.length;
  const started = await runner().start(web.id, ['echo "hello from $((6 * 7))"', 'echo oops >&2']);
  assert.deepEqual(
    arm.requests.slice(before).map(({ method, status }) => [method, status]),
    [['POST', 202]],
  );
  const result = await untilDone(web.id, started);
  assert.equal(result.kind, 'finished');
  const message = (result as Extract<PollResult, { kind: 'finished' }>).output[0]?.message ?? '';
  assert.match(message, /^Enable succeeded: \n\[stdout\]\nhello from 42\n/);
  assert.match(message, /\[stderr\]\noops\n/);
});

test('when the service says when to look again, that is passed on', async () => {
  const { arm: slow, clients: slowClients } = await simulate([web], { retryAfterSeconds: 12 });
  const asked = new AzureRunCommandRunner(slowClients());
  slow.control.failNext('web-01', { kind: 'neverFinishes' });
  const started = await asked.start(web.id, ['true']);
  const { state } = started as Extract<StartResult, { kind: 'started' }>;
  assert.deepEqual(await asked.poll(web.id, state), { kind: 'running', retryAfterSeconds: 12 });
  await slow.stop();
});

test('one look is one request while the script runs', async () => {
  arm.control.failNext('web-01', { kind: 'neverFinishes' });
  const started = await runner().start(web.id, ['true']);
  const before = arm.requests.length;
  const { state } = started as Extract<StartResult, { kind: 'started' }>;
  assert.equal((await runner().poll(web.id, state)).kind, 'running');
  assert.equal(arm.requests.length, before + 1);
  const second = await runner().start(web.id, ['true']);
  assert.deepEqual(reason(second), ['unavailable', 'busy', 'number']);
  arm.control.finishAll();
  assert.equal((await untilDone(web.id, started)).kind, 'finished');
});

test('a look that is throttled or meets a bad minute leaves the command running', async () => {
  const started = await runner().start(web.id, ['echo done']);
  const { state } = started as Extract<StartResult, { kind: 'started' }>;
  arm.control.failNext('web-01', { status: 429, on: 'poll', retryAfterSeconds: 7 });
  assert.deepEqual(await runner().poll(web.id, state), { kind: 'running', retryAfterSeconds: 7 });
  arm.control.failNext('web-01', { status: 503, on: 'poll' });
  assert.equal((await runner().poll(web.id, state)).kind, 'running');
  assert.equal((await untilDone(web.id, started)).kind, 'finished');
});

test('a command that failed on the VM is an answer, not a bad minute', async () => {
  arm.control.failNext('web-01', { kind: 'operationFails', code: 'VMExtensionProvisioningError', message: 'failed' });
  const result = await untilDone(web.id, await runner().start(web.id, ['true']));
  assert.deepEqual(reason(result), ['unavailable', 'service_error', 'number']);
});

test('a readiness check tells running Linux from stopped, silent and Windows', async () => {
  const answers = await Promise.all([web, stopped, silent, windows].map(({ id }) => runner().readiness(id)));
  assert.deepEqual(
    answers.map((answer) => (answer.kind === 'ready' ? 'ready' : answer.reason)),
    ['ready', 'vm_stopped', 'agent_not_ready', 'not_linux'],
  );
});

test('a VM that starts, or of which Azure does not know, is asked again; one that stops is not', async () => {
  const states: [string, string][] = [
    ['starting', 'number'],
    ['unknown', 'number'],
    ['stopping', 'object'],
    ['deallocating', 'object'],
  ];
  for (const [state, again] of states) {
    const vm = simulatedVm(`power-${state}`, { powerState: state as 'running' });
    arm.control.addVm(vm);
    assert.deepEqual(reason(await runner().readiness(vm.id)), ['unavailable', 'vm_stopped', again], state);
  }
});

test('a command posted to a stopped VM is an answer that is not tried again', async () => {
  assert.deepEqual(reason(await runner().start(stopped.id, ['true'])), ['unavailable', 'vm_stopped', 'object']);
});

test('a command posted to a silent agent fails late, and is recognised', async () => {
  const started = await runner().start(silent.id, ['true']);
  assert.deepEqual(reason(await untilDone(silent.id, started)), ['unavailable', 'agent_not_ready', 'object']);
});

test('throttling carries the Retry-After, and nothing was slept through or posted twice', async () => {
  arm.control.failNext('web-01', { status: 429, retryAfterSeconds: 17 });
  const before = arm.requests.length;
  const answer = await runner().start(web.id, ['true']);
  assert.deepEqual(answer, {
    kind: 'unavailable',
    reason: 'throttled',
    atFault: 'request',
    message: (answer as { message: string }).message,
    retryAfterSeconds: 17,
  });
  assert.equal(arm.requests.length, before + 1);
});

test('a Retry-After is understood as seconds and as a date, and never as "at once"', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const cases: [string | undefined, number | null][] = [
    ['17', 17],
    [' 17 ', 17],
    ['3600', 300],
    ['0', 1],
    ['Thu, 01 Jan 2026 00:00:42 GMT', 42],
    ['Thu, 01 Jan 2026 02:00:00 GMT', 300],
    ['Wed, 31 Dec 2025 23:59:00 GMT', 1],
    ['', null],
    ['soon', null],
    ['-5', null],
    ['1e3', null],
    [undefined, null],
  ];
  for (const [header, expected] of cases) assert.equal(readRetryAfter(header, now), expected, header);
});

test('a 500 and a 503 may be tried again, and are not by the client itself', async () => {
  for (const status of [500, 503] as const) {
    arm.control.failNext('web-01', { status });
    const before = arm.requests.length;
    assert.deepEqual(reason(await runner().start(web.id, ['true'])), ['unavailable', 'service_error', 'number']);
    assert.equal(arm.requests.length, before + 1);
  }
});

test('a VM that is gone and an operation that is gone are answers', async () => {
  const gone = simulatedVm('gone-01');
  assert.deepEqual(reason(await runner().readiness(gone.id)), ['unavailable', 'vm_not_found', 'object']);
  assert.deepEqual(reason(await runner().start(gone.id, ['true'])), ['unavailable', 'vm_not_found', 'object']);
});

test('a service that is not there at all may be tried again', async () => {
  const { arm: other, clients: otherClients } = await simulate([web]);
  await other.stop();
  const answer = await new AzureRunCommandRunner(otherClients()).start(web.id, ['true']);
  assert.deepEqual(reason(answer), ['unavailable', 'service_error', 'number']);
});

test('whatever broke the way to ARM may be tried again, be its code known or not', () => {
  for (const code of [
    'ECONNRESET',
    'EADDRNOTAVAIL',
    'EHOSTUNREACH',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'EMFILE',
    undefined,
  ]) {
    const error = new RestError('failed', code === undefined ? {} : { code });
    assert.deepEqual(
      reason(unavailableFrom(error) ?? { kind: 'thrown' }),
      ['unavailable', 'service_error', 'number'],
      code,
    );
  }
  assert.equal(unavailableFrom(new TypeError('a bug')), null);
});

test('an answer of ARM that cannot be read is a bad minute, not the end', () => {
  const error = new RestError('Unexpected token', { code: RestError.PARSE_ERROR, statusCode: 200 });
  assert.deepEqual(reason(unavailableFrom(error) ?? { kind: 'thrown' }), ['unavailable', 'service_error', 'number']);
});

test('a denial is an answer, and no message carries a URL or a token', async () => {
  const secret = simulatedVm('secret-01', { resourceGroup: 'rg-secret' });
  arm.control.addVm(secret);
  arm.control.deny('rg-secret');
  const answer = await runner().start(secret.id, ['true']);
  assert.deepEqual(reason(answer), ['unavailable', 'denied', 'object']);
  assert.doesNotMatch(JSON.stringify(answer), /http|Bearer|\?/);
});

test('a token goes to ARM alone, whatever address the note of an operation was changed to', async () => {
  const tokens: unknown[] = [];
  const elsewhere = createServer((request, response) => {
    tokens.push(request.headers.authorization);
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"InProgress"}');
  });
  await new Promise<void>((resolve) => elsewhere.listen(0, '127.0.0.1', resolve));
  const started = await runner().start(web.id, ['true']);
  const { state } = started as Extract<StartResult, { kind: 'started' }>;
  const forged = state.replaceAll(arm.url, `http://127.0.0.1:${(elsewhere.address() as AddressInfo).port}`);
  assert.notEqual(forged, state);
  const look = runner().poll(web.id, forged);
  await assert.rejects(look, (error) => error instanceof OperationError && error.code === 'ARM_FOREIGN_ADDRESS');
  elsewhere.close();
  assert.deepEqual(tokens, []);
  assert.equal((await untilDone(web.id, started)).kind, 'finished');
});

test('a note of an operation that cannot be read is answered without quoting it: it holds signed addresses', async () => {
  for (const state of ['', '{"state":{"secret"', '{"state":{"config":{"operationLocation":"secret"}}}']) {
    const answer = await runner().poll(web.id, state);
    assert.deepEqual(reason(answer), ['unavailable', 'service_error', 'number'], state);
    assert.doesNotMatch(JSON.stringify(answer), /secret/);
  }
});

test('an operation that is gone is not a VM that is gone: the next try finds out', async () => {
  const started = await runner().start(web.id, ['true']);
  const { state } = started as Extract<StartResult, { kind: 'started' }>;
  arm.control.failNext('web-01', { status: 404, code: 'NotFound', on: 'poll' });
  assert.deepEqual(reason(await runner().poll(web.id, state)), ['unavailable', 'service_error', 'number']);
  assert.equal((await untilDone(web.id, started)).kind, 'finished');
});
