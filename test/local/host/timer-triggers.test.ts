import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { ManualClock } from '../../../local/host/clock.ts';
import type { RegisteredFunction } from '../../../local/host/functions-core.ts';
import type { Invoker } from '../../../local/host/invoke.ts';
import { Journal } from '../../../local/host/journal.ts';
import { makeTimerTriggers } from '../../../local/host/timer-triggers.ts';

function timerFunction(schedule: string, more: object = {}): RegisteredFunction {
  const trigger = { type: 'timerTrigger', direction: 'in' as const, schedule, ...more };
  return {
    name: 'sweep',
    metadata: { name: 'sweep', bindings: { t: trigger } },
    callback: () => {},
    triggerName: 't',
    trigger,
  };
}

interface Run {
  atMs: number;
  input: { IsPastDue: boolean; ScheduleStatus: { Last: string; Next: string } | null };
  end: (error?: Error) => void;
}

/** Timer triggers on a clock that stands still, with runs that end when the test says so. */
function setUp(
  schedule: string,
  { clock = new ManualClock('2026-01-01T00:00:00.000Z'), journal = new Journal(null), more = {} } = {},
) {
  const runs: Run[] = [];
  const errors: string[] = [];
  const invoker: Invoker = {
    invoke: (_fn, { trigger }) =>
      new Promise((resolve, reject) => {
        const input = JSON.parse(trigger.string ?? '') as Run['input'];
        runs.push({ atMs: clock.nowMs(), input, end: (error) => (error ? reject(error) : resolve({})) });
      }),
  };
  const log = ({ message }: { message: string }): void => void errors.push(message);
  const fn = timerFunction(schedule, more);
  return { clock, journal, runs, errors, fn, timers: makeTimerTriggers([fn], { clock, journal, invoker, log }) };
}

test('the next occurrence is armed only after a run has ended, so two never overlap', async () => {
  const { clock, runs, timers } = setUp('0 * * * * *');
  timers.start();
  clock.advanceBy(60_000);
  clock.advanceBy(300_000);
  assert.equal(runs.length, 1);
  runs[0]?.end();
  await setImmediate();
  clock.advanceBy(60_000);
  assert.deepEqual(
    runs.map(({ atMs }) => new Date(atMs).toISOString()),
    ['2026-01-01T00:01:00.000Z', '2026-01-01T00:07:00.000Z'],
  );
});

test('a run that fails is reported, and the timer goes on', async () => {
  const { clock, runs, errors, timers } = setUp('0 * * * * *');
  timers.start();
  clock.advanceBy(60_000);
  runs[0]?.end(new Error('no storage'));
  await setImmediate();
  clock.advanceBy(60_000);
  assert.deepEqual([runs.length, errors], [2, ['sweep failed: no storage']]);
});

test('a timer that was due while the host was down runs at once, as past due', async () => {
  const first = setUp('0 0 2 * * *');
  first.timers.start();
  first.timers.stop();
  const later = new ManualClock('2026-01-01T09:00:00.000Z');
  const second = setUp('0 0 2 * * *', { clock: later, journal: first.journal });
  second.timers.start();
  assert.deepEqual(second.runs[0]?.input.IsPastDue, true);
  second.runs[0]?.end();
  await setImmediate();
  assert.deepEqual(first.journal.state.timers.get('sweep'), {
    last: '2026-01-01T09:00:00.000Z',
    next: '2026-01-02T02:00:00.000Z',
    lastUpdated: '2026-01-01T09:00:00.000Z',
  });
});

test('a timer that was not due while the host was down waits', () => {
  const first = setUp('0 0 2 * * *');
  first.timers.start();
  const second = setUp('0 0 2 * * *', { clock: new ManualClock('2026-01-01T01:00:00.000Z'), journal: first.journal });
  second.timers.start();
  assert.equal(second.runs.length, 0);
});

test('runOnStartup runs at once, and not as past due', () => {
  const { runs, timers } = setUp('0 0 2 * * *', { more: { runOnStartup: true } });
  timers.start();
  assert.deepEqual(
    runs.map(({ input }) => input.IsPastDue),
    [false],
  );
});

test('a stopped timer does not run, but it can be run by hand', async () => {
  const { clock, runs, fn, timers } = setUp('0 * * * * *');
  timers.start();
  timers.stop();
  clock.advanceBy(600_000);
  assert.equal(runs.length, 0);
  void timers.runByHand(fn);
  assert.equal(runs.length, 1);
});
