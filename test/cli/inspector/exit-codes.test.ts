import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { schemaFaults } from '../../../local/schema-check.ts';
import { sha256Hex } from '../../../src/core/baseline/integrity.ts';
import { scratch } from '../run-command.ts';
import { type AzureOnLoopback, inspector, inspectorPath, startAzure } from './inspector-process.ts';

const read = (path: string) => JSON.parse(readFileSync(path, 'utf8'));

describe('one VM in Azure', () => {
  let azure: AzureOnLoopback;
  let directory: string;
  before(async () => {
    azure = await startAzure();
    directory = mkdtempSync(join(tmpdir(), 'nfi-inspector-'));
  });
  after(async () => {
    rmSync(directory, { recursive: true });
    await azure.stop();
  });

  const run = (vm: string, ...args: string[]) =>
    inspector([...azure.vm(vm), '--audit-dir', directory, ...args], { env: azure.env });
  const compare = (...args: string[]) => run('edge-nft', '--compare-baseline', 'base', ...args);
  /** A directory with the baseline `base` in it and nothing else, to be spoilt. */
  const copyOfBase = (context: Parameters<typeof scratch>[0]): string => {
    const copy = scratch(context);
    for (const end of ['json', 'json.sha256'])
      cpSync(join(directory, `base_snapshot.${end}`), join(copy, `base_snapshot.${end}`));
    return copy;
  };

  test('a baseline is recorded, exit 0, and verifies; progress goes to standard error', async () => {
    const { code, stdout, stderr } = await run('edge-nft', '--is-baseline', '--session-id', 'base', '-o', 'json');
    assert.equal(code, 0, stderr);
    const recorded = JSON.parse(stdout);
    assert.equal(recorded.artifact, join(directory, 'base_snapshot.json'));
    const bytes = readFileSync(recorded.artifact);
    assert.equal(recorded.sha256, sha256Hex(bytes));
    assert.equal(readFileSync(`${recorded.artifact}.sha256`, 'utf8'), `${recorded.sha256}\n`);
    assert.deepEqual(schemaFaults('snapshot', read(recorded.artifact)), []);
    assert.match(stderr, /run command on edge-nft, slice 1\n/);
    assert.equal((await inspector(['verify', '--audit-dir', directory])).code, 0);
  });

  test('the log holds each command with its size, and no output', () => {
    const lines = readFileSync(join(directory, 'base_commands.log'), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    assert.deepEqual(
      lines.map((line) => Object.keys(line)),
      [['time', 'command', 'exit_code', 'output_bytes']],
    );
    assert.ok(lines[0].output_bytes > 500);
    assert.match(lines[0].command, /edge-nft: probe\.sh, slice 1$/);
    for (const name of readdirSync(directory)) assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
  });

  test('an unchanged firewall is no drift, exit 0 with every flag', async () => {
    const { code, stdout } = await compare('--fail-on', 'noise', '--strict');
    assert.equal(code, 0);
    assert.match(stdout, /^edge-nft {2}nftables {2}baseline base \(sha256 [0-9a-f]{8}… verified\)\nno drift\n$/);
  });

  test('drift is reported with exit 0, and the note names the flag that fails', async () => {
    await azure.fleet.change('ssh-open');
    const { code, stdout, stderr } = await compare('--session-id', 'later', '-o', 'json');
    assert.equal(code, 0);
    assert.match(stderr, /note: drift found, exit 0\. Use --fail-on critical to fail this command\./);
    const stored = read(join(directory, 'later_drift.json'));
    assert.deepEqual(JSON.parse(stdout), stored);
    assert.deepEqual(schemaFaults('drift', stored), []);
    assert.deepEqual([stored.baseline_session, stored.has_critical_changes], ['base', true]);
  });

  test('drift of the --fail-on severity is exit 3, of a worse threshold it is not', async () => {
    assert.equal((await compare('--fail-on', 'critical')).code, 3);
    assert.equal((await compare('--fail-on', 'low')).code, 3);
    const { code, stderr } = await run('edge-nft', '--compare-baseline', 'later', '--fail-on', 'low', '--quiet');
    assert.deepEqual([code, stderr], [0, '']);
  });

  test('errors are exit 1, each with its code and what to do', async () => {
    const cases: [string[], RegExp][] = [
      [[...azure.vm('spare-stopped'), '--is-baseline'], /ARM_VM_STOPPED: spare-stopped: .*; start the VM/],
      [[...azure.vm('lab-silent'), '--is-baseline'], /ARM_AGENT_NOT_READY.*168\.63\.129\.16/],
      [[...azure.vm('office-windows'), '--is-baseline'], /ARM_NOT_LINUX/],
      [[...azure.vm('edge-nft'), '--compare-baseline', 'gone'], /BASELINE_NOT_FOUND: gone: .*the newest are base/],
      [[...azure.vm('edge-nft'), '--is-baseline', '--session-id', 'base'], /STORE_CONFLICT: session base/],
      [[...azure.vm('edge-nft'), '--is-baseline', '--session-id', '../x'], /CONFIG_SESSION_ID/],
      [[...azure.vm('edge-nft'), '--is-baseline', '--compare-baseline', 'base'], /usage: .*exclude each other/],
      [['--vm-name', 'x'], /CONFIG_TARGET: .*--resource-group \(RESOURCE_GROUP in the config file\) is missing/],
      [
        ['--vm-name', 'x', '--resource-group', 'rg', '--subscription-id', 'Pay as you go'],
        /CONFIG_VALUE: subscription-id: "Pay as you go" is no subscription id; .*not its name: az account show/,
      ],
      [
        ['--vm-name', 'x', '--resource-group', 'rg/..', '--subscription-id', '5f3a'],
        /CONFIG_VALUE: resource-group: "rg\/\.\." is no name of a resource group/,
      ],
      [['--provider', 'ssh', '--target-vm-ip', '-oProxyCommand=touch /x'], /CONFIG_VALUE: target-vm-ip/],
      [['--provider', 'gcp'], /usage: --provider cannot be "gcp"/],
      [[...azure.vm('edge-nft'), '--fail-on', 'high'], /usage: --fail-on needs a comparison; .*--compare-baseline ID/],
      [[...azure.vm('edge-nft'), '--is-baseline', '--fail-on', 'high'], /usage: --fail-on needs a comparison/],
      [['--config', join(directory, 'none.env')], /CONFIG_FILE: .*none\.env: it does not exist; check the path/],
      [['--no-such-flag'], /usage: unknown option/],
      [['lst'], /usage: no subcommand "lst" here; .*list, show, verify/],
    ];
    for (const [args, expected] of cases) {
      const { code, stderr, stdout } = await inspector([...args, '--audit-dir', directory], { env: azure.env });
      assert.deepEqual([code, stdout], [1, ''], `${args}: ${stderr}`);
      assert.match(stderr, expected);
    }
  });

  test('a tampered baseline is exit 2 before the VM is asked, and nothing is written', async (context) => {
    const copy = copyOfBase(context);
    const path = join(copy, 'base_snapshot.json');
    writeFileSync(path, readFileSync(path, 'utf8').replace('"nftables"', '"iptables"'));
    const names = readdirSync(copy).sort();
    const asked = azure.arm.requests.length;
    const args = [...azure.vm('edge-nft'), '--compare-baseline', 'base', '--fail-on', 'low', '--strict'];
    const { code, stderr } = await inspector([...args, '--audit-dir', copy], { env: azure.env });
    assert.equal(code, 2);
    assert.match(stderr, /BASELINE_TAMPERED: .*stored sha256 [0-9a-f]{16}, computed [0-9a-f]{16}; keep both files/);
    assert.equal(azure.arm.requests.length, asked);
    assert.deepEqual(readdirSync(copy).sort(), names);
    assert.equal((await inspector(['verify', '--audit-dir', copy])).code, 2);
    assert.equal((await inspector(['show', 'base', '--audit-dir', copy])).code, 2);
  });

  test('a baseline without its companion is exit 2', async (context) => {
    const copy = copyOfBase(context);
    rmSync(join(copy, 'base_snapshot.json.sha256'));
    const args = [...azure.vm('edge-nft'), '--compare-baseline', 'base', '--audit-dir', copy];
    const { code, stderr } = await inspector(args, { env: azure.env });
    assert.equal(code, 2);
    assert.match(stderr, /BASELINE_COMPANION_MISSING/);
    assert.equal((await inspector(['verify', 'base', '--audit-dir', copy])).code, 2);
  });

  test('a baseline whose snapshot was removed is exit 2, by whichever command it is met', async (context) => {
    const copy = copyOfBase(context);
    rmSync(join(copy, 'base_snapshot.json'));
    const asked = azure.arm.requests.length;
    for (const args of [
      [...azure.vm('edge-nft'), '--compare-baseline', 'base'],
      ['verify'],
      ['verify', 'base'],
      ['show', 'base'],
    ]) {
      const { code, stderr } = await inspector([...args, '--audit-dir', copy], { env: azure.env });
      assert.deepEqual([args[0], code], [args[0], 2], stderr);
      assert.match(stderr, /BASELINE_TAMPERED: /);
    }
    assert.equal(azure.arm.requests.length, asked);
  });

  test('a baseline under another session’s name is exit 2', async (context) => {
    const copy = copyOfBase(context);
    for (const end of ['json', 'json.sha256'])
      cpSync(join(copy, `base_snapshot.${end}`), join(copy, `other_snapshot.${end}`));
    const args = [...azure.vm('edge-nft'), '--compare-baseline', 'other', '--audit-dir', copy];
    const { code, stderr } = await inspector(args, { env: azure.env });
    assert.equal(code, 2);
    assert.match(stderr, /snapshot of another session/);
  });

  test('an error is told before an integrity failure: 1, not 2', async (context) => {
    const copy = copyOfBase(context);
    rmSync(join(copy, 'base_snapshot.json.sha256'));
    symlinkSync('/etc/hostname', join(copy, 'linked_snapshot.json'));
    writeFileSync(join(copy, 'linked_snapshot.json.sha256'), '');
    const { code, stdout, stderr } = await inspector(['verify', '--audit-dir', copy]);
    assert.equal(code, 1, stdout);
    assert.match(stderr, /1 of 2 sessions could not be read, 1 did not verify/);
  });

  test('a baseline of another host is compared, and said', async () => {
    const { code, stdout, stderr } = await run('mail-fail2ban', '--compare-baseline', 'base', '-o', 'json');
    assert.equal(code, 0);
    assert.match(stderr, /warning: the baseline is of another host: edge-nft, not mail-fail2ban/);
    // The document is the evidence, and travels alone.
    const { explanation } = JSON.parse(stdout) as { explanation: string[] };
    assert.equal(explanation[0], 'the baseline is of another host: edge-nft, not mail-fail2ban');
  });

  test('without a mode the firewall is shown, and nothing but the log is stored', async (context) => {
    const empty = scratch(context);
    const { code, stdout } = await inspector([...azure.vm('web-docker'), '--audit-dir', empty], { env: azure.env });
    assert.equal(code, 0);
    assert.match(stdout, /web-docker {2}iptables-nft .*\n {2}ipv4: 2 tables, 12 chains, 43 rules\n/);
    assert.match(stdout, /nothing stored/);
    assert.deepEqual(
      readdirSync(empty).map((name) => name.replace(/^fw_\d{8}_\d{6}/, '')),
      ['_commands.log'],
    );
  });

  test('a family leaves the other one out of the snapshot and of the comparison', async (context) => {
    const own = scratch(context);
    const args = [...azure.vm('web-docker'), '--audit-dir', own, '--family', 'ipv4'];
    await inspector([...args, '--is-baseline', '--session-id', 'four'], { env: azure.env });
    const { family, rulesets } = read(join(own, 'four_snapshot.json'));
    assert.deepEqual([family, rulesets.ipv6, Object.keys(rulesets.nft.tables)], ['ipv4', null, []]);
    const { stdout } = await inspector([...args, '--compare-baseline', 'four', '-o', 'json'], { env: azure.env });
    assert.deepEqual(Object.keys(JSON.parse(stdout).drift_by_family), ['ipv4', 'nft']);
  });

  test('a capture in slices is put together, a busy VM waited for', async (context) => {
    const own = scratch(context);
    azure.arm.control.failNext('app-ufw', { status: 429, retryAfterSeconds: 1 });
    const args = [...azure.vm('app-ufw'), '--audit-dir', own, '--is-baseline', '--session-id', 'sliced', '-o', 'json'];
    const { code, stdout, stderr } = await inspector(args, { env: azure.env });
    assert.equal(code, 0, stderr);
    assert.ok(JSON.parse(stdout).slices > 1, stdout);
    assert.match(stderr, /again in 1 s/);
    assert.match(stderr, /slice 2 of \d/);
  });

  test('an interrupted run ends at once, says so, and stores nothing', async (context) => {
    const own = scratch(context);
    azure.arm.control.failNext('batch-empty', { kind: 'neverFinishes' });
    const args = [
      inspectorPath,
      ...azure.vm('batch-empty'),
      '--audit-dir',
      own,
      '--is-baseline',
      '--session-id',
      'cut',
    ];
    const child = spawn(process.execPath, args, { env: { ...process.env, ...azure.env } });
    let stderr = '';
    const code = await new Promise((resolve) => {
      child.stderr.on('data', (chunk: Buffer) => {
        if (!stderr.includes('slice 1') && chunk.includes('slice 1')) child.kill('SIGINT');
        stderr += chunk.toString('utf8');
      });
      child.on('close', resolve);
    });
    azure.arm.control.finishAll();
    assert.equal(code, 1, stderr);
    assert.match(stderr, /ARM_ABORTED: batch-empty: interrupted/);
    assert.deepEqual(
      readdirSync(own).filter((name) => !name.endsWith('.log')),
      [],
    );
  });

  test('list and show tell what is there; doctor says the next command', async () => {
    const listed = await inspector(['list', '--audit-dir', directory, '-o', 'json']);
    const { sessions } = JSON.parse(listed.stdout);
    const later = sessions.find((one: { session_id: string }) => one.session_id === 'later');
    assert.deepEqual([later.kind, later.vm_name, later.integrity], ['comparison', 'edge-nft', 'verified']);
    const shown = await inspector(['show', 'later', '--audit-dir', directory]);
    assert.match(shown.stdout, /^edge-nft {2}nftables {2}later, since base\n {2}CRITICAL /);
    const doctor = await inspector(['doctor', ...azure.vm('edge-nft'), '--audit-dir', directory], { env: azure.env });
    assert.equal(doctor.code, 0, doctor.stdout + doctor.stderr);
    assert.match(doctor.stdout, /ok +login +Azure gave a token\nok +vm +edge-nft runs/);
    assert.match(doctor.stdout, /Next: firewall-inspector --vm-name edge-nft .* --compare-baseline base\n$/);
    const stopped = await inspector(['doctor', ...azure.vm('spare-stopped'), '--audit-dir', directory], {
      env: azure.env,
    });
    assert.equal(stopped.code, 1);
    assert.match(stopped.stdout, /FAILED +vm +spare-stopped: the VM is deallocated/);
  });

  test('without a login the message says to log in', async () => {
    const { code, stderr } = await inspector([...azure.vm('edge-nft'), '--audit-dir', directory], {
      env: {
        ...azure.env,
        IDENTITY_ENDPOINT: '',
        IDENTITY_HEADER: '',
        AZURE_TOKEN_CREDENTIALS: 'EnvironmentCredential',
      },
    });
    assert.equal(code, 1);
    assert.match(stderr, /ARM_LOGIN: .*az login/);
  });
});

test('an audit directory that nobody can make is an error before the host is asked', async () => {
  const nobody = ['--provider', 'ssh', '--target-vm-ip', '127.0.0.1', '--ssh-port', '1'];
  for (const session of [[], ['--session-id', 'fw_given']]) {
    const args = [...nobody, ...session, '--is-baseline', '--audit-dir', '/proc/nobody/audit'];
    const { code, stderr } = await inspector(args);
    assert.equal(code, 1);
    assert.match(stderr, /^firewall-inspector: error: STORE_DENIED: \/proc\/nobody\/audit\/fw_\w+_commands\.log: /);
  }
});

test('verify of a directory without a session is no success: nothing was verified', async (context) => {
  const empty = scratch(context);
  for (const directory of [empty, join(empty, 'not-there')]) {
    const { code, stdout, stderr } = await inspector(['verify', '--audit-dir', directory]);
    assert.deepEqual([code, stdout], [1, ''], stderr);
    assert.match(stderr, /error: no session in .*: nothing was verified; .*--audit-dir/);
    assert.equal((await inspector(['list', '--audit-dir', directory])).code, 0);
  }
});

test('selftest needs nothing, and help lists every exit code and subcommand', async () => {
  const selftest = await inspector(['selftest'], { env: { PATH: '/usr/bin:/bin' } });
  assert.deepEqual([selftest.code, selftest.stdout.match(/^ok /gm)?.length], [0, 5], selftest.stdout);
  const { stdout } = await inspector(['--help']);
  for (const line of [/^ {2}verify {2,}baselines/m, /^ {2}doctor {2,}/m, /^ {2}selftest {2,}/m, /^ {2}mcp {2,}/m])
    assert.match(stdout, line);
  assert.ok(stdout.includes('  4  incomplete'));
  assert.match((await inspector(['list', '--help'])).stdout, /^Usage: firewall-inspector list \[OPTIONS\]\n/);
});
