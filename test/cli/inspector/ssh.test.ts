import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Server, SshNetwork } from '../../ssh/ssh-network.ts';
import { kernelSkipReason } from '../../support/environment.ts';
import { type Finished, runProcess } from '../run-command.ts';
import { inspectorPath } from './inspector-process.ts';
import { callAsTheAgentDoes } from './reference-agent.ts';

const TOOLS = 'ip iptables nft sshd ssh ssh-keygen sudo unshare nsenter chroot getent';

function skipReason(): string | false {
  const reason = kernelSkipReason(TOOLS.split(' '));
  if (reason !== false) return reason;
  const place = mkdtempSync(join(tmpdir(), 'nfi-overlay-'));
  const script = `cd ${place}; mount -t tmpfs tmpfs .; cd ${place}; mkdir u w m; mount -t overlay overlay -o lowerdir=/,upperdir=u,workdir=w m`;
  const { status } = spawnSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-ec', script]);
  rmdirSync(place);
  if (status !== 0 && process.env['REQUIRE_KERNEL'] === '1')
    throw new Error('REQUIRE_KERNEL=1, but no overlay can be mounted');
  return status === 0 ? false : 'no overlay can be mounted here';
}

describe('a host over real OpenSSH', { skip: skipReason() }, () => {
  let network: SshNetwork;
  let target: Server;
  let directory: string;
  const DIRECT = '10.201.1.2';
  const BASTION = '10.201.2.2';
  const TARGET = '10.201.3.2';

  before(async () => {
    directory = mkdtempSync(join(tmpdir(), 'nfi-inspector-'));
    network = new SshNetwork();
    network.wire();
    const direct = await network.serve({
      namespace: 'direct',
      port: 22,
      authorized: { inspector: 'admin', plain: 'admin' },
    });
    const bastion = await network.serve({ namespace: 'bastion', port: 22, authorized: { jump: 'hop' } });
    target = await network.serve({ namespace: 'target', port: 2022, authorized: { inspector: 'admin' } });
    network.knownHosts({ [DIRECT]: direct.hostKey, [BASTION]: bastion.hostKey, [`[${TARGET}]:2022`]: target.hostKey });
  });
  after(async () => {
    await network.close();
    rmSync(directory, { recursive: true });
  });

  const env = () => network.env as Record<string, string>;
  const run = (...args: string[]): Promise<Finished> =>
    runProcess(process.execPath, [inspectorPath, '--provider', 'ssh', '--audit-dir', directory, ...args], {
      env: env(),
    });
  const direct = () => ['--target-vm-ip', DIRECT, '--ssh-user', 'inspector', '--target-ssh-key', network.key('admin')];

  test('directly: baseline, a real rule change, drift; doctor finds all well', async () => {
    network.run('direct', 'iptables -A INPUT -s 10.0.0.0/8 -p tcp --dport 443 -j ACCEPT');
    const baseline = await run(...direct(), '--is-baseline', '--session-id', 'direct_base');
    assert.equal(baseline.code, 0, baseline.stderr);
    assert.match(baseline.stderr, /^… connecting to inspector@10\.201\.1\.2\n… the probe answers\n… received /);
    network.run('direct', 'iptables -R INPUT 1 -p tcp --dport 443 -j ACCEPT');
    const { code, stdout } = await run(...direct(), '--compare-baseline', 'direct_base', '--fail-on', 'low');
    assert.equal(code, 3);
    assert.match(stdout, /ACCEPT of tcp\/443 from 10\.0\.0\.0\/8, now ACCEPT of tcp\/443/);
    const [logged = ''] = readFileSync(join(directory, 'direct_base_commands.log'), 'utf8').split('\n');
    assert.deepEqual(Object.keys(JSON.parse(logged)), ['time', 'command', 'exit_code', 'output_bytes']);
    assert.match(JSON.parse(logged).command, /^ssh inspector@10\.201\.1\.2: sudo -n sh -s < probe\.sh$/);
    const doctor = await runProcess(
      process.execPath,
      [inspectorPath, 'doctor', '--provider', 'ssh', ...direct(), '--audit-dir', directory],
      { env: env() },
    );
    assert.equal(doctor.code, 0, doctor.stdout);
    assert.match(doctor.stdout, /ok +login +it logs in, and sudo works\nok +tools +iptables-nft/);
    assert.match(doctor.stdout, /Next: firewall-inspector --provider ssh .* --compare-baseline direct_base\n/);
  });

  test('behind a bastion with another key, by a config file, and nothing is written on the target', async () => {
    const config = join(directory, 'behind.env');
    writeFileSync(
      config,
      [
        'PROVIDER=ssh',
        'VM_NAME=behind-01',
        `TARGET_VM_IP=${TARGET}`,
        'SSH_PORT=2022',
        'SSH_USER=inspector',
        `TARGET_SSH_KEY_PATH="${network.key('admin')}"`,
        `BASTION_PUBLIC_IP=${BASTION}  # the jump host`,
        'BASTION_SSH_USER=jump',
        `BASTION_SSH_KEY_PATH='${network.key('hop')}'`,
        '',
      ].join('\n'),
    );
    const written = target.written();
    const baseline = await run('--config', config, '--is-baseline', '--session-id', 'behind_base', '-o', 'json');
    assert.equal(baseline.code, 0, baseline.stderr);
    assert.equal(JSON.parse(baseline.stdout).vm_name, 'behind-01');
    network.run('target', 'nft add table inet later');
    network.run('target', 'iptables -P FORWARD DROP');
    const { code, stdout } = await run('--config', config, '--compare-baseline', 'behind_base', '-o', 'json');
    assert.equal(code, 0);
    const { drift_by_family: families } = JSON.parse(stdout);
    assert.deepEqual([families.ipv4.drift_detected, families.nft.summary.tables_added], [true, 1]);
    assert.deepEqual(target.written(), written);
  });

  test('the reference’s agent works over SSH', () => {
    const agent = {
      command: [process.execPath, inspectorPath],
      env: network.env,
      config: {
        PROVIDER: 'ssh',
        SSH_USER: 'inspector',
        TARGET_VM_IP: DIRECT,
        TARGET_SSH_KEY_PATH: network.key('admin'),
      },
      auditDir: directory,
    };
    const baseline = callAsTheAgentDoes({ ...agent, isBaseline: true });
    assert.equal(baseline.status, 'success', JSON.stringify(baseline));
    network.run('direct', 'iptables -A INPUT -p tcp --dport 9 -j DROP');
    const compared = callAsTheAgentDoes({ ...agent, compareSessionId: String(baseline['session_id']) });
    const { rules_added: added } = compared['ipv4'] as { rules_added: Record<string, unknown>[] };
    assert.deepEqual(
      added.map(({ target: verdict, dst_port }) => [verdict, dst_port]),
      [['DROP', '9']],
    );
  });

  test('each failure says what it is and what to do, with exit 1 and no artifact', async () => {
    const before = artifacts(directory);
    const wrongKey = network.key('stranger');
    network.run('direct', 'iptables -I INPUT -p tcp --dport 2300 -j DROP');
    const known = readFileSync(join(network.home, '.ssh', 'known_hosts'), 'utf8');
    const cases: [string, string[], RegExp][] = [
      [
        'key refused',
        ['--target-vm-ip', DIRECT, '--ssh-user', 'inspector', '--target-ssh-key', wrongKey],
        /SSH_KEY_REFUSED/,
      ],
      [
        'no sudo',
        ['--target-vm-ip', DIRECT, '--ssh-user', 'plain', '--target-ssh-key', network.key('admin')],
        /SSH_NO_SUDO/,
      ],
      ['no route', ['--target-vm-ip', '198.51.100.7', '--ssh-user', 'inspector'], /SSH_NO_ROUTE/],
      ['no answer', [...direct(), '--ssh-port', '2300'], /SSH_TIMED_OUT/],
      ['nobody listens', [...direct(), '--ssh-port', '2299'], /SSH_NO_ROUTE/],
      [
        'bastion refuses the key',
        [
          '--target-vm-ip',
          TARGET,
          '--ssh-port',
          '2022',
          '--ssh-user',
          'inspector',
          '--target-ssh-key',
          network.key('admin'),
          '--bastion-public-ip',
          BASTION,
          '--bastion-ssh-user',
          'jump',
          '--bastion-ssh-key',
          wrongKey,
        ],
        /SSH_BASTION_REFUSED: .*10\.201\.2\.2/,
      ],
      ['an option as a host', ['--target-vm-ip=-oProxyCommand=touch /tmp/x'], /CONFIG_VALUE: target-vm-ip/],
    ];
    for (const [what, args, expected] of cases) {
      const { code, stderr, stdout } = await run(...args, '--is-baseline', '--session-id', 'failing', '-q');
      assert.deepEqual([code, stdout], [1, ''], `${what}: ${stderr}`);
      assert.match(stderr, expected, what);
      assert.match(stderr, /^firewall-inspector: error: [A-Z_]+: .*; ./, what);
    }
    network.knownHosts({});
    const { code, stderr } = await run(...direct(), '--is-baseline', '--session-id', 'failing', '-q');
    writeFileSync(join(network.home, '.ssh', 'known_hosts'), known);
    assert.equal(code, 1);
    assert.match(stderr, /SSH_HOST_KEY_UNKNOWN/);
    assert.deepEqual(artifacts(directory), before);
  });
});

function artifacts(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => !name.endsWith('_commands.log'))
    .sort();
}
