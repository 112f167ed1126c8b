import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OrchestrationRun, runOrchestration } from '../../local/host/replay-harness.ts';
import {
  DEFAULT_RUN_SETTINGS,
  type OutcomeSummary,
  type ProbeStep,
  type RecordFailureInput,
  type RecordSnapshotInput,
  type RunCounts,
  type RunSettings,
  type StartProbeInput,
} from '../../src/core/contracts.ts';
import { inspectVm } from '../../src/orchestrators/inspect-vm.ts';

const running: ProbeStep = { kind: 'running', retryAfterSeconds: null };
const slice = (of: number, sha256 = 'same'): ProbeStep => ({ kind: 'slice', of, sha256 });
const unavailable = (reason: 'busy' | 'vm_stopped', retryAfterSeconds: number | null): ProbeStep => ({
  kind: 'unavailable',
  reason,
  code: `ARM_${reason.toUpperCase()}`,
  message: 'said so',
  retryAfterSeconds,
});
const inSync: OutcomeSummary = {
  verdict: 'in_sync',
  coverage: 'complete',
  integrity: 'verified',
  baselined: false,
  critical: false,
};
const failed: OutcomeSummary = { ...inSync, verdict: null, coverage: 'failed', integrity: 'not_checked' };

interface Script {
  start?: (input: StartProbeInput) => ProbeStep;
  poll?: (input: StartProbeInput) => ProbeStep;
  settings?: Partial<RunSettings>;
  record?: (input: RecordSnapshotInput) => OutcomeSummary;
  recordFailure?: () => OutcomeSummary;
}

async function run(
  script: Script,
  instanceId = 'fw_1:lane0:page0:vm3',
): Promise<OrchestrationRun & { counts: RunCounts; names: string[] }> {
  const result = await runOrchestration(inspectVm, {
    instanceId,
    input: { runId: 'fw_1', page: 0, index: 3, settings: { ...DEFAULT_RUN_SETTINGS, ...script.settings } },
    activities: {
      startProbe: (input: StartProbeInput) => script.start?.(input) ?? running,
      pollProbe: (input: StartProbeInput) => script.poll?.(input) ?? slice(1),
      recordSnapshot: (input: RecordSnapshotInput) => script.record?.(input) ?? inSync,
      recordFailure: () => script.recordFailure?.() ?? failed,
    },
  });
  const names = result.calls.filter(({ kind }) => kind === 'activity').map(({ name }) => name);
  return { ...result, counts: result.output as RunCounts, names };
}

const inputs = <T>(result: OrchestrationRun, name: string) =>
  result.calls.filter((call) => call.kind === 'activity' && call.name === name).map(({ input }) => input as T);

test('a small capture is one Run Command, looked at after a durable timer, then recorded', async () => {
  const result = await run({});
  assert.deepEqual(result.names, ['startProbe', 'pollProbe', 'recordSnapshot']);
  assert.equal(result.calls.filter(({ kind }) => kind === 'timer').length, 1);
  assert.deepEqual(result.counts, { ...result.counts, vms: 1, in_sync: 1, not_readable: 0 });
});

test('two VMs that are asked in the same moment get two nonces', async () => {
  const nonces = [];
  for (const vm of ['vm3', 'vm4']) {
    const result = await run({}, `fw_1:lane0:page0:${vm}`);
    nonces.push(inputs<StartProbeInput>(result, 'startProbe')[0]?.nonce);
  }
  assert.notEqual(nonces[0], nonces[1]);
});

test('a capture of three slices is three Run Commands, each with a nonce of its own', async () => {
  const result = await run({ poll: () => slice(3) });
  const starts = inputs<StartProbeInput>(result, 'startProbe');
  assert.deepEqual(
    starts.map((start) => start.slice),
    [1, 2, 3],
  );
  assert.equal(new Set(starts.map(({ nonce }) => nonce)).size, 3);
  for (const { nonce } of starts) assert.match(nonce, /^[0-9a-f]{32}$/);
  assert.deepEqual(inputs<RecordSnapshotInput>(result, 'recordSnapshot')[0]?.attempts, [0, 0, 0]);
});

test('a ruleset that changes between slices is captured anew, a bounded number of times', async () => {
  let polls = 0;
  const calm = await run({ poll: ({ capture, slice: n }) => slice(2, capture === 0 && n === 2 ? 'changed' : 'same') });
  assert.equal(inputs<RecordSnapshotInput>(calm, 'recordSnapshot')[0]?.capture, 1);
  const restless = await run({ poll: () => slice(2, `hash ${polls++}`), settings: { recapturesMax: 2 } });
  assert.deepEqual(
    inputs<RecordFailureInput>(restless, 'recordFailure').map(({ reason }) => reason),
    ['unstable'],
  );
  assert.deepEqual(
    [...new Set(inputs<StartProbeInput>(restless, 'startProbe').map(({ capture }) => capture))],
    [0, 1, 2],
  );
});

test('a stopped VM is an outcome at once', async () => {
  const result = await run({ start: () => unavailable('vm_stopped', null) });
  assert.deepEqual(result.names, ['startProbe', 'recordFailure']);
  assert.equal(result.counts.not_readable, 1);
});

test('a busy VM is asked again, later each time, and then given up with its reason', async () => {
  const twice = await run({ start: ({ attempt }) => (attempt < 2 ? unavailable('busy', 20) : running) });
  assert.deepEqual(inputs<RecordSnapshotInput>(twice, 'recordSnapshot')[0]?.attempts, [2]);
  assert.equal(twice.elapsedMs, (20 + 40 + 5) * 1000);
  const always = await run({ start: () => unavailable('busy', 20), settings: { attemptsMax: 3 } });
  assert.equal(inputs(always, 'startProbe').length, 3);
  assert.equal(inputs<RecordFailureInput>(always, 'recordFailure')[0]?.code, 'ARM_BUSY');
});

test('a look that the service asks to put off is put off, and the command is not posted again', async () => {
  let looks = 0;
  const result = await run({
    poll: () => {
      looks += 1;
      return looks === 1 ? { kind: 'running', retryAfterSeconds: 60 } : slice(1);
    },
  });
  assert.deepEqual(result.names, ['startProbe', 'pollProbe', 'pollProbe', 'recordSnapshot']);
  assert.equal(result.elapsedMs, 65_000);
});

test('a command that never ends is given up at the deadline', async () => {
  const result = await run({ poll: () => running, settings: { vmDeadlineSeconds: 60, pollSeconds: 5 } });
  assert.equal(inputs<RecordFailureInput>(result, 'recordFailure')[0]?.reason, 'timed_out');
  assert.ok(result.elapsedMs <= 60_000);
});

test('a capture of more slices than allowed is refused after the first', async () => {
  const result = await run({ poll: () => slice(41) });
  assert.equal(inputs(result, 'startProbe').length, 1);
  assert.equal(inputs<RecordFailureInput>(result, 'recordFailure')[0]?.reason, 'too_large');
});

test('an activity that throws is tried again', async () => {
  let calls = 0;
  const result = await run({
    record: () => {
      calls += 1;
      if (calls < 3) throw new Error('BLOB_FAILED: the storage account did not answer');
      return inSync;
    },
  });
  assert.equal(calls, 3);
  assert.equal(result.counts.in_sync, 1);
});

test('a VM whose record fails for good is counted as not readable and does not fail its page', async () => {
  const result = await run({
    record: () => {
      throw new Error('a bug');
    },
  });
  assert.deepEqual([result.counts.vms, result.counts.not_readable], [1, 1]);
  assert.equal(inputs<RecordFailureInput>(result, 'recordFailure')[0]?.code, 'RUN_OUTCOME_MISSING');
});

test('what an activity gave up on is recorded under its own code', async () => {
  const result = await run({
    record: () => {
      throw new Error('BLOB_FAILED: baselines/vm/x.json: ContainerNotFound, HTTP 404; is the container there?');
    },
  });
  const [failure] = inputs<RecordFailureInput>(result, 'recordFailure');
  assert.deepEqual([failure?.reason, failure?.code], ['internal_error', 'BLOB_FAILED']);
  assert.match(failure?.message ?? '', /^baselines\/vm\/x\.json: ContainerNotFound/);
});

test('where nothing at all can be recorded the page goes on', async () => {
  const broken = () => {
    throw new Error('BLOB_FAILED: runs/x: ECONNREFUSED, HTTP none');
  };
  const result = await run({ record: broken, recordFailure: broken });
  assert.deepEqual([result.counts.vms, result.counts.not_readable], [1, 1]);
});

test('what passes through history names no VM and holds no output', async () => {
  const result = await run({ poll: () => slice(3) });
  for (const call of result.calls) assert.ok(JSON.stringify(call.input ?? null).length < 400);
});
