import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ManualClock } from '../../../local/host/clock.ts';
import { type FunctionsHost, startFunctionsHost } from '../../../local/host/index.ts';
import { everythingApp } from './host-client.ts';

const clock = new ManualClock('2026-05-01T10:00:00.000Z');
const day = 86_400_000;
let host: FunctionsHost;
before(async () => {
  host = await startFunctionsHost({ appDirectory: everythingApp, clock, timersEnabled: false });
});
after(() => host.stop());

const durable = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${host.url}/runtime/webhooks/durabletask/${path}?code=${host.keys.system}`, init);

test('a manual clock jumps over durable timers, so that a deadline passes at once', async () => {
  await durable('orchestrators/main/m-1', { method: 'POST', body: '{}' });
  await host.settle();
  const status = (await (await durable('instances/m-1')).json()) as Record<string, unknown>;
  assert.equal(status['output'], 'timed out');
  assert.deepEqual(
    [status['createdTime'], status['lastUpdatedTime']],
    ['2026-05-01T10:00:00Z', '2026-05-01T10:00:20Z'],
  );
});

test('settling up to a moment leaves later timers alone', async () => {
  const startMs = clock.nowMs();
  await durable('orchestrators/main/m-2', { method: 'POST', body: '{}' });
  await host.settle(startMs + 10_000);
  assert.equal(clock.nowMs(), startMs + 300);
  assert.equal((await durable('instances/m-2')).status, 202);
  clock.advanceBy(day);
  await host.settle();
  assert.equal((await durable('instances/m-2')).status, 200);
});

test('the host tells what the app registered', () => {
  const byName = new Map(host.functions.map((fn) => [fn.name, fn]));
  assert.deepEqual(byName.get('start'), {
    name: 'start',
    triggerType: 'httpTrigger',
    listensTo: 'POST /api/orchestrators/{name} (anonymous)',
    bindings: ['in:durableClient', 'out:http'],
  });
  assert.equal(byName.get('main')?.triggerType, 'orchestrationTrigger');
  assert.equal(byName.get('nightly')?.listensTo, '0 30 2 * * *');
});
