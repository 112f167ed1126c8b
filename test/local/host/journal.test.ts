import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { EventType } from '../../../local/host/durable-protocol.ts';
import type { Change } from '../../../local/host/instances.ts';
import { Journal } from '../../../local/host/journal.ts';

const at = '2026-01-01T00:00:00.000Z';
const started = (instanceId: string): Change => ({
  change: 'started',
  instanceId,
  name: 'main',
  version: '',
  executionId: `${instanceId}-execution`,
  input: '{"__proto__":1,"text":"a\\nb"}',
  parent: null,
  at,
});
const raised = (instanceId: string, name: string): Change => ({
  change: 'arrived',
  instanceId,
  event: { EventType: EventType.EventRaised, EventId: -1, Timestamp: at, Name: name, Input: '1' },
});

let directory = '';
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'nfi-journal-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));
const file = (): string => join(directory, 'journal.jsonl');

test('what was committed is there after the journal is opened again', () => {
  const journal = new Journal(directory);
  journal.commit([started('a'), started('b')]);
  journal.commit([raised('a', 'Go')]);
  journal.commit([{ change: 'timer', name: 'sweep', schedule: { last: at, next: at, lastUpdated: at } }]);
  journal.close();
  const again = new Journal(directory);
  assert.deepEqual(again.state, journal.state);
  again.close();
});

test('a journal cut at any byte opens with the transactions that were whole, and goes on', () => {
  const journal = new Journal(directory);
  journal.commit([started('a')]);
  journal.commit([raised('a', 'One'), raised('a', 'Two')]);
  journal.close();
  const whole = readFileSync(file());
  const firstEnd = whole.indexOf(0x0a) + 1;
  for (let length = 0; length <= whole.length; length++) {
    writeFileSync(file(), whole);
    truncateSync(file(), length);
    const cut = new Journal(directory);
    const inbox = cut.state.instances.get('a')?.inbox.length;
    assert.equal(inbox, length < firstEnd ? undefined : length < whole.length ? 1 : 3, `${length} bytes`);
    cut.commit([started('later')]);
    cut.close();
    const reopened = new Journal(directory);
    assert.ok(reopened.state.instances.has('later'), `${length} bytes`);
    reopened.close();
  }
});

test('a damaged line in the middle is an error that names it, not silent loss', () => {
  const journal = new Journal(directory);
  journal.commit([started('a')]);
  journal.commit([raised('a', 'One')]);
  journal.close();
  const lines = readFileSync(file(), 'utf8').split('\n');
  writeFileSync(file(), [lines[0]?.slice(0, -5), ...lines.slice(1)].join('\n'));
  assert.throws(() => new Journal(directory), /journal\.jsonl: line 1 is damaged/);
});

test('opening a journal rewrites it to what still counts', () => {
  const journal = new Journal(directory);
  for (let n = 0; n < 100; n++) journal.commit([started('a'), { change: 'purged', instanceId: 'a', at }]);
  journal.close();
  assert.ok(readFileSync(file()).length > 10_000);
  new Journal(directory).close();
  assert.equal(readFileSync(file()).length, 0);
});

test('without a directory nothing is written and everything works', () => {
  const journal = new Journal(null);
  journal.commit([started('a')]);
  assert.equal(journal.state.instances.get('a')?.status, 'Pending');
  journal.close();
});
