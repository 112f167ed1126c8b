import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OrchestrationFailed, runOrchestration } from '../../local/host/replay-harness.ts';
import {
  DEFAULT_RUN_SETTINGS,
  type FinishRunInput,
  type PageInput,
  type RunCounts,
  type VmInput,
} from '../../src/core/contracts.ts';
import { NO_COUNTS } from '../../src/core/run-counts.ts';
import { dealPages, inspectFleet, inspectLane, inspectPage } from '../../src/orchestrators/inspect-fleet.ts';
import { sweepFleet } from '../../src/orchestrators/sweep-fleet.ts';

const settings = { ...DEFAULT_RUN_SETTINGS, lanes: 2, pageSize: 50 };

function fleet(vms: number, inspect: (input: VmInput) => RunCounts = () => ({ ...NO_COUNTS, vms: 1, in_sync: 1 })) {
  const seen: string[] = [];
  const finished: FinishRunInput[] = [];
  return {
    seen,
    finished,
    script: {
      instanceId: 'fw_20260101_000000',
      input: { runId: 'fw_20260101_000000', settings },
      activities: {
        listFleet: () => ({ vms, pages: Math.ceil(vms / settings.pageSize) }),
        finishRun: (input: FinishRunInput) => {
          finished.push(input);
          return { ...NO_COUNTS, vms: seen.length };
        },
      },
      subOrchestrations: {
        inspectLane,
        inspectPage,
        inspectVm: (input: VmInput) => {
          seen.push(`${input.page}-${input.index}`);
          return inspect(input);
        },
      },
    },
  };
}

test('every VM of 120 is inspected once, in pages of fifty over two lanes', async () => {
  const { script, seen, finished } = fleet(120);
  const result = await runOrchestration(inspectFleet, script);
  assert.equal(seen.length, 120);
  assert.equal(new Set(seen).size, 120);
  assert.deepEqual([seen.includes('0-49'), seen.includes('2-19'), seen.includes('2-20')], [true, true, false]);
  assert.equal(result.calls.filter(({ name }) => name === 'inspectLane').length, 2);
  assert.equal(finished[0]?.vms, 120);
  assert.deepEqual(result.customStatuses.at(-1), { phase: 'reporting', vms: 120 });
});

test('an empty fleet is a finished run of no VM', async () => {
  const { script, seen, finished } = fleet(0);
  const result = await runOrchestration(inspectFleet, script);
  assert.deepEqual([seen.length, (result.output as RunCounts).vms, finished.length], [0, 0, 1]);
});

test('a lane takes its pages one after another', async () => {
  const { script } = fleet(200);
  const result = await runOrchestration(inspectLane, {
    ...script,
    input: { runId: 'fw_1', settings, pages: [0, 1, 2].map((page) => ({ page, vms: 50 })) },
    subOrchestrations: { inspectPage: (input: PageInput) => ({ ...NO_COUNTS, vms: input.vms }) },
    durationMs: () => 60_000,
  });
  const starts = result.calls.map(({ at }) => Date.parse(at));
  assert.deepEqual(
    starts.map((start) => start - (starts[0] ?? 0)),
    [0, 60_000, 120_000],
  );
});

test('pages are dealt evenly, no lane is empty, no VM is lost', () => {
  for (const vms of [1, 49, 50, 51, 499, 1000]) {
    const lanes = dealPages({ vms, pages: Math.ceil(vms / 50) }, 50, 4);
    assert.ok(lanes.every((lane) => lane.length > 0));
    assert.equal(
      lanes.flat().reduce((sum, page) => sum + page.vms, 0),
      vms,
    );
  }
});

test('a fleet that cannot be listed fails the run, saying why', async () => {
  const { script } = fleet(1);
  const listFleet = () => {
    throw new Error('ARM_DENIED: subscription s: AuthorizationFailed, HTTP 403');
  };
  await assert.rejects(
    runOrchestration(inspectFleet, { ...script, activities: { ...script.activities, listFleet } }),
    (error) => error instanceof OrchestrationFailed && /ARM_DENIED/.test(error.message),
  );
});

test('a refusal that will not pass ends the run at once, without further tries', async () => {
  const { script } = fleet(1);
  let calls = 0;
  const listFleet = () => {
    calls += 1;
    return { refused: 'ARM_DENIED: subscription s: AuthorizationFailed, HTTP 403' };
  };
  await assert.rejects(
    runOrchestration(inspectFleet, { ...script, activities: { ...script.activities, listFleet } }),
    /ARM_DENIED/,
  );
  assert.equal(calls, 1);
});

test('a page that fails as a whole does not take the pages after it along, nor the report', async () => {
  const { script, seen, finished } = fleet(200, (input) => {
    if (input.page === 0 && input.index === 3) throw new Error('terminated from outside');
    return { ...NO_COUNTS, vms: 1, in_sync: 1 };
  });
  await runOrchestration(inspectFleet, { ...script, input: { runId: 'fw_1', settings: { ...settings, lanes: 1 } } });
  for (const page of [1, 2, 3]) assert.equal(seen.filter((place) => place.startsWith(`${page}-`)).length, 50);
  assert.equal(finished[0]?.vms, 200);
});

test('a listing that ARM throttles is asked for again when ARM says, a bounded number of times', async () => {
  const { script, seen } = fleet(2);
  let calls = 0;
  const throttled = (times: number) => () => {
    calls += 1;
    return calls <= times
      ? { retryAfterSeconds: 120, message: 'ARM_LIST_FAILED: subscription s' }
      : { vms: 2, pages: 1 };
  };
  const passes = { ...script, activities: { ...script.activities, listFleet: throttled(2) } };
  const result = await runOrchestration(inspectFleet, passes);
  assert.deepEqual([calls, seen.length, result.elapsedMs], [3, 2, 240_000]);
  calls = 0;
  const never = { ...script, activities: { ...script.activities, listFleet: throttled(Number.POSITIVE_INFINITY) } };
  await assert.rejects(runOrchestration(inspectFleet, never), /ARM_LIST_FAILED/);
  assert.equal(calls, 6);
});

test('a sweep stores what it asks, then runs under the id of its session', async () => {
  const requests: unknown[] = [];
  const result = await runOrchestration(sweepFleet, {
    instanceId: 'sweep:drift',
    input: {
      runId: 'fw_20260101_000000',
      settings,
      selector: { subscription_ids: ['s'] },
      requestedAt: '2026-01-01T00:00:00.000Z',
    },
    activities: { openRun: (input: unknown) => requests.push(input) },
    subOrchestrations: { inspectFleet: () => NO_COUNTS },
  });
  assert.equal((requests[0] as { mode: string }).mode, 'drift');
  assert.equal(result.calls.find(({ kind }) => kind === 'subOrchestration')?.instanceId, 'fw_20260101_000000');
});
