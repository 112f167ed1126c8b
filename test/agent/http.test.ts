import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ApiClient } from '../../local/api-client.ts';
import { type LocalEnvironment, startEnvironment } from '../../local/environment.ts';
import { artifactNames } from '../../src/core/artifact-names.ts';
import { vmKey } from '../../src/core/vm-id.ts';

let environment: LocalEnvironment;
let api: ApiClient;
before(async () => {
  environment = await startEnvironment({ fleetMode: 'replay', timeScale: 10 });
  api = new ApiClient(() => environment.url, environment.functionKey, 200);
});
after(() => environment.stop());

type Answer = { readonly status: number; readonly body: Record<string, unknown>; readonly location: string | null };

async function detect(args: Record<string, unknown>, vmName = 'edge-nft'): Promise<Answer> {
  const vm_id = environment.fleet.vms.find(({ name }) => name === vmName)?.id;
  const body = { provider: 'azure', reasoning: 'nothing changed but it broke', vm_id, ...args };
  const response = await api.request('POST', 'tools/detect_config_drift', body);
  const text = await response.text();
  assert.ok(Buffer.byteLength(text) <= 8192, `${Buffer.byteLength(text)} bytes`);
  return { status: response.status, body: JSON.parse(text), location: response.headers.get('location') };
}

test('without the key there is no answer', async () => {
  const response = await fetch(`${environment.url}/api/v1/tools/detect_config_drift`, { method: 'POST', body: '{}' });
  assert.equal(response.status, 401);
});

test('baseline, a change, drift; asked again it is the same run', async () => {
  const recorded = await detect({ is_baseline: true, session_id: 'tool_base' });
  assert.deepEqual([recorded.status, recorded.body['status'], recorded.body['mode']], [200, 'success', 'baseline']);
  const stored = await api.request('GET', String(recorded.body['artifact']).replace('/api/v1/', ''));
  assert.equal(stored.headers.get('etag'), `"sha256-${recorded.body['sha256']}"`);
  const key = String(recorded.body['artifact']).split('/')[4] ?? '';
  assert.equal(await environment.store.read('state', artifactNames.approved(key)), null, 'an agent approves nothing');
  await environment.fleet.change('ssh-open');
  const asked = { compare_session_id: 'tool_base', session_id: 'tool_later' };
  const compared = await detect(asked);
  const { body } = compared;
  assert.deepEqual(
    [body['verdict'], body['has_critical_changes'], body['integrity'], body['baseline_session']],
    ['drifted', true, 'verified', 'tool_base'],
  );
  const runs = environment.arm.runs.length;
  assert.deepEqual((await detect(asked)).body, body);
  assert.equal(environment.arm.runs.length, runs);
  const other = await detect({ is_baseline: true, session_id: 'tool_later' });
  assert.deepEqual([other.status, other.body['code']], [409, 'STORE_CONFLICT']);
});

test('an id that is made has the VM in it, so that two VMs may be asked in one second', async () => {
  const answers = await Promise.all(['web-legacy', 'batch-empty'].map((vm) => detect({ is_baseline: true }, vm)));
  assert.deepEqual(
    answers.map(({ body }) => body['status']),
    ['success', 'success'],
    JSON.stringify(answers),
  );
  const ids = answers.map(({ body }) => String(body['session_id']));
  for (const id of ids) assert.match(id, /^fw_\d{8}_\d{6}_[0-9a-f]{6}$/);
  assert.notEqual(ids[0], ids[1]);
});

test('what is wrong with a VM or a baseline is an answer that can be acted on', async () => {
  const unknown = await detect({ compare_session_id: 'fw_1' });
  assert.deepEqual(
    [unknown.status, unknown.body['code'], unknown.body['baselines']],
    [200, 'BASELINE_NOT_FOUND', ['tool_base']],
  );
  const key = vmKey(environment.fleet.vms.find(({ name }) => name === 'edge-nft')?.id ?? '');
  await environment.store.create('baselines', artifactNames.companion(key, 'gone'), new TextEncoder().encode('x'));
  assert.equal((await detect({ compare_session_id: 'gone' })).body['code'], 'BASELINE_TAMPERED');
  const stopped = await detect({ is_baseline: true }, 'spare-stopped');
  assert.deepEqual(
    [stopped.body['status'], stopped.body['code'], stopped.body['retryable']],
    ['error', 'ARM_VM_STOPPED', false],
  );
  assert.match(String(stopped.body['suggestion']), /start the VM/);
  const ssh = await detect({ provider: 'ssh', is_baseline: true });
  assert.deepEqual([ssh.status, ssh.body['code']], [200, 'AGENT_PROVIDER']);
});

test('a request that makes no sense is a problem document with pointers', async () => {
  const cases: [Record<string, unknown>, number, string][] = [
    [{}, 422, '/is_baseline'],
    [{ is_baseline: true, compare_session_id: 'x' }, 422, '/compare_session_id'],
    [{ is_baseline: true, session_id: '../x' }, 422, '/session_id'],
    [{ is_baseline: true, vm_id: undefined }, 422, '/vm_id'],
    [{ is_baseline: true, vm_id: 'web-01' }, 422, '/vm_id'],
  ];
  for (const [args, status, pointer] of cases) {
    const answer = await detect(args);
    const [first] = answer.body['errors'] as { pointer: string }[];
    assert.deepEqual([answer.status, first?.pointer], [status, pointer], JSON.stringify(answer.body));
  }
  const vm = { vm_id: undefined, vm_name: 'a/../b', resource_group: 'rg', subscription_id: 'x' };
  assert.equal((await detect({ is_baseline: true, ...vm })).body['code'], 'CONFIG_VM_ID');
});

test('a run that takes longer than the call waits is running, and found by asking again', {
  timeout: 120_000,
}, async () => {
  environment.arm.control.failNext('db-cis', { kind: 'neverFinishes' });
  const asked = { is_baseline: true, session_id: 'tool_slow' };
  const running = await detect(asked, 'db-cis');
  assert.deepEqual(
    [running.status, running.body['status'], running.body['operationId']],
    [202, 'running', 'tool_slow'],
  );
  assert.equal(running.location, '/api/v1/operations/tool_slow');
  assert.equal((await api.operation('tool_slow')).status, 'Running');
  // The command may not have been posted yet: what is open is ended at every look.
  while ((await api.operation('tool_slow')).status === 'Running') {
    environment.arm.control.finishAll();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  await api.finished('tool_slow');
  assert.deepEqual([(await detect(asked, 'db-cis')).body['status']], ['success']);
});
