import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { HostClient } from './host-client.ts';

let directory = '';
let client: HostClient | null = null;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nfi-restart-'));
});
afterEach(async () => {
  await client?.host.stop('SIGKILL');
  client = null;
  rmSync(directory, { recursive: true, force: true });
});

async function start(...more: string[]): Promise<HostClient> {
  client = await HostClient.spawn(['--no-timers', '--state', join(directory, 'state'), ...more]);
  return client;
}
async function killAndStart(...more: string[]): Promise<HostClient> {
  await client?.host.stop('SIGKILL');
  return start(...more);
}
/** How often each activity has started and ended, over all hosts. */
function trace(): Record<string, number> {
  const file = join(directory, 'trace');
  const lines = existsSync(file)
    ? readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
    : [];
  const counts = new Map<string, number>();
  for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1);
  return Object.fromEntries(counts);
}
async function untilTraced(line: string): Promise<void> {
  while (!(line in trace())) await new Promise((resolve) => setTimeout(resolve, 5));
}

test('a host killed at each step goes on where it was, and runs no completed activity again', async () => {
  let host = await start();
  await host.start('journey', 'j-1', { file: join(directory, 'trace') });
  for (const id of ['a', 'b', 'c']) await untilTraced(`end ${id}`);
  // Any request is answered after the host has written down what its activities returned before.
  await host.status('j-1');

  // While the parent's timer runs (or its results have only just arrived).
  host = await killAndStart();
  await untilTraced('end leg');
  await host.status('j-1');
  // While the child's timer runs.
  host = await killAndStart();
  // An event that nobody waits for yet must be kept over a restart.
  assert.equal(await host.raise('j-1', 'Go', { by: 'ops' }), 202);
  host = await killAndStart();
  await untilTraced('start slow');
  // While an activity runs: this one, and only this one, runs again.
  host = await killAndStart();
  const { runtimeStatus, output } = await host.untilEnded('j-1');
  assert.equal(runtimeStatus, 'Completed');
  assert.deepEqual(output, ['a', 'b', 'c', 'leg', { by: 'ops' }, 'slow']);
  const { 'start slow': slowStarts, 'end slow': slowEnds, ...others } = trace();
  // Once for every kill that met it running: surely the last one, on a slow machine the one before it too.
  assert.ok(slowStarts === 2 || slowStarts === 3, `${slowStarts} starts`);
  assert.equal(slowEnds, 1);
  assert.deepEqual(others, {
    'start a': 1,
    'end a': 1,
    'start b': 1,
    'end b': 1,
    'start c': 1,
    'end c': 1,
    'start leg': 1,
    'end leg': 1,
  });

  // And the result is there after yet another start.
  host = await killAndStart();
  assert.deepEqual((await host.status('j-1')).output, output);
});

test('a host killed again and again at random moments loses no instance', async () => {
  const ids = Array.from({ length: 12 }, (_, n) => `many-${n}`);
  let host = await start('--max-messages', '1');
  for (const id of ids) await host.start('journey', id, { file: join(directory, 'trace') });
  for (const id of ids) assert.equal(await host.raise(id, 'Go', id), 202);
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 200));
    host = await killAndStart('--max-messages', '1');
  }
  for (const id of ids) {
    assert.deepEqual((await host.untilEnded(id)).output, ['a', 'b', 'c', 'leg', id, 'slow']);
  }
  const ends = trace();
  for (const id of ['a', 'b', 'c', 'leg', 'slow']) assert.ok((ends[`end ${id}`] ?? 0) >= ids.length);
});

test('a stopped host lets a running activity end, and it is not run again', async () => {
  let host = await start();
  await host.start('journey', 'j-2', { file: join(directory, 'trace') });
  await host.raise('j-2', 'Go', 1);
  await untilTraced('start slow');
  await host.host.stop();
  assert.equal(trace()['end slow'], 1);
  host = await start();
  assert.equal((await host.untilEnded('j-2')).runtimeStatus, 'Completed');
  assert.equal(trace()['start slow'], 1);
});

test('a second host on the same state directory is refused', async () => {
  await start();
  const state = join(directory, 'state');
  await assert.rejects(HostClient.spawn(['--state', state]), /another functions host uses the state directory/);
});

test('1,000 activities in one Task.all go through with state on disk, also when the host is killed halfway', async () => {
  let host = await start();
  await host.start('fanOut', 'wide', { count: 1000 });
  const journal = join(directory, 'state', 'journal.jsonl');
  while (statSync(journal).size < 200_000) await new Promise((resolve) => setTimeout(resolve, 1));
  host = await killAndStart();
  assert.equal((await host.untilEnded('wide')).output, 499_500);
});

test('virtual time does not run backwards over a restart', async () => {
  let host = await start('--time-scale', '1000');
  await host.start('main', 'fast');
  await host.untilPhase('fast', 'event');
  const ahead = (await host.status('fast', '?showHistory=true')).historyEvents?.at(-1)?.['Timestamp'] as string;
  host = await killAndStart();
  await host.raise('fast', 'Go', { approved: true });
  await host.untilEnded('fast');
  const { historyEvents = [] } = await host.status('fast', '?showHistory=true');
  const times = historyEvents.map((event) => event['Timestamp'] as string);
  assert.ok(times.includes(ahead));
  assert.deepEqual(times, times.toSorted());
});
