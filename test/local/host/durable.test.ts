import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { HostClient } from './host-client.ts';

let client: HostClient;
before(async () => {
  client = await HostClient.spawn(['--no-timers']);
});
after(() => client.host.stop());

const expected = (input: unknown, instanceId: string) => ({
  input,
  cities: ['Hello, Tokyo!', 'Hello, Seattle!', 'Hello, London!'],
  event: { approved: true },
  child: { a: { got: { n: 42 }, type: 'object' }, b: { got: 'text 41', type: 'string' }, parent: instanceId },
  flaky: { attempt: 3, instanceId },
  caught: "Activity function 'alwaysFails' failed:  permanently broken ",
  caughtAfterRetries: "Activity function 'alwaysFails' failed:  permanently broken ",
});

test('an orchestration goes through fan-out, timer, event, child, retries and caught failures', async () => {
  const started = await client.fetch('/api/orchestrators/main?id=demo-1', {
    method: 'POST',
    body: JSON.stringify({ customer: 'acme' }),
  });
  assert.equal(started.status, 202);
  assert.equal(started.headers.get('retry-after'), '10');
  const links = (await started.json()) as Record<string, string>;
  assert.equal(started.headers.get('location'), links['statusQueryGetUri']);
  assert.ok(
    links['statusQueryGetUri']?.startsWith(`${client.host.url}/runtime/webhooks/durabletask/instances/demo-1?`),
  );

  const waiting = await client.untilPhase('demo-1', 'event');
  assert.equal(waiting.runtimeStatus, 'Running');
  const link = await fetch(links['statusQueryGetUri'] ?? '');
  assert.deepEqual([link.status, link.headers.get('retry-after')], [202, '5']);
  assert.equal(await client.raise('demo-1', 'Go', { approved: true }), 202);
  const { runtimeStatus, output, input } = await client.untilEnded('demo-1');
  const { startedAt, ...rest } = output as { startedAt: string };
  assert.equal(runtimeStatus, 'Completed');
  assert.deepEqual(input, { customer: 'acme' });
  assert.deepEqual(rest, expected({ customer: 'acme' }, 'demo-1'));
  assert.match(startedAt, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.equal(await client.raise('demo-1', 'Go', 1), 410);
});

test('the history names what happened, in order, with results only where asked for', async () => {
  const { historyEvents = [] } = await client.status('demo-1', '?showHistory=true&showHistoryOutput=true');
  assert.deepEqual(
    historyEvents.slice(0, 9).map((event) => event.EventType),
    [
      'ExecutionStarted',
      'TaskCompleted',
      'TaskCompleted',
      'TaskCompleted',
      'TimerCreated',
      'TimerFired',
      'TimerCreated',
      'EventRaised',
      'SubOrchestrationInstanceCompleted',
    ],
  );
  assert.deepEqual([historyEvents[1]?.['Result'], historyEvents[1]?.['FunctionName']], ['Hello, Tokyo!', 'hello']);
  assert.equal(historyEvents.at(-1)?.EventType, 'ExecutionCompleted');
  const bare = await client.status('demo-1', '?showHistory=true&showInput=false');
  assert.equal(bare.historyEvents?.[1]?.['Result'], undefined);
  assert.equal(bare.input, null);
});

test('an orchestrator that throws fails, with its name and message as output', async () => {
  await client.start('throws', 'bad-1');
  const { runtimeStatus, output } = await client.untilEnded('bad-1');
  assert.deepEqual([runtimeStatus, output], ['Failed', "Orchestrator function 'throws' failed: orchestrator gave up"]);
  assert.equal((await client.durable('instances/bad-1?returnInternalServerErrorOnFailure=true')).status, 500);
});

test('a parent can catch the failure of its child', async () => {
  await client.start('throwsChild', 'bad-2');
  const { output } = await client.untilEnded('bad-2');
  assert.deepEqual(output, { caught: "Orchestrator function 'throws' failed: orchestrator gave up " });
});

test('continueAsNew goes on under the same id with the new input', async () => {
  await client.start('eternal', 'et-1', { n: 1 });
  const { output, input } = await client.untilEnded('et-1');
  assert.deepEqual([output, input], ['done after 5', { n: 5 }]);
});

test('starting an unknown orchestrator, a live instance or under a bad id is refused', async () => {
  assert.equal((await client.durable('orchestrators/nope', { method: 'POST' })).status, 400);
  await client.start('waits', 'live-1');
  assert.equal((await client.durable('orchestrators/waits/live-1', { method: 'POST' })).status, 409);
  assert.equal((await client.durable('orchestrators/waits/%40x', { method: 'POST' })).status, 400);
  assert.equal((await client.durable('orchestrators/waits/a%2Fb', { method: 'POST' })).status, 400);
  assert.equal((await client.durable('orchestrators/waits', { method: 'POST', body: '{' })).status, 400);
  assert.equal(await client.raise('live-1', 'Go', 1), 202);
  await client.untilEnded('live-1');
  await client.start('waits', 'live-1');
  assert.equal((await client.status('live-1')).runtimeStatus !== 'Completed', true);
});

test('start can wait for the result', async () => {
  const path = 'orchestrators/fanOut?timeout=20&pollingInterval=0.01';
  const response = await client.durable(path, { method: 'POST', body: '{"count":10}' });
  assert.deepEqual([response.status, await response.json()], [200, 45]);
});

test('a suspended instance keeps events until it is resumed', async () => {
  await client.start('main', 'sus-1');
  await client.untilPhase('sus-1', 'event');
  assert.deepEqual(await client.op('sus-1', 'suspend'), { ok: true, result: null });
  assert.deepEqual(await client.op('sus-1', 'raise', '?event=Go', { approved: true }), { ok: true, result: null });
  await setTimeout(100);
  const held = await client.status('sus-1');
  assert.deepEqual([held.runtimeStatus, held.customStatus], ['Suspended', { phase: 'event' }]);
  await client.op('sus-1', 'resume');
  const { runtimeStatus, output } = await client.untilEnded('sus-1');
  const { startedAt: _, ...rest } = output as { startedAt: string };
  assert.equal(runtimeStatus, 'Completed');
  assert.deepEqual(rest, expected('', 'sus-1'));
});

test('a terminated instance ends with the reason, and can be purged once', async () => {
  await client.start('main', 'ter-1');
  await client.untilPhase('ter-1', 'timer');
  await client.op('ter-1', 'terminate');
  const { runtimeStatus, output } = await client.status('ter-1');
  assert.deepEqual([runtimeStatus, output], ['Terminated', 'because']);
  assert.deepEqual(await client.op('ter-1', 'purge'), { ok: true, result: { instancesDeleted: 1 } });
  assert.deepEqual(await client.op('ter-1', 'purge'), { ok: true, result: { instancesDeleted: 0 } });
  assert.match(JSON.stringify(await client.op('ter-1', 'status')), /HTTP 404 response/);
});

test('terminating a child fails the call of its parent', async () => {
  await client.start('waitsInChild', 'family');
  while ((await client.durable('instances/family-child')).status !== 202) await setTimeout(5);
  assert.equal((await client.durable('instances/family-child/terminate?reason=stop', { method: 'POST' })).status, 202);
  const { output } = await client.untilEnded('family');
  assert.equal(output, 'caught: stop ');
});

test('instances are listed by status, time and prefix, page by page', async () => {
  const read = async (query: string, token?: string): Promise<[Response, { instanceId: string }[]]> => {
    const response = await client.durable(
      `instances/?${query}`,
      token ? { headers: { 'x-ms-continuation-token': token } } : {},
    );
    return [response, (await response.json()) as { instanceId: string }[]];
  };
  for (const n of [1, 2, 3, 4, 5]) await client.start('throws', `page-${n}`);
  for (const n of [1, 2, 3, 4, 5]) await client.untilEnded(`page-${n}`);
  const seen: string[] = [];
  for (let token: string | undefined = ''; token !== undefined; ) {
    const [response, page]: [Response, { instanceId: string }[]] = await read('top=2&instanceIdPrefix=page-', token);
    assert.ok(page.length <= 2);
    seen.push(...page.map(({ instanceId }) => instanceId));
    token = response.headers.get('x-ms-continuation-token') ?? undefined;
  }
  assert.deepEqual(seen, ['page-1', 'page-2', 'page-3', 'page-4', 'page-5']);
  assert.deepEqual((await read('runtimeStatus=Completed,Running&instanceIdPrefix=page-'))[1], []);
  assert.deepEqual((await read('createdTimeFrom=2199-01-01T00:00:00Z'))[1], []);
  const all = (await client.op('x', 'all')) as { result: [string, string][] };
  assert.ok(all.result.some(([id, status]) => id === 'demo-1' && status === 'Completed'));
});

test('finished instances are purged by time and status', async () => {
  const { result } = (await client.op('x', 'purgeBy')) as { result: { instancesDeleted: number } };
  assert.ok(result.instancesDeleted >= 3);
  assert.equal((await client.durable('instances/demo-1')).status, 404);
  assert.equal((await client.durable('instances/bad-1')).status, 200);
  assert.equal((await client.durable('instances/', { method: 'DELETE' })).status, 400);
});

test('the client of the SDK waits for completion and makes the management links', async () => {
  await client.start('fanOut', 'wait-1', { count: 3 });
  assert.equal(await client.op('wait-1', 'wait'), 3);
  const payload = (await client.op('wait-1', 'payload')) as { result: Record<string, string> };
  assert.deepEqual(Object.keys(payload.result).sort(), [
    'id',
    'purgeHistoryDeleteUri',
    'restartPostUri',
    'resumePostUri',
    'rewindPostUri',
    'sendEventPostUri',
    'statusQueryGetUri',
    'suspendPostUri',
    'terminatePostUri',
  ]);
});

test('an event without data is refused, as the real host does', async () => {
  await client.start('waits', 're-1');
  assert.match(JSON.stringify(await client.op('re-1', 'raiseEmpty', '?event=Go')), /Invalid JSON content/);
});

test('a finished instance can be restarted with the same input', async () => {
  const response = await client.durable('instances/bad-1/restart', { method: 'POST' });
  const { id } = (await response.json()) as { id: string };
  assert.notEqual(id, 'bad-1');
  assert.equal((await client.untilEnded(id)).name, 'throws');
});

test('strict mode fails an orchestration that uses a task twice', async () => {
  await client.start('reuses', 'strict-1');
  const { runtimeStatus, output } = await client.untilEnded('strict-1');
  assert.equal(runtimeStatus, 'Failed');
  assert.match(String(output), /TASK_REUSED/);
});

test('an orchestrator that calls something else in its replay fails as non-deterministic', async () => {
  await client.start('changesItsMind', 'strict-2');
  assert.match(String((await client.untilEnded('strict-2')).output), /Non-Deterministic workflow detected/);
});

test('a boolean argument arrives as text, with a warning', async () => {
  await client.start('sendsBoolean', 'strict-3');
  assert.deepEqual((await client.untilEnded('strict-3')).output, { got: 'True', type: 'string' });
  await client.untilLogged(/strict-3: activity 'echo' gets a boolean/);
});

test('an error without a message leaves the instance running, with a warning', async () => {
  await client.start('throwsNothing', 'strict-4');
  await client.untilLogged(/strict-4: nothing is left to wait for/);
  assert.equal((await client.status('strict-4')).runtimeStatus, 'Running');
});

test('a timer that was not cancelled holds the instance until it fires, with a warning', async () => {
  await client.start('forgetsTimer', 'strict-5');
  const { output } = await client.untilEnded('strict-5');
  assert.equal(output, 'ended');
  await client.untilLogged(/strict-5: the orchestrator has ended, but 1 timer/);
});

test('no more activities run at once than host.json allows', async () => {
  await client.start('crowded', 'crowd-1');
  const { output } = await client.untilEnded('crowd-1');
  assert.equal(Math.max(...(output as number[])), 4);
});
