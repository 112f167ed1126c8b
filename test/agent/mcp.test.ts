import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { type AzureOnLoopback, inspectorPath, startAzure } from '../cli/inspector/inspector-process.ts';

type Content = { readonly [member: string]: unknown };

describe('an agent with the official client', () => {
  let azure: AzureOnLoopback;
  let directory: string;
  let client: Client;
  let stderr = '';

  async function connect(...args: string[]): Promise<Client> {
    const config = join(directory, 'agent.env');
    const vm = azure.fleet.vms.find(({ name }) => name === 'edge-nft');
    writeFileSync(
      config,
      `PROVIDER=azure\nVM_NAME=edge-nft\nRESOURCE_GROUP=${vm?.resourceGroup}\nSUBSCRIPTION_ID=${vm?.subscriptionId}\nAUDIT_DIR=${directory}/audit\n`,
    );
    const transport = new StdioClientTransport({
      command: process.execPath,
      args: [inspectorPath, 'mcp', '--config', config, ...args],
      env: { ...(process.env as Record<string, string>), ...azure.env },
      stderr: 'pipe',
    });
    transport.stderr?.on('data', (chunk: Buffer) => {
      stderr += chunk.toString('utf8');
    });
    const connected = new Client({ name: 'test-agent', version: '1.0.0' });
    await connected.connect(transport);
    return connected;
  }
  before(async () => {
    azure = await startAzure();
    directory = mkdtempSync(join(tmpdir(), 'nfi-mcp-'));
    client = await connect();
  });
  after(async () => {
    await client.close();
    await azure.stop();
    rmSync(directory, { recursive: true });
  });

  async function call(
    name: string,
    args: Record<string, unknown>,
    on = client,
  ): Promise<{ content: Content; isError: boolean }> {
    const result = await on.callTool({ name, arguments: args });
    const [first] = result.content as { type: string; text: string }[];
    const text = first?.text ?? '';
    assert.ok(
      Buffer.byteLength(text) <= (args['detail'] === 'full' || name === 'list_baselines' ? 65_536 : 8192),
      `${name}: ${Buffer.byteLength(text)} bytes`,
    );
    return { content: JSON.parse(text), isError: result.isError === true };
  }
  const detect = (args: Record<string, unknown>, on = client) =>
    call(
      'detect_config_drift',
      { provider: 'azure', reasoning: 'nothing changed but it broke', hypothesis_id: 'H2', ...args },
      on,
    );
  const code = ({ content, isError }: { content: Content; isError: boolean }) => [isError, content['code']];

  test('tools are listed with schemas and say that they only read', async () => {
    const { tools } = await client.listTools();
    assert.deepEqual(
      tools.map(({ name }) => name),
      ['detect_config_drift', 'get_operation', 'list_baselines', 'get_drift'],
    );
    for (const { description, annotations, inputSchema } of tools) {
      assert.match(description ?? '', /^Read-only \(SAFE\)/);
      assert.deepEqual(
        [annotations?.readOnlyHint, annotations?.destructiveHint, inputSchema.type],
        [true, false, 'object'],
      );
      assert.equal((inputSchema as Content)['additionalProperties'], false);
    }
    // What this server refuses is not offered: over MCP the operator's configuration says where VMs are.
    const offered = Object.keys(tools[0]?.inputSchema.properties ?? {});
    for (const name of ['vm_id', 'resource_group', 'subscription_id']) assert.ok(!offered.includes(name), name);
    assert.ok(offered.includes('vm_name'));
  });

  test('baseline, a change, drift; and the stored comparison again', async () => {
    const recorded = await detect({ is_baseline: true, session_id: 'agent_base' });
    assert.deepEqual(
      [recorded.isError, recorded.content['mode'], recorded.content['session_id'], recorded.content['truncated']],
      [false, 'baseline', 'agent_base', false],
    );
    const blocking = recorded.content['blocking_rules'] as { raw_rule: string }[];
    assert.ok(blocking.some(({ raw_rule }) => raw_rule === 'default policy drop'));
    await azure.fleet.change('ssh-open');
    const compared = await detect({ compare_session_id: 'agent_base', session_id: 'agent_later' });
    const { content } = compared;
    assert.deepEqual(
      [
        compared.isError,
        content['drift_detected'],
        content['has_critical_changes'],
        content['verdict'],
        content['integrity'],
        content['baseline_session'],
      ],
      [false, true, true, 'drifted', 'verified', 'agent_base'],
    );
    const [top] = content['topChanges'] as Content[];
    assert.deepEqual([top?.['severity'], top?.['table'], top?.['chain']], ['critical', 'inet/edge', 'input']);
    assert.match(stderr, /detect_config_drift compare, provider azure \(H2: nothing changed but it broke\)/);
    const again = await call('get_drift', { session_id: 'agent_later', detail: 'full' });
    assert.deepEqual((again.content['topChanges'] as Content[])[0]?.['finding_id'], top?.['finding_id']);
    assert.equal(readdirSync(join(directory, 'audit')).filter((name) => name.endsWith('_drift.json')).length, 1);
  });

  test('asked again with its session id, it is the same run and not another one', async () => {
    const runs = azure.arm.runs.length;
    const { content, isError } = await detect({
      compare_session_id: 'agent_base',
      session_id: 'agent_later',
      reasoning: 'worded anew',
      detail: 'full',
    });
    assert.deepEqual([isError, content['verdict'], azure.arm.runs.length], [false, 'drifted', runs]);
    assert.deepEqual(code(await detect({ is_baseline: true, session_id: 'agent_later' })), [true, 'STORE_CONFLICT']);
  });

  test('an unknown baseline is a result that lists those there are', async () => {
    const answer = await detect({ compare_session_id: 'fw_19990101_000000' });
    assert.deepEqual(code(answer), [true, 'BASELINE_NOT_FOUND']);
    assert.deepEqual(answer.content['baselines'], ['agent_base']);
    assert.match(String(answer.content['suggestion']), /agent_base/);
    assert.equal(answer.content['retryable'], false);
    const { content } = await call('list_baselines', {});
    assert.deepEqual(
      (content['baselines'] as Content[]).map((one) => [one['session_id'], one['integrity']]),
      [['agent_base', 'verified']],
    );
  });

  test('what is wrong is always a result with a code and what to do', async () => {
    const cases: [string, Record<string, unknown>, string][] = [
      ['detect_config_drift', { provider: 'azure', reasoning: 'x' }, 'AGENT_ARGUMENTS'],
      [
        'detect_config_drift',
        { provider: 'azure', reasoning: 'x', is_baseline: true, compare_session_id: 'agent_base' },
        'AGENT_ARGUMENTS',
      ],
      [
        'detect_config_drift',
        { provider: 'azure', reasoning: 'x', is_baseline: true, session_id: '../../etc' },
        'AGENT_ARGUMENTS',
      ],
      [
        'detect_config_drift',
        { provider: 'azure', reasoning: 'x', is_baseline: true, resource_group: 'other' },
        'AGENT_ARGUMENTS',
      ],
      ['detect_config_drift', { provider: 'ssh', reasoning: 'x', is_baseline: true }, 'CONFIG_TARGET'],
      [
        'detect_config_drift',
        { provider: 'azure', reasoning: 'x', is_baseline: true, vm_name: '-oProxyCommand=x' },
        'CONFIG_VALUE',
      ],
      [
        'detect_config_drift',
        { provider: 'azure', reasoning: 'x', is_baseline: true, vm_name: 'nowhere' },
        'ARM_VM_NOT_FOUND',
      ],
      ['get_operation', { operation_id: 'op_none' }, 'OPERATION_MISSING'],
      ['get_drift', { session_id: 'agent_base' }, 'DRIFT_MISSING'],
      ['list_baselines', { session_id: 'agent_base' }, 'AGENT_ARGUMENTS'],
      ['rm', {}, 'AGENT_ARGUMENTS'],
    ];
    for (const [name, args, expected] of cases) {
      const answer = await call(name, args);
      assert.deepEqual(
        code(answer),
        [true, expected],
        `${name} ${JSON.stringify(args)}: ${JSON.stringify(answer.content)}`,
      );
      for (const member of ['message', 'retryable', 'retryAfterSeconds', 'suggestion', 'notice'])
        assert.ok(member in answer.content, member);
    }
  });

  test('where one host is configured, another one’s name is refused and not made its label', async () => {
    const other = { is_baseline: true, vm_name: 'db-cis', session_id: 'other_name' };
    for (const provider of ['local', 'ssh']) {
      const on = await connect('--target-vm-ip', '192.0.2.9');
      try {
        const answer = await detect({ ...other, provider }, on);
        assert.deepEqual(code(answer), [true, 'AGENT_ARGUMENTS'], JSON.stringify(answer.content));
        assert.match(String(answer.content['message']), /provider (local|ssh) reaches edge-nft, and no other VM/);
        assert.match(String(answer.content['suggestion']), /leave vm_name out/);
      } finally {
        await on.close();
      }
    }
    // Its own name is no other one: it gets as far as the missing address.
    const own = await detect({ ...other, provider: 'ssh', vm_name: 'Edge-NFT' });
    assert.deepEqual(code(own), [true, 'CONFIG_TARGET']);
    assert.match(String(own.content['suggestion']), /set up for provider azure/);
  });

  test('a run that failed is made again when it is asked for again, and not answered from memory', async () => {
    const ask = () => detect({ compare_session_id: 'recorded_late', session_id: 'asked_twice' });
    assert.deepEqual(code(await ask()), [true, 'BASELINE_NOT_FOUND']);
    assert.equal((await detect({ is_baseline: true, session_id: 'recorded_late' })).isError, false);
    const { content, isError } = await ask();
    assert.deepEqual([isError, content['baseline_session']], [false, 'recorded_late']);
  });

  test('a call that is cancelled ends its run, unless its session id can be asked for again', async () => {
    const cancelled = async (args: Record<string, unknown>): Promise<void> => {
      azure.arm.control.failNext('edge-nft', { kind: 'neverFinishes' });
      const runs = azure.arm.runs.length;
      const cancel = new AbortController();
      const call = client.callTool(
        { name: 'detect_config_drift', arguments: { provider: 'azure', reasoning: 'x', is_baseline: true, ...args } },
        undefined,
        { signal: cancel.signal },
      );
      while (azure.arm.runs.length === runs) await new Promise((resolve) => setTimeout(resolve, 20));
      cancel.abort('the person pressed Escape');
      await assert.rejects(call);
    };
    const ended = async (): Promise<boolean> => {
      for (let looks = 0; looks < 200 && !/op_[0-9a-f]+: cancelled/.test(stderr); looks += 1)
        await new Promise((resolve) => setTimeout(resolve, 100));
      return /op_[0-9a-f]+: cancelled/.test(stderr);
    };
    await cancelled({ session_id: 'cancelled_and_asked_again' });
    azure.arm.control.finishAll();
    const { content, isError } = await detect({ is_baseline: true, session_id: 'cancelled_and_asked_again' });
    assert.deepEqual([isError, content['session_id']], [false, 'cancelled_and_asked_again']);
    assert.doesNotMatch(stderr, /cancelled/);
    await cancelled({});
    assert.equal(await ended(), true, stderr.slice(-500));
    azure.arm.control.finishAll();
  });

  test('a tampered baseline is a result, and the VM is not asked', async () => {
    const path = join(directory, 'audit', 'spoilt_snapshot.json');
    writeFileSync(path, '{}');
    writeFileSync(`${path}.sha256`, `${'0'.repeat(64)}\n`);
    const asked = azure.arm.requests.length;
    assert.deepEqual(code(await detect({ compare_session_id: 'spoilt' })), [true, 'BASELINE_TAMPERED']);
    assert.equal(azure.arm.requests.length, asked);
  });

  test('a run that takes longer than a call may wait goes on, and is asked for by its operation', async () => {
    const impatient = await connect('--wait', '0');
    try {
      azure.arm.control.failNext('edge-nft', { kind: 'neverFinishes' });
      const started = await detect({ is_baseline: true, session_id: 'slow' }, impatient);
      assert.deepEqual(
        [started.isError, started.content['status'], started.content['retryAfterSeconds']],
        [false, 'running', 10],
      );
      const id = started.content['operationId'];
      const look = () => call('get_operation', { operation_id: id }, impatient);
      assert.equal((await look()).content['status'], 'running');
      let answer = await look();
      for (let looks = 0; answer.content['status'] === 'running' && looks < 200; looks += 1) {
        // The command may not have been posted yet: what is open is ended at every look.
        azure.arm.control.finishAll();
        await new Promise((resolve) => setTimeout(resolve, 100));
        answer = await look();
      }
      assert.equal(answer.content['status'], 'success', JSON.stringify(answer.content));
    } finally {
      await impatient.close();
    }
  });
});
