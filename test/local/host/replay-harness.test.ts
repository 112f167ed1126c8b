import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { OrchestrationContext } from 'durable-functions';
import { OrchestrationFailed, ReplayViolation, runOrchestration } from '../../../local/host/replay-harness.ts';

test('an orchestrator runs to its end in virtual time, replayed after every step', async () => {
  const run = await runOrchestration(
    function* poll(context: OrchestrationContext) {
      const { vm } = context.df.getInput<{ vm: string }>();
      context.df.setCustomStatus('starting');
      const { operation } = yield context.df.callActivity('start', { vm });
      for (let attempt = 1; ; attempt++) {
        const due = new Date(context.df.currentUtcDateTime.getTime() + 20_000);
        yield context.df.createTimer(due);
        const { done } = yield context.df.callActivity('poll', { operation, attempt });
        if (done) return { vm, attempt, endedAt: context.df.currentUtcDateTime.toISOString() };
        context.df.setCustomStatus(`attempt ${attempt}`);
      }
    },
    {
      input: { vm: 'web-01' },
      startTime: '2026-05-01T10:00:00.000Z',
      activities: {
        start: ({ vm }) => ({ operation: `op-${vm}` }),
        poll: ({ attempt }) => ({ done: attempt === 3 }),
      },
    },
  );
  assert.deepEqual(run.output, { vm: 'web-01', attempt: 3, endedAt: '2026-05-01T10:01:00.000Z' });
  assert.equal(run.elapsedMs, 60_000);
  assert.deepEqual(run.customStatuses, ['starting', 'attempt 1', 'attempt 2']);
  assert.deepEqual(
    run.calls.map(({ kind, name, input, at }) => [kind, name, input, at.slice(14, 19)]),
    [
      ['activity', 'start', { vm: 'web-01' }, '00:00'],
      ['timer', '2026-05-01T10:00:20.000Z', undefined, '00:00'],
      ['activity', 'poll', { operation: 'op-web-01', attempt: 1 }, '00:20'],
      ['timer', '2026-05-01T10:00:40.000Z', undefined, '00:20'],
      ['activity', 'poll', { operation: 'op-web-01', attempt: 2 }, '00:40'],
      ['timer', '2026-05-01T10:01:00.000Z', undefined, '00:40'],
      ['activity', 'poll', { operation: 'op-web-01', attempt: 3 }, '01:00'],
    ],
  );
});

test('nested orchestrators run with the same activities, and the parent waits for the slowest', async () => {
  function* page(context: OrchestrationContext): Generator {
    const { minutes } = context.df.getInput<{ minutes: number }>();
    yield context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + minutes * 60_000));
    return yield context.df.callActivity('count', { minutes });
  }
  const run = await runOrchestration(
    function* fleet(context: OrchestrationContext) {
      const pages = [3, 1, 2].map((minutes) => context.df.callSubOrchestrator('page', { minutes }, `page-${minutes}`));
      return yield context.df.Task.all(pages);
    },
    { activities: { count: ({ minutes }) => minutes * 10 }, subOrchestrations: { page } },
  );
  assert.deepEqual(run.output, [30, 10, 20]);
  assert.equal(run.elapsedMs, 180_000);
  const started = run.calls.filter(({ kind }) => kind === 'subOrchestration').map(({ instanceId }) => instanceId);
  assert.deepEqual(started, ['page-3', 'page-1', 'page-2']);
});

test('a failed activity can be caught, and an uncaught one fails the orchestration with its message', async () => {
  const activities = {
    broken: () => {
      throw new Error('disk full');
    },
  };
  const caught = await runOrchestration(
    function* (context: OrchestrationContext) {
      try {
        yield context.df.callActivity('broken', {});
      } catch (error) {
        return (error as Error).message.includes('disk full');
      }
    },
    { activities },
  );
  assert.equal(caught.output, true);
  await assert.rejects(
    runOrchestration(
      function* (context: OrchestrationContext) {
        yield context.df.callActivity('broken', {});
      },
      { activities },
    ),
    (error) => error instanceof OrchestrationFailed && /disk full/.test(error.message),
  );
});

test('a retried activity is attempted as often as its options say, with growing pauses', async () => {
  let attempts = 0;
  const { RetryOptions } = (await import('durable-functions')).default;
  const run = await runOrchestration(
    function* (context: OrchestrationContext) {
      const retry = new RetryOptions(1000, 4);
      retry.backoffCoefficient = 2;
      const first = yield context.df.callActivityWithRetry('flaky', retry, {});
      const second = yield context.df.callActivity('after', { first });
      return second;
    },
    {
      activities: {
        flaky: () => {
          attempts += 1;
          if (attempts < 3) throw new Error(`boom ${attempts}`);
          return attempts;
        },
        after: ({ first }) => `after ${first}`,
      },
    },
  );
  assert.equal(run.output, 'after 3');
  assert.equal(run.elapsedMs, 3000);
});

test('the first of an event and a deadline wins, by virtual time', async () => {
  function* approval(context: OrchestrationContext): Generator {
    const deadline = context.df.createTimer(new Date(context.df.currentUtcDateTime.getTime() + 60_000));
    const decision = context.df.waitForExternalEvent('approved');
    const winner = yield context.df.Task.any([decision, deadline]);
    if (winner === deadline) return 'too late';
    deadline.cancel();
    return decision.result;
  }
  const inTime = await runOrchestration(approval, {
    events: [{ afterMs: 59_000, name: 'approved', data: { by: 'ops' } }],
  });
  assert.deepEqual([inTime.output, inTime.elapsedMs], [{ by: 'ops' }, 59_000]);
  const late = await runOrchestration(approval, { events: [{ afterMs: 61_000, name: 'approved', data: 1 }] });
  assert.deepEqual([late.output, late.elapsedMs], ['too late', 60_000]);
});

test('the time an activity takes decides which branch of a race is first', async () => {
  const run = await runOrchestration(
    function* (context: OrchestrationContext) {
      const slow = context.df.callActivity('work', { id: 'slow' });
      const fast = context.df.callActivity('work', { id: 'fast' });
      const winner = yield context.df.Task.any([slow, fast]);
      const rest = yield winner === slow ? fast : slow;
      return [winner.result, rest];
    },
    {
      activities: { work: ({ id }) => id },
      durationMs: ({ input }) => ((input as { id: string }).id === 'slow' ? 9000 : 10),
    },
  );
  assert.deepEqual([run.output, run.elapsedMs], [['fast', 'slow'], 9000]);
});

test('continueAsNew starts over with the new input and loses no waiting event', async () => {
  const run = await runOrchestration(
    function* (context: OrchestrationContext) {
      const { seen } = context.df.getInput<{ seen: string[] }>();
      const item: string = yield context.df.waitForExternalEvent('item');
      if (seen.length === 2) return [...seen, item];
      context.df.continueAsNew({ seen: [...seen, item] });
      return undefined;
    },
    {
      input: { seen: [] },
      events: ['a', 'b', 'c'].map((data) => ({ afterMs: 5, name: 'item', data })),
      messagesPerEpisode: 32,
    },
  );
  assert.deepEqual(run.output, ['a', 'b', 'c']);
});

const violations: [string, RegExp, (context: OrchestrationContext) => Generator][] = [
  [
    'an orchestrator that reads the clock is found out',
    /NON_DETERMINISTIC/,
    function* (context) {
      yield context.df.callActivity('work', { at: Date.now() });
    },
  ],
  [
    'an orchestrator that calls by chance is found out',
    /NON_DETERMINISTIC|Non-Deterministic/,
    function* (context) {
      yield context.df.callActivity('work', { value: Math.random() });
      yield context.df.callActivity('work', {});
    },
  ],
  [
    'a task that goes into a second Task.any is found out',
    /TASK_REUSED/,
    function* (context) {
      const tasks = [1, 2, 3].map((id) => context.df.callActivity('work', { id }));
      yield context.df.Task.any(tasks.slice(0, 2));
      yield context.df.Task.any(tasks.slice(1));
    },
  ],
  [
    'a boolean as activity input is found out',
    /boolean/,
    function* (context) {
      yield context.df.callActivity('work', true);
    },
  ],
  [
    'a call of an unknown activity is found out',
    /'wrok' doesn't exist/,
    function* (context) {
      yield context.df.callActivity('wrok', {});
    },
  ],
  [
    'waiting for an event that never comes is found out',
    /can never happen/,
    function* (context) {
      yield context.df.waitForExternalEvent('never');
    },
  ],
];
for (const [name, message, handler] of violations) {
  test(name, async () => {
    await assert.rejects(
      runOrchestration(handler, { activities: { work: () => 1 } }),
      (error) => error instanceof ReplayViolation && message.test(error.message),
    );
  });
}

test('an orchestrator whose calls depend on state outside of it is found out', async () => {
  let runs = 0;
  await assert.rejects(
    runOrchestration(
      function* (context: OrchestrationContext) {
        runs += 1;
        yield context.df.callActivity(runs > 2 ? 'b' : 'a', {});
      },
      { activities: { a: () => 1, b: () => 2 } },
    ),
    (error) => error instanceof ReplayViolation && /NON_DETERMINISTIC/.test(error.message),
  );
});
