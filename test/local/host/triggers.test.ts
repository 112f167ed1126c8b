import assert from 'node:assert/strict';
import { once } from 'node:events';
import { request } from 'node:http';
import { after, before, test } from 'node:test';
import { HostClient } from './host-client.ts';

let client: HostClient;
before(async () => {
  const args = [
    '--setting',
    'FROM_OPTION=option',
    '--function-key',
    'fkey',
    '--master-key',
    'mkey',
    '--system-key',
    'skey',
  ];
  client = await HostClient.spawn(args, {
    'AzureWebJobs.fixed.Disabled': 'true',
    AzureFunctionsJobHost__extensions__http__routePrefix: '/api',
  });
});
after(() => client.host.stop());

const status = async (path: string, init: RequestInit = {}): Promise<number> => (await client.fetch(path, init)).status;

test('a request reaches the function with its route, query, headers and body', async () => {
  const response = await client.fetch('/api/items/books/12?q=1&q=2', {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: 'hi',
  });
  assert.equal(response.status, 201);
  assert.equal(response.headers.get('x-custom'), 'yes');
  assert.deepEqual(response.headers.getSetCookie(), ['a=b%20c; Max-Age=60; HttpOnly; SameSite=Lax']);
  assert.deepEqual(await response.json(), {
    method: 'POST',
    url: `${client.host.url}/api/items/books/12?q=1&q=2`,
    params: { category: 'books', id: '12' },
    q: { q: '1,2' },
    ct: 'text/plain',
    body: 'hi',
  });
});

test('constraints, optional and catch-all parameters decide which function answers', async () => {
  assert.equal(await status('/api/items/books/x12'), 404);
  assert.equal(await status('/api/items/books'), 201);
  assert.equal(await (await client.fetch('/api/files/a/b%20c')).text(), 'a/b c');
  assert.equal(await (await client.fetch('/api/files')).text(), 'none');
});

test('a wrong method or path is not found, nothing returned is 204, a throw is an empty 500', async () => {
  assert.equal(await status('/api/items/books', { method: 'DELETE' }), 404);
  assert.equal(await status('/api/unknown'), 404);
  assert.equal(await status('/nothing'), 404);
  assert.equal(await status('/api/nothing'), 204);
  const boom = await client.fetch('/api/boom');
  assert.deepEqual([boom.status, await boom.text()], [500, '']);
});

test('binary bodies go both ways', async () => {
  const response = await client.fetch('/api/binary', { method: 'POST', body: Buffer.from([0, 255, 128, 10]) });
  assert.deepEqual([...new Uint8Array(await response.arrayBuffer())], [10, 128, 255, 0]);
});

test('a body without a length is dropped with a warning, as on Azure', async () => {
  const sent = request(`${client.host.url}/api/items/books`, {
    method: 'POST',
    headers: { 'transfer-encoding': 'chunked' },
  });
  sent.end('lost');
  const [response] = (await once(sent, 'response')) as [AsyncIterable<Buffer>];
  let text = '';
  for await (const chunk of response) text += chunk.toString();
  assert.equal((JSON.parse(text) as { body: string }).body, '');
  await client.untilLogged(/without Content-Length is dropped/);
});

test('a function behind a key opens with it, in the header or the query, and with the master key', async () => {
  assert.equal(await status('/api/locked'), 401);
  assert.equal(await status('/api/locked?code=wrong'), 401);
  assert.equal(await status('/api/locked?code=fkey'), 200);
  assert.equal(await status('/api/locked', { headers: { 'x-functions-key': 'fkey' } }), 200);
  assert.equal(await status('/api/locked', { headers: { 'x-functions-key': 'mkey' } }), 200);
  assert.equal(await status('/api/ruled?code=fkey'), 401);
  assert.equal(await status('/api/ruled?code=mkey'), 200);
});

test('webhooks want the system key, the admin API the master key', async () => {
  assert.equal(await status('/runtime/webhooks/durabletask/instances/'), 401);
  assert.equal(await status('/runtime/webhooks/durabletask/instances/?code=fkey'), 401);
  assert.equal(await status('/runtime/webhooks/durabletask/instances/?code=skey'), 200);
  assert.equal(await status('/admin/functions?code=skey'), 401);
  assert.equal(await status('/admin/functions?code=mkey'), 200);
  assert.equal(await status('/durabletask/instances/'), 404);
});

test('settings come from the caller, then the environment, then local.settings.json', async () => {
  assert.deepEqual(await (await client.fetch('/api/environment')).json(), { file: 'file', option: 'option' });
});

test('a function can be disabled by an app setting', async () => {
  assert.equal(await status('/api/items/fixed'), 201); // {category:alpha} takes it
});

test('invocation hooks can replace the arguments and the result', async () => {
  assert.deepEqual(await (await client.fetch('/api/hooked')).json(), { was: { replaced: true } });
});

const eventGrid = (type: string, body: unknown, name = 'onEvent'): Promise<Response> =>
  client.fetch(`/runtime/webhooks/EventGrid?functionName=${name}&code=skey`, {
    method: 'POST',
    headers: { 'aeg-event-type': type },
    body: JSON.stringify(body),
  });
const seen = async (): Promise<Record<string, never>[]> =>
  (await (await client.fetch('/api/seen')).json()) as Record<string, never>[];

test('Event Grid validates the webhook and delivers each event once', async () => {
  const validation = await eventGrid('SubscriptionValidation', [{ data: { validationCode: '512d38b6' } }]);
  assert.deepEqual([validation.status, await validation.json()], [200, { validationResponse: '512d38b6' }]);
  const events = [1, 2].map((id) => ({ id: String(id), subject: `/vm/${id}`, eventType: 'x', data: { id } }));
  assert.equal((await eventGrid('Notification', events)).status, 202);
  const delivered = (await seen()).filter((entry) => 'event' in entry).map((entry) => entry['event']);
  assert.deepEqual(delivered, events);
});

test('Event Grid is told to send again when a function fails, and where there is none', async () => {
  assert.equal((await eventGrid('Notification', [{ id: '3', subject: 'fail' }])).status, 500);
  assert.equal((await eventGrid('Notification', [], 'nobody')).status, 404);
  assert.equal((await eventGrid('Other', [])).status, 400);
  assert.equal((await eventGrid('Unsubscribe', [])).status, 202);
  const handshake = await client.fetch('/runtime/webhooks/EventGrid?functionName=onEvent&code=skey', {
    method: 'OPTIONS',
    headers: { 'webhook-request-origin': 'eventgrid.azure.net' },
  });
  assert.equal(handshake.headers.get('webhook-allowed-origin'), 'eventgrid.azure.net');
  assert.equal(await status('/runtime/webhooks/EventGrid?functionName=onEvent', { method: 'POST' }), 401);
});

async function untilSeen(kind: string): Promise<unknown> {
  for (;;) {
    const entry = (await seen()).find((one) => kind in one);
    if (entry) return entry[kind];
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('a timer runs on its schedule; more often than each minute there is no record of it', async () => {
  assert.deepEqual(await untilSeen('timer'), {
    schedule: { adjustForDST: true },
    scheduleStatus: null,
    isPastDue: false,
  });
});

test('a timer is run by hand through the admin API', async () => {
  const init = { method: 'POST', body: '{"input":""}', headers: { 'x-functions-key': 'mkey' } };
  assert.equal(await status('/admin/functions/nightly', init), 202);
  const run = (await untilSeen('nightly')) as { isPastDue: boolean; scheduleStatus: { next: string } };
  assert.equal(run.isPastDue, false);
  assert.match(run.scheduleStatus.next, /T02:30:00\.000Z$/);
  assert.equal(await status('/admin/functions/nobody', init), 404);
  assert.equal(await status('/admin/functions/items', init), 400);
});
