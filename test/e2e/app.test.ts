import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApiClient } from '../../local/api-client.ts';
import { type LocalEnvironment, startEnvironment } from '../../local/environment.ts';
import { DEMO_SUBSCRIPTION_ID } from '../../local/fleet/demo-fleet.ts';
import { schemaFaults } from '../../local/schema-check.ts';
import { artifactNames } from '../../src/core/artifact-names.ts';
import type { RunReport, VmOutcome } from '../../src/core/contracts.ts';
import { listedChanges } from '../../src/core/drift/drift-document.ts';

let environment: LocalEnvironment;
let api: ApiClient;
const log: string[] = [];

before(async () => {
  environment = await startEnvironment({
    log: (line) => log.push(line),
    timeScale: 10,
    settings: {
      RUN_LANES: '2',
      RUN_PAGE_SIZE: '5',
      DRIFT_SWEEP_SELECTOR: JSON.stringify({ subscription_ids: [DEMO_SUBSCRIPTION_ID] }),
    },
  });
  api = new ApiClient(() => environment.url, environment.functionKey, 200);
});
after(() => environment.stop());

const everything = () => ({ subscription_ids: [environment.subscriptionId] });
const vmId = (name: string) => environment.fleet.vms.find((vm) => vm.name === name)?.id ?? assert.fail(`no VM ${name}`);
const outcomeOf = (report: RunReport, name: string): VmOutcome =>
  report.outcomes.find(({ vm_name }) => vm_name === name) ?? assert.fail(`no outcome for ${name}`);

async function problemOf(response: Response): Promise<{ status: number; code: string; pointers: string[] }> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  const body = (await response.json()) as { status: number; code: string; errors?: { pointer: string }[] };
  assert.equal(body.status, response.status);
  return { status: body.status, code: body.code, pointers: (body.errors ?? []).map(({ pointer }) => pointer) };
}

test('without the key there is no answer', async () => {
  const response = await fetch(`${environment.url}/api/v1/runs`, { method: 'POST', body: '{}' });
  assert.equal(response.status, 401);
});

test('a bad body is refused with pointers to what is wrong', async () => {
  const raw = await fetch(`${environment.url}/api/v1/runs`, {
    method: 'POST',
    headers: { 'x-functions-key': environment.functionKey },
    body: '{"mode":',
  });
  assert.deepEqual(await problemOf(raw), { status: 400, code: 'HTTP_BODY_NOT_JSON', pointers: [] });
  const bad: [unknown, string][] = [
    [{ mode: 'look', selector: everything() }, '/mode'],
    [{ mode: 'drift', selector: { vm_ids: ['web-01'] } }, '/selector'],
    [{ mode: 'drift', selector: {} }, '/selector'],
    [{ mode: 'drift', selector: everything(), session_id: '../x' }, '/session_id'],
    [{ mode: 'drift', selector: { subscription_id: environment.subscriptionId, resource_group: '..' } }, '/selector'],
    [{ mode: 'baseline', selector: everything(), baseline: 'fw_1' }, '/baseline'],
  ];
  for (const [body, pointer] of bad) {
    const problem = await problemOf(await api.request('POST', 'runs', body));
    assert.equal(problem.status, 422);
    assert.ok(
      problem.pointers.some((each) => each.startsWith(pointer)),
      `${JSON.stringify(body)} → ${problem.pointers}`,
    );
  }
  assert.equal((await api.request('POST', 'runs', { mode: 'drift', selector: everything(), force: true })).status, 422);
});

test('what does not exist is not found', async () => {
  assert.equal((await problemOf(await api.request('GET', 'operations/nothing'))).code, 'OPERATION_MISSING');
  assert.equal((await problemOf(await api.request('GET', 'runs/nothing'))).code, 'RUN_REPORT_MISSING');
  assert.equal(
    (await problemOf(await api.request('GET', 'vms/web-0123456789ab/snapshots/x'))).code,
    'SNAPSHOT_MISSING',
  );
  assert.equal((await problemOf(await api.request('GET', 'vms/web-0123456789ab/drifts/x'))).code, 'DRIFT_MISSING');
  assert.equal((await api.request('GET', 'vms/..%2f..%2fx/snapshots/x')).status, 400);
});

test('a drift run before any baseline finds VMs unrecorded, not in sync', async () => {
  const report = await api.run({ mode: 'drift', selector: { vm_ids: [vmId('edge-nft')] }, session_id: 'too-early' });
  assert.deepEqual([report.counts.unrecorded, report.counts.in_sync, report.counts.drifted], [1, 0, 0]);
});

test('a baseline of the fleet is recorded, readable VMs and unreadable ones told apart with reasons', async () => {
  const report = await api.run({ mode: 'baseline', selector: everything(), session_id: 'base' });
  assert.deepEqual(schemaFaults('run-report', report), []);
  assert.equal(report.counts.vms, environment.fleet.vms.length);
  const readable = environment.fleet.vms.filter(
    (vm) => vm.osType === 'Linux' && vm.powerState === 'running' && vm.agentReady,
  );
  assert.equal(report.counts.baselined, readable.length);
  assert.equal(report.counts.not_readable, environment.fleet.vms.length - readable.length);
  for (const vm of environment.fleet.vms) {
    const { problem } = outcomeOf(report, vm.name);
    if (vm.osType === 'Windows') assert.equal(problem?.reason, 'not_linux');
    else if (vm.powerState !== 'running') assert.equal(problem?.reason, 'vm_stopped');
    else if (!vm.agentReady) assert.equal(problem?.reason, 'agent_not_ready');
    else assert.equal(problem, null, `${vm.name}: ${JSON.stringify(problem)}`);
    assert.notEqual(problem?.next_step, '');
  }
});

test('the large ruleset came in several slices, and every line of it arrived', async () => {
  const report = await api.report('base');
  const kube = report.outcomes.find(({ vm_name }) => vm_name.includes('kube')) ?? assert.fail('no kube VM');
  assert.ok((kube.slices ?? 0) > 1);
  const snapshot = await api.snapshot(kube.vm_key, 'base');
  assert.equal(snapshot.capture.with_counters, false);
  const { rulesets } = snapshot as unknown as {
    rulesets: { ipv4: { tables: Record<string, { chains: Record<string, { rules: unknown[] }> }> } };
  };
  const rules = Object.values(rulesets.ipv4.tables).flatMap(({ chains }) =>
    Object.values(chains).flatMap((chain) => chain.rules),
  );
  assert.ok(rules.length >= 2000, `${rules.length} rules`);
});

test('snapshots are served to the byte under their digest, and fit the schema', async () => {
  for (const outcome of (await api.report('base')).outcomes.filter(({ baselined }) => baselined)) {
    const response = await api.request('GET', `vms/${outcome.vm_key}/snapshots/base`);
    const etag = response.headers.get('etag') ?? '';
    assert.equal(etag, `"sha256-${outcome.snapshot_sha256}"`);
    assert.deepEqual(schemaFaults('snapshot', await response.json()), []);
    const again = await fetch(`${environment.url}/api/v1/vms/${outcome.vm_key}/snapshots/base`, {
      headers: { 'x-functions-key': environment.functionKey, 'if-none-match': etag },
    });
    assert.equal(again.status, 304);
  }
});

test('the same request again is the same run; another request under its id is a conflict', async () => {
  const before = environment.arm.runs.length;
  const again = await api.request('POST', 'runs', { mode: 'baseline', selector: everything(), session_id: 'base' });
  assert.equal(again.status, 202);
  assert.equal(((await again.json()) as { status: string }).status, 'Succeeded');
  assert.equal(again.headers.get('retry-after'), null);
  assert.equal(
    (await problemOf(await api.request('POST', 'runs', { mode: 'drift', selector: everything(), session_id: 'base' })))
      .code,
    'STORE_CONFLICT',
  );
  assert.equal((await api.operation('base')).status, 'Succeeded');
  assert.equal(environment.arm.runs.length, before);
});

test('the same request six times at once is one run, each time', async () => {
  const body = { mode: 'drift', selector: { vm_ids: [vmId('edge-nft')] }, session_id: 'at-once' };
  const responses = await Promise.all(Array.from({ length: 6 }, () => api.request('POST', 'runs', body)));
  assert.deepEqual(
    responses.map(({ status }) => status),
    Array.from({ length: 6 }, () => 202),
  );
  assert.equal((await api.finished('at-once')).counts.vms, 1);
});

test('different requests of one second, without an id, are runs of their own', async () => {
  const names = ['edge-nft', 'app-ufw', 'gateway-mixed'];
  const started = await Promise.all(
    names.map((name) => api.startRun({ mode: 'drift', selector: { vm_ids: [vmId(name)] } })),
  );
  for (const [index, { id }] of started.entries()) {
    assert.match(id, /^fw_\d{8}_\d{6}(?:_\d+)?$/);
    assert.deepEqual(
      (await api.finished(id)).outcomes.map(({ vm_name }) => vm_name),
      [names[index]],
    );
  }
});

test('no session id names an instance that is not a run', async () => {
  for (const id of ['base-lane0', 'base-lane0-page0-vm0', 'drift-sweep']) {
    assert.equal((await problemOf(await api.request('GET', `operations/${id}`))).code, 'OPERATION_MISSING');
  }
  const report = await api.run({
    mode: 'drift',
    selector: { vm_ids: [vmId('edge-nft')] },
    session_id: 'base-lane0',
  });
  assert.equal(report.counts.in_sync, 1);
});

test('an unchanged fleet is in sync', async () => {
  const report = await api.run({ mode: 'drift', selector: everything(), session_id: 'quiet' });
  assert.deepEqual([report.counts.drifted, report.counts.in_sync], [0, report.counts.vms - report.counts.not_readable]);
});

test('changes are found, exactly those, and churn is folded', async () => {
  const done = [];
  for (const name of ['ssh-open', 'ssh-log', 'ipset-ban', 'nft-ban', 'traffic'] as const)
    done.push(await environment.fleet.change(name));
  const report = await api.run({ mode: 'drift', selector: everything(), session_id: 'changed' });
  for (const change of done) {
    const outcome = outcomeOf(report, change.vmName);
    if (outcome.verdict === 'in_sync') {
      assert.equal(change.kind, 'churn', `${change.name} was missed`);
      continue;
    }
    const drift = await api.drift(outcome.vm_key, 'changed');
    assert.deepEqual(schemaFaults('drift', drift), []);
    const listed = listedChanges(drift.drift_by_family)
      .filter((each) => each.change.severity !== 'noise')
      .map(({ family, kind, change: each }) => `${family} ${kind} ${each.table} ${each.chain}`);
    const expected = change.expected.map(({ family, kind, table, chain }) => `${family} ${kind} ${table} ${chain}`);
    assert.deepEqual(listed.sort(), expected.sort(), change.name);
    assert.equal(drift.has_critical_changes, change.critical, change.name);
    assert.ok(drift.explanation.length > 0);
  }
  const changed = new Set(done.map(({ vmName }) => vmName));
  for (const outcome of report.outcomes) if (!changed.has(outcome.vm_name)) assert.notEqual(outcome.verdict, 'drifted');
});

test('a named baseline is compared with, and one that never was is not "in sync"', async () => {
  const selector = { vm_ids: [vmId('edge-nft')] };
  const named = await api.run({ mode: 'drift', selector, session_id: 'named', baseline: 'base' });
  assert.equal(named.outcomes[0]?.baseline_session, 'base');
  const missing = await api.run({ mode: 'drift', selector, session_id: 'missing', baseline: 'never' });
  assert.equal(missing.outcomes[0]?.verdict, 'unrecorded');
});

test('the service answering with another script, a cached output, or too late is never taken for a ruleset', async () => {
  const name = 'edge-nft';
  const selector = { vm_ids: [vmId(name)] };
  environment.arm.control.failNext(name, { kind: 'builtInSample' });
  environment.arm.control.failNext(name, { kind: 'cachedOutput' });
  const retried = await api.run(
    { mode: 'drift', selector, session_id: 'foreign', baseline: 'base' },
    undefined,
    120_000,
  );
  assert.equal(retried.outcomes[0]?.coverage, 'complete');
  assert.equal(environment.arm.control.pendingFaults(), 0);
});

test('a VM that may not be asked is denied, and the others are read', async () => {
  const locked = 'web-docker';
  environment.arm.control.failNext(locked, { status: 403, on: 'get' });
  const selector = { vm_ids: [vmId(locked), vmId('edge-nft')] };
  const report = await api.run({ mode: 'baseline', selector, session_id: 'denied' });
  assert.equal(outcomeOf(report, locked).problem?.reason, 'denied');
  assert.equal(outcomeOf(report, 'edge-nft').baselined, true);
});

test('a tampered baseline is refused, a missing companion too, and nothing is compared or written over', async () => {
  const selector = { vm_ids: [vmId('web-docker'), vmId('app-ufw')] };
  const { outcomes } = await api.report('base');
  const baselines = environment.blobs.getContainerClient('baselines');
  const [tampered, orphaned] = ['web-docker', 'app-ufw'].map(
    (name) => outcomes.find((each) => each.vm_name === name)?.vm_key ?? '',
  );
  const blob = baselines.getBlockBlobClient(artifactNames.snapshot(tampered ?? '', 'base'));
  const bytes = await blob.downloadToBuffer();
  bytes[bytes.length - 10] = (bytes[bytes.length - 10] as number) ^ 1;
  await blob.upload(bytes, bytes.length);
  await baselines.deleteBlob(artifactNames.companion(orphaned ?? '', 'base'));
  const report = await api.run({ mode: 'drift', selector, session_id: 'tampered', baseline: 'base' });
  assert.equal(report.counts.integrity_failed, 2);
  assert.equal(outcomeOf(report, 'web-docker').problem?.code, 'BASELINE_TAMPERED');
  assert.match(
    outcomeOf(report, 'web-docker').problem?.message ?? '',
    /stored sha256 [0-9a-f]{16}, computed [0-9a-f]{16}/,
  );
  assert.equal(outcomeOf(report, 'app-ufw').problem?.code, 'BASELINE_COMPANION_MISSING');
  for (const { vm_key, verdict } of report.outcomes) {
    assert.equal(verdict, null);
    assert.equal((await api.request('GET', `vms/${vm_key}/drifts/tampered`)).status, 404);
  }
  assert.equal((await problemOf(await api.request('GET', `vms/${tampered}/snapshots/base`))).code, 'BASELINE_TAMPERED');
});

test('a baseline put in the place of another VM’s is refused, though its companion came with it', async () => {
  const { outcomes } = await api.report('base');
  const keyOf = (name: string) => outcomes.find((each) => each.vm_name === name)?.vm_key ?? '';
  const baselines = environment.blobs.getContainerClient('baselines');
  for (const name of [artifactNames.snapshot, artifactNames.companion]) {
    const bytes = await baselines.getBlockBlobClient(name(keyOf('gateway-mixed'), 'base')).downloadToBuffer();
    await baselines.getBlockBlobClient(name(keyOf('edge-nft'), 'base')).upload(bytes, bytes.length);
  }
  const selector = { vm_ids: [vmId('edge-nft')] };
  const report = await api.run({ mode: 'drift', selector, session_id: 'swapped', baseline: 'base' });
  assert.equal(report.outcomes[0]?.problem?.code, 'BASELINE_TAMPERED');
  assert.match(report.outcomes[0]?.problem?.message ?? '', /another VM/);
  assert.equal(report.outcomes[0]?.verdict, null);
});

test('a host killed in the middle of a run resumes it: nothing is lost, nothing recorded twice', async () => {
  const before = environment.arm.runs.length;
  const { id } = await api.startRun({ mode: 'drift', selector: everything(), session_id: 'killed' });
  for (let waited = 0; environment.arm.runs.length < before + 4 && waited < 60_000; waited += 50) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await environment.restartHost('SIGKILL');
  const report = await api.finished(id);
  assert.equal(report.counts.vms, environment.fleet.vms.length);
  assert.equal(new Set(report.outcomes.map(({ vm_id }) => vm_id)).size, environment.fleet.vms.length);
  const quiet = await api.report('quiet');
  assert.equal(report.counts.not_readable, quiet.counts.not_readable);
  const names: string[] = [];
  for await (const name of environment.store.list('runs', 'killed/outcomes/')) names.push(name);
  assert.equal(names.length, environment.fleet.vms.length);
});

test('a sweep runs by its timer, and never two at once', async () => {
  const trigger = () =>
    fetch(`${environment.url}/admin/functions/drift-sweep`, {
      method: 'POST',
      headers: { 'x-functions-key': environment.masterKey, 'content-type': 'application/json' },
      body: '{}',
    });
  const responses = await Promise.all([trigger(), trigger(), trigger()]);
  assert.deepEqual(
    responses.map(({ status }) => status),
    [202, 202, 202],
  );
  const started = () => log.filter((line) => /drift-sweep: started run/.test(line)).length;
  for (let waited = 0; started() === 0 && waited < 60_000; waited += 100)
    await new Promise((resolve) => setTimeout(resolve, 100));
  const runId =
    /started run (fw_\d{8}_\d{6}_sweep)/.exec(log.find((line) => /started run/.test(line)) ?? '')?.[1] ?? '';
  const report = await api.finished(runId);
  assert.deepEqual([report.trigger, report.mode], ['timer', 'drift']);
  assert.equal(started(), 1);
});

test('no log line carries a key, a signed URL, or a rule', () => {
  const text = log.join('\n');
  assert.ok(!text.includes(environment.functionKey));
  assert.doesNotMatch(text, /[?&](sig|s|c|h)=[\w%-]{20,}/);
  assert.doesNotMatch(text, /-A INPUT|tcp dport/);
});
