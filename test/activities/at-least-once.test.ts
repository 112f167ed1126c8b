import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { BlobServiceClient } from '@azure/storage-blob';
import { type ArmSimulator, startArmSimulator } from '../../local/arm/arm-simulator.ts';
import { type LocalStorage, startAzurite } from '../../local/azurite.ts';
import { DEMO_SUBSCRIPTION_ID } from '../../local/fleet/demo-fleet.ts';
import { type Fleet, startFleet } from '../../local/fleet/fleet.ts';
import { readApproved } from '../../src/activities/approved-baseline.ts';
import { readOutcome } from '../../src/activities/documents.ts';
import { makeFinishRun } from '../../src/activities/finish-run.ts';
import { makeListFleet } from '../../src/activities/list-fleet.ts';
import { makeOpenRun } from '../../src/activities/open-run.ts';
import { makePollProbe } from '../../src/activities/poll-probe.ts';
import { makeRecordFailure } from '../../src/activities/record-failure.ts';
import { makeRecordSnapshot } from '../../src/activities/record-snapshot.ts';
import { makeStartProbe } from '../../src/activities/start-probe.ts';
import { getSnapshot } from '../../src/api/artifacts.ts';
import { BlobSnapshotStore } from '../../src/azure/blob-store.ts';
import { ComputeClients } from '../../src/azure/compute-clients.ts';
import { AzureRunCommandRunner } from '../../src/azure/run-command-runner.ts';
import type { AppServices } from '../../src/azure/services.ts';
import { makeAzureServices } from '../../src/azure/services.ts';
import { AzureVmDirectory } from '../../src/azure/vm-directory.ts';
import { artifactNames } from '../../src/core/artifact-names.ts';
import { companionText, sha256Hex } from '../../src/core/baseline/integrity.ts';
import type {
  ProbeStep,
  RecordSnapshotInput,
  RunMode,
  RunReport,
  StartProbeInput,
  VmOutcome,
} from '../../src/core/contracts.ts';
import { OperationError } from '../../src/core/errors.ts';
import { vmKey } from '../../src/core/vm-id.ts';

// Durable activities run at least once: whatever runs twice, or dies half-way, must leave what one run leaves.

let storage: LocalStorage;
let fleet: Fleet;
let arm: ArmSimulator;
let services: AppServices;

before(async () => {
  storage = await startAzurite();
  fleet = await startFleet({ mode: 'replay' });
  arm = await startArmSimulator({ vms: fleet.vms, executeScript: fleet.executeScript, minimumRunMs: 20 });
  const credential = { getToken: async () => ({ token: 'test', expiresOnTimestamp: Date.now() + 3_600_000 }) };
  const runner = new AzureRunCommandRunner(new ComputeClients({ credential, endpoint: arm.url }));
  services = { ...makeAzureServices({ BASELINE_STORAGE: storage.connectionString, ARM_ENDPOINT: arm.url }), runner };
});
after(async () => {
  await arm.stop();
  await fleet.stop();
  await storage.stop();
});
beforeEach(async () => {
  // A script that an earlier test posted and did not wait for would make the VM busy at a moment of its own choosing.
  await arm.control.idle();
  const service = BlobServiceClient.fromConnectionString(storage.connectionString);
  for await (const { name } of service.listContainers()) await service.deleteContainer(name);
  await new BlobSnapshotStore(service).createContainers();
});

const place = { page: 0, index: 0 };
const target = () => fleet.vms.find(({ name }) => name === 'edge-nft') ?? assert.fail('no such VM');

async function open(runId: string, mode: RunMode, baseline: string | null = null): Promise<void> {
  await makeOpenRun(services)({
    schema_version: 1,
    run_id: runId,
    mode,
    selector: { vm_ids: [target().id] },
    baseline,
    requested_at: '2026-01-01T00:00:00.000Z',
    trigger: 'http',
  });
  await makeListFleet(services)({ runId, pageSize: 50 });
}

const probe = (runId: string): StartProbeInput => ({
  ...place,
  runId,
  capture: 0,
  slice: 1,
  attempt: 0,
  nonce: Buffer.from(runId.padEnd(16, '-')).toString('hex').slice(0, 32),
});

async function capture(runId: string): Promise<ProbeStep> {
  let step: ProbeStep = await makeStartProbe(services)(probe(runId));
  for (let look = 0; look < 400 && step.kind !== 'slice'; look += 1) {
    await new Promise((resolve) => setTimeout(resolve, 25));
    step = await makePollProbe(services)(probe(runId));
  }
  assert.equal(step.kind, 'slice');
  return step;
}

async function recorded(runId: string): Promise<RecordSnapshotInput> {
  const step = await makePollProbe(services)(probe(runId));
  assert.ok(step.kind === 'slice');
  return { ...place, runId, capture: 0, attempts: [0], sha256: step.sha256 };
}

const record = async (runId: string) => makeRecordSnapshot(services)(await recorded(runId));

async function everyBlob(): Promise<Map<string, string>> {
  const blobs = new Map<string, string>();
  for (const area of ['baselines', 'reports', 'runs', 'state'] as const) {
    for await (const name of services.store.list(area, '')) {
      blobs.set(`${area}/${name}`, new TextDecoder().decode((await services.store.read(area, name))?.bytes));
    }
  }
  return blobs;
}

test('a listing made twice is the first one, though a VM was deployed in between', async () => {
  await open('fw_1', 'baseline');
  const first = await everyBlob();
  const directory = { list: () => services.directory.list({ vm_ids: fleet.vms.map(({ id }) => id) }) };
  assert.deepEqual(await makeListFleet({ ...services, directory })({ runId: 'fw_1', pageSize: 50 }), {
    vms: 1,
    pages: 1,
  });
  assert.deepEqual(await everyBlob(), first);
});

test('a listing that ARM throttles is put off for as long as ARM says, and leaves nothing', async () => {
  await makeOpenRun(services)({
    schema_version: 1,
    run_id: 'fw_1b',
    mode: 'drift',
    selector: { subscription_ids: [DEMO_SUBSCRIPTION_ID] },
    baseline: null,
    requested_at: '2026-01-01T00:00:00.000Z',
    trigger: 'http',
  });
  const before = await everyBlob();
  const credential = { getToken: async () => ({ token: 'test', expiresOnTimestamp: Date.now() + 3_600_000 }) };
  const directory = new AzureVmDirectory(new ComputeClients({ credential, endpoint: arm.url }));
  arm.control.failNext('list', { status: 429, on: 'list', retryAfterSeconds: 90 });
  const listFleet = makeListFleet({ ...services, directory });
  const putOff = await listFleet({ runId: 'fw_1b', pageSize: 50 });
  assert.equal('retryAfterSeconds' in putOff && putOff.retryAfterSeconds, 90);
  assert.deepEqual(await everyBlob(), before);
  assert.deepEqual(await listFleet({ runId: 'fw_1b', pageSize: 50 }), { vms: fleet.vms.length, pages: 1 });
});

test('a probe started twice is posted once', async () => {
  await open('fw_2', 'baseline');
  const before = arm.runs.length;
  await makeStartProbe(services)(probe('fw_2'));
  await makeStartProbe(services)(probe('fw_2'));
  assert.equal(arm.runs.length, before + 1);
});

test('a probe posted and not noted finds the VM busy, and may be tried again', async () => {
  await open('fw_3', 'baseline');
  arm.control.failNext('edge-nft', { kind: 'neverFinishes' });
  assert.equal((await makeStartProbe(services)(probe('fw_3'))).kind, 'running');
  const again = await makeStartProbe(services)({ ...probe('fw_3'), attempt: 1 });
  arm.control.finishAll();
  assert.equal(again.kind === 'unavailable' && again.reason, 'busy');
  assert.equal(again.kind === 'unavailable' && again.retryAfterSeconds !== null, true);
});

test('a slice looked at after it arrived is read from staging, not asked for again', async () => {
  await open('fw_4', 'baseline');
  const step = await capture('fw_4');
  const requests = arm.requests.length;
  assert.deepEqual(await makePollProbe(services)(probe('fw_4')), step);
  assert.equal(arm.requests.length, requests);
});

test('a snapshot recorded twice, and five times at once, is the same bytes', async () => {
  await open('fw_5', 'baseline');
  await capture('fw_5');
  const first = await record('fw_5');
  const blobs = await everyBlob();
  const again = await Promise.all(Array.from({ length: 5 }, () => record('fw_5')));
  for (const summary of again) assert.deepEqual(summary, first);
  assert.deepEqual(await everyBlob(), blobs);
});

test('a record that died at any of its writes is finished by the next run, to the same bytes', async () => {
  await open('fw_6', 'baseline');
  await capture('fw_6');
  const staged = new Set((await everyBlob()).keys());
  await record('fw_6');
  const whole = await everyBlob();
  const written = [...whole.keys()].filter((name) => !staged.has(name));
  assert.equal(written.length, 4);
  const input = await recorded('fw_6');
  for (let keep = 0; keep < written.length; keep += 1) {
    let writes = 0;
    const dying = {
      ...services,
      store: new Proxy(services.store, {
        get: (store, key) => {
          const value = Reflect.get(store, key) as unknown;
          if (key !== 'create' && key !== 'replace') return typeof value === 'function' ? value.bind(store) : value;
          return async (...args: unknown[]) => {
            writes += 1;
            if (writes > keep) throw new Error('the process died here');
            return (value as (...all: unknown[]) => Promise<unknown>).apply(store, args);
          };
        },
      }),
    };
    await clear(written);
    await assert.rejects(makeRecordSnapshot(dying)(input), /died here/);
    await record('fw_6');
    assert.deepEqual(await everyBlob(), whole, `after dying at write ${keep + 1}`);
  }
});

async function clear(names: readonly string[]): Promise<void> {
  const service = BlobServiceClient.fromConnectionString(storage.connectionString);
  for (const name of names) {
    const [area = '', ...path] = name.split('/');
    await service.getContainerClient(area).getBlobClient(path.join('/')).deleteIfExists();
  }
}

test('other bytes under a baseline’s name are a conflict, said of the VM, and stay as they are', async () => {
  await open('fw_7', 'baseline');
  await capture('fw_7');
  const name = artifactNames.snapshot(vmKey(target().id), 'fw_7');
  await services.store.create('baselines', name, new TextEncoder().encode('somebody else’s'));
  const summary = await record('fw_7');
  assert.deepEqual([summary.baselined, summary.coverage], [false, 'failed']);
  const problem = (await readOutcome(services.store, 'fw_7', place))?.problem;
  assert.equal(problem?.code, 'STORE_CONFLICT');
  assert.match(problem?.next_step ?? '', /new session id/);
  assert.equal(new TextDecoder().decode((await services.store.read('baselines', name))?.bytes), 'somebody else’s');
});

test('a comparison that was stored before its outcome stands, though another baseline was approved in between', async () => {
  for (const runId of ['fw_14', 'fw_14_later']) await open(runId, 'baseline');
  await capture('fw_14');
  await record('fw_14');
  await open('fw_14_drift', 'drift');
  await capture('fw_14_drift');
  await record('fw_14_drift');
  const before = await readOutcome(services.store, 'fw_14_drift', place);
  await clear([`runs/${artifactNames.outcome('fw_14_drift', place)}`]);
  await capture('fw_14_later');
  await record('fw_14_later');
  await record('fw_14_drift');
  assert.deepEqual(await readOutcome(services.store, 'fw_14_drift', place), before);
});

const key = () => vmKey(target().id);
const utf8 = (text: string) => new TextEncoder().encode(text);

/** Puts bytes where the store itself would refuse to, as an intruder with access to the account does. */
async function put(area: string, name: string, bytes: Uint8Array): Promise<void> {
  const container = BlobServiceClient.fromConnectionString(storage.connectionString).getContainerClient(area);
  await container.getBlockBlobClient(name).upload(bytes as Uint8Array<ArrayBuffer>, bytes.length);
}

async function compared(runId: string, baseline: string | null): Promise<VmOutcome> {
  await open(runId, 'drift', baseline);
  await capture(runId);
  await record(runId);
  return (await readOutcome(services.store, runId, place)) ?? assert.fail('no outcome');
}

test('a baseline that verifies and is no snapshot is an outcome that says so', async () => {
  for (const [index, text] of ['hello', '{}', '{"session_id":"odd","rulesets":{}}'].entries()) {
    await put('baselines', artifactNames.snapshot(key(), 'odd'), utf8(text));
    await put('baselines', artifactNames.companion(key(), 'odd'), utf8(companionText(sha256Hex(text))));
    const { verdict, integrity, coverage, problem } = await compared(`fw_10_${index}`, 'odd');
    assert.deepEqual([verdict, integrity, coverage], [null, 'failed', 'complete']);
    assert.equal(problem?.code, 'BASELINE_FORMAT');
    assert.match(problem?.next_step ?? '', /record a new baseline/);
  }
});

test('a companion without its snapshot is tamper evidence, not "never recorded"', async () => {
  await put('baselines', artifactNames.companion(key(), 'half'), utf8(companionText(sha256Hex('x'))));
  const { verdict, integrity, problem } = await compared('fw_11', 'half');
  assert.deepEqual([verdict, integrity, problem?.code], [null, 'failed', 'BASELINE_TAMPERED']);
  const served = await served409('half');
  assert.match(served, /BASELINE_TAMPERED/);
});

test('an approved baseline that was removed, companion and all, is not served as one that never was', async () => {
  await open('fw_15', 'baseline');
  await capture('fw_15');
  await record('fw_15');
  await clear([artifactNames.snapshot, artifactNames.companion].map((name) => `baselines/${name(key(), 'fw_15')}`));
  assert.match(await served409('fw_15'), /BASELINE_TAMPERED/);
});

test('an approved-baseline pointer that this program did not write is never "unrecorded"; a new baseline replaces it', async () => {
  const pointers = ['', 'x', 'null', '{}', '{"session_id":5}', '{"session_id":"../x","sha256":"y","snapshot_at":"z"}'];
  for (const [index, text] of pointers.entries()) {
    await put('state', artifactNames.approved(key()), utf8(text));
    const { verdict, integrity, problem } = await compared(`fw_12_${index}`, null);
    assert.deepEqual([verdict, integrity, problem?.code], [null, 'failed', 'BASELINE_TAMPERED'], text);
    assert.match(problem?.message ?? '', /approved\.json/);
  }
  await open('fw_12_new', 'baseline');
  await capture('fw_12_new');
  await record('fw_12_new');
  assert.equal((await readApproved(services.store, key()))?.session_id, 'fw_12_new');
});

test('an approved baseline that was replaced together with its companion is not served as verified', async () => {
  await open('fw_13', 'baseline');
  await capture('fw_13');
  await record('fw_13');
  const name = artifactNames.snapshot(key(), 'fw_13');
  const forged = utf8(
    new TextDecoder().decode((await services.store.read('baselines', name))?.bytes).replace('"', ' "'),
  );
  await put('baselines', name, forged);
  await put('baselines', artifactNames.companion(key(), 'fw_13'), utf8(companionText(sha256Hex(forged))));
  assert.match(await served409('fw_13'), /BASELINE_TAMPERED/);
});

/** The body with which a snapshot is refused. */
async function served409(sessionId: string): Promise<string> {
  const request = { params: { vm_key: key(), session_id: sessionId }, headers: new Headers(), text: async () => '' };
  const { status, body } = await getSnapshot(request, services.store);
  assert.equal(status, 409, String(body));
  return String(body);
}

const GARBLED = ['', 'x', 'null', '[]', '{}', '{"slice":{}}', '{"state":5}'];

async function refusedAs(code: string, ask: () => Promise<unknown>, label: string): Promise<void> {
  await assert.rejects(
    ask,
    (error) => {
      assert.ok(error instanceof OperationError, `${label}: ${String(error)}`);
      assert.deepEqual([error.code, error.retryable], [code, false], label);
      return true;
    },
    label,
  );
}

test('a staged document that is no longer what was written is said to be so, wherever it is read', async () => {
  await open('fw_15', 'drift');
  await capture('fw_15');
  const at = { ...probe('fw_15') };
  for (const text of GARBLED) {
    await put('runs', artifactNames.slice(at), utf8(text));
    await refusedAs('STORE_CHANGED', () => makePollProbe(services)(at), text);
    await clear([`runs/${artifactNames.slice(at)}`]);
    await put('runs', artifactNames.operation(at), utf8(text));
    await refusedAs('STORE_CHANGED', () => makePollProbe(services)(at), text);
  }
  await put('runs', artifactNames.slice(at), utf8('{"slice":{}}'));
  await makeRecordSnapshot(services)({ ...place, runId: 'fw_15', capture: 0, attempts: [0], sha256: '0'.repeat(64) });
  const outcome = await readOutcome(services.store, 'fw_15', place);
  assert.deepEqual([outcome?.verdict, outcome?.coverage, outcome?.problem?.code], [null, 'failed', 'STORE_CHANGED']);
});

test('slices that verify and are not those that were received are not a snapshot', async () => {
  await open('fw_16', 'baseline');
  await capture('fw_16');
  await open('fw_16_drift', 'drift', 'fw_16');
  const step = await capture('fw_16_drift');
  await record('fw_16');
  // As an intruder would, who wants a changed firewall to look like its baseline.
  const name = (runId: string) => artifactNames.slice(probe(runId));
  const other = new TextDecoder().decode((await services.store.read('runs', name('fw_16')))?.bytes);
  await put('runs', name('fw_16_drift'), utf8(other));
  assert.ok(step.kind === 'slice');
  const sha256 = step.sha256.replace(/^./, (digit) => (digit === '0' ? '1' : '0'));
  await makeRecordSnapshot(services)({ ...place, runId: 'fw_16_drift', capture: 0, attempts: [0], sha256 });
  const outcome = await readOutcome(services.store, 'fw_16_drift', place);
  assert.deepEqual([outcome?.verdict, outcome?.coverage, outcome?.problem?.code], [null, 'failed', 'STORE_CHANGED']);
  assert.equal(await services.store.read('reports', artifactNames.drift(key(), 'fw_16_drift')), null);
});

test('an outcome that was garbled fails its VM in the report, and not the report', async () => {
  for (const [index, text] of GARBLED.entries()) {
    const runId = `fw_17_${index}`;
    await open(runId, 'drift');
    await put('runs', artifactNames.outcome(runId, place), utf8(text));
    const at = '2026-01-01T00:00:00.000Z';
    const counts = await makeFinishRun(services)({ runId, vms: 1, startedAt: at, finishedAt: at });
    assert.deepEqual([counts.vms, counts.not_readable, counts.in_sync], [1, 1, 0], text);
    const report = JSON.parse((await everyBlob()).get(`runs/${runId}/report.json`) ?? '') as RunReport;
    assert.equal(report.outcomes[0]?.problem?.code, 'STORE_CHANGED', text);
  }
});

test('a drift document that was there before and is none is a conflict', async () => {
  await open('fw_18', 'baseline');
  await capture('fw_18');
  await record('fw_18');
  for (const [index, text] of GARBLED.entries()) {
    const runId = `fw_18_${index}`;
    await put('reports', artifactNames.drift(key(), runId), utf8(text));
    const { verdict, problem } = await compared(runId, null);
    assert.deepEqual([verdict, problem?.code], [null, 'STORE_CONFLICT'], text);
  }
});

test('of two baseline runs at once the later capture is approved, in whichever order they finish', async () => {
  for (const runId of ['fw_8a', 'fw_8b']) {
    await open(runId, 'baseline');
    await capture(runId);
  }
  await record('fw_8b');
  await record('fw_8a');
  assert.equal((await readApproved(services.store, vmKey(target().id)))?.session_id, 'fw_8b');
});

test('a pointer whose time is none, or has not come yet, does not keep a new baseline from being approved', async () => {
  await open('fw_19', 'baseline');
  await capture('fw_19');
  await record('fw_19');
  const name = artifactNames.approved(key());
  const pointer = JSON.parse(new TextDecoder().decode((await services.store.read('state', name))?.bytes)) as object;
  for (const [index, at] of ['9999-12-31T00:00:00.000Z', 'z'].entries()) {
    await put('state', name, utf8(JSON.stringify({ ...pointer, snapshot_at: at })));
    const runId = `fw_19_${index}`;
    await open(runId, 'baseline');
    await capture(runId);
    await record(runId);
    assert.equal((await readApproved(services.store, key()))?.session_id, runId, at);
  }
});

test('the first outcome of a VM stands, and a run without an outcome reports the VM as failed', async () => {
  await open('fw_9', 'drift');
  const finish = {
    runId: 'fw_9',
    vms: 1,
    startedAt: '2026-01-01T00:00:00.000Z',
    finishedAt: '2026-01-01T00:01:00.000Z',
  };
  await open('fw_9x', 'drift');
  const nothing = await makeFinishRun(services)({ ...finish, runId: 'fw_9x' });
  assert.equal(nothing.not_readable, 1);
  const busy = { ...place, runId: 'fw_9', reason: 'busy', code: 'ARM_BUSY', message: 'held' } as const;
  await makeRecordFailure(services)(busy);
  await makeRecordFailure(services)({ ...busy, reason: 'denied', code: 'ARM_DENIED' });
  await makeFinishRun(services)(finish);
  await makeFinishRun(services)({ ...finish, finishedAt: '2026-01-01T00:02:00.000Z' });
  const report = JSON.parse((await everyBlob()).get('runs/fw_9/report.json') ?? '') as RunReport;
  assert.deepEqual([report.outcomes[0]?.problem?.code, report.finished_at], ['ARM_BUSY', finish.finishedAt]);
});
