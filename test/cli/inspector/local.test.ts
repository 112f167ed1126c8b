import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { kernelSkipReason } from '../../support/environment.ts';
import { runProcess, scratch } from '../run-command.ts';
import { inspectorPath } from './inspector-process.ts';
import { callAsTheAgentDoes } from './reference-agent.ts';

const NAMESPACE = `inspector${process.pid}`;
const INSIDE = ['netns', 'exec', NAMESPACE];

describe('this host, in a network namespace of its own', { skip: kernelSkipReason() }, () => {
  let directory: string;
  before(() => {
    execFileSync('ip', ['netns', 'add', NAMESPACE]);
    directory = mkdtempSync(join(tmpdir(), 'nfi-inspector-'));
    firewall(`
      iptables -P INPUT DROP
      iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
      iptables -A INPUT -s 10.0.0.0/8 -p tcp --dport 22 -j ACCEPT
      nft add table inet guard
      nft add chain inet guard in '{ type filter hook input priority 10; policy accept; }'
      nft add rule inet guard in tcp dport 23 drop comment '"no telnet"'`);
  });
  after(() => {
    rmSync(directory, { recursive: true });
    execFileSync('ip', ['netns', 'del', NAMESPACE]);
  });

  const firewall = (script: string) =>
    execFileSync('ip', [...INSIDE, 'sh', '-ec', `PATH=$PATH:/usr/sbin:/sbin; ${script}`]);
  const command = [process.execPath, inspectorPath];
  const run = (...args: string[]) =>
    runProcess('ip', [...INSIDE, ...command, '--provider', 'local', '--audit-dir', directory, ...args]);

  test('baseline, a real change, drift', async () => {
    const baseline = await run('--is-baseline', '--session-id', 'before');
    assert.equal(baseline.code, 0, baseline.stderr);
    assert.match(baseline.stdout, /default: filter\/INPUT DROP/);
    const quiet = await run('--compare-baseline', 'before', '--fail-on', 'noise', '--strict');
    assert.deepEqual([quiet.code, /\nno drift\n$/.test(quiet.stdout)], [0, true], quiet.stdout);
    firewall('iptables -R INPUT 2 -p tcp --dport 22 -j ACCEPT; nft flush chain inet guard in');
    const { code, stdout } = await run('--compare-baseline', 'before', '--fail-on', 'high');
    assert.equal(code, 3);
    assert.match(stdout, /CRITICAL {2}ipv4 filter\/INPUT .*10\.0\.0\.0\/8, now ACCEPT of tcp\/22/);
    assert.match(stdout, / {2}- 2 {5}-A INPUT -s 10\.0\.0\.0\/8 .*\n {2}\+ 2 {5}-A INPUT -p tcp/);
    assert.match(stdout, /tcp dport 23 drop comment "no telnet"/);
  });

  test('what nft does to a table of iptables is told once, and iptables-save’s silence is no removal', async () => {
    const rules = 'iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT';
    // 1.8.9 prints the first as less than it is, and passes the whole table over for the second.
    for (const [index, added] of ["tcp dport '{ 80, 443 }' accept", 'ct state new udp dport 99 accept'].entries()) {
      firewall(`iptables -F INPUT; ${rules}`);
      assert.equal((await run('--is-baseline', '--session-id', `once${index}`)).code, 0);
      firewall(`nft add rule ip filter INPUT ${added}`);
      const { code, stdout } = await run('--compare-baseline', `once${index}`, '-o', 'json');
      assert.equal(code, 0);
      const families: Record<string, { summary: Record<string, number> }> = JSON.parse(stdout).drift_by_family;
      const told = Object.entries(families).flatMap(([family, { summary }]) =>
        Object.entries(summary).flatMap(([kind, count]) => (count === 0 ? [] : [`${family} ${kind} ${count}`])),
      );
      assert.deepEqual(told, ['nft rules_added 1'], added);
      firewall('nft delete table ip filter');
    }
    firewall(`iptables -P INPUT DROP; ${rules}; iptables -A INPUT -p tcp --dport 22 -j ACCEPT`);
  });

  test('two runs with one session id at once: one wins, nothing is written over', async () => {
    const runs = await Promise.all(
      Array.from({ length: 4 }, () => run('--is-baseline', '--session-id', 'race', '-o', 'json')),
    );
    const won = runs.filter(({ code }) => code === 0);
    assert.equal(won.length, 1, runs.map(({ stderr }) => stderr).join('\n'));
    for (const { code, stderr } of runs) if (code !== 0) assert.match(stderr, /STORE_CONFLICT/);
    const verified = await run('--compare-baseline', 'race');
    assert.equal(verified.code, 0);
    assert.equal(
      JSON.parse(won[0]?.stdout ?? '').sha256,
      readFileSync(join(directory, 'race_snapshot.json.sha256'), 'utf8').trim(),
    );
  });

  test('runs in one second without an id each get one of their own', async (context) => {
    const own = scratch(context);
    const runs = await Promise.all(Array.from({ length: 4 }, () => run('--is-baseline', '--audit-dir', own)));
    assert.deepEqual(
      runs.map(({ code }) => code),
      [0, 0, 0, 0],
    );
    assert.equal(readdirSync(own).filter((name) => /^fw_\d{8}_\d{6}_snapshot\.json$/.test(name)).length, 4);
  });

  test('without root it says so', async () => {
    const args = [...INSIDE, 'setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', ...command];
    const never = join(directory, 'never-made');
    const { code, stderr } = await runProcess('ip', [...args, '--provider', 'local', '--audit-dir', never]);
    assert.equal(code, 1);
    assert.match(stderr, /LOCAL_NOT_ROOT: .*run it with sudo/);
    assert.ok(!existsSync(never));
  });

  test('the reference’s agent works with it as with its own inspector', (context) => {
    const auditDir = scratch(context);
    const agent = {
      command: ['ip', ...INSIDE, ...command],
      env: process.env,
      config: { PROVIDER: 'local', SSH_USER: 'azureuser' },
      auditDir,
    };
    firewall('iptables -A INPUT -p tcp --dport 8080 -j DROP');
    const baseline = callAsTheAgentDoes({ ...agent, isBaseline: true });
    assert.equal(baseline.status, 'success');
    assert.match(String(baseline['session_id']), /^fw_\d{8}_\d{6}$/);
    const blocking = baseline['blocking_rules'] as Record<string, unknown>[];
    assert.ok(blocking.some(({ raw_rule }) => raw_rule === 'default policy DROP'));
    assert.deepEqual(blocking.at(-1), {
      family: 'ipv4',
      chain: 'filter/INPUT',
      target: 'DROP',
      protocol: 'tcp',
      dst_port: '8080',
      source: null,
      raw_rule: '-A INPUT -p tcp -m tcp --dport 8080 -j DROP',
    });
    firewall(`iptables -A INPUT -s 192.0.2.0/24 -p udp --dport 53 -j REJECT; iptables -D INPUT -p tcp --dport 8080 -j DROP
      nft add rule inet guard in ip saddr 198.51.100.0/24 tcp dport 443 drop comment '"held"'; iptables -P FORWARD DROP`);
    const compared = callAsTheAgentDoes({
      ...agent,
      compareSessionId: String(baseline['session_id']),
      sessionId: 'agent_2',
    });
    assert.deepEqual(
      [compared.status, compared['drift_detected'], compared['has_critical_changes']],
      ['success', true, true],
      JSON.stringify(compared),
    );
    assert.equal(compared['artifact'], join(auditDir, 'agent_2_drift.json'));
    const { ipv4, nft } = compared as unknown as Record<'ipv4' | 'nft', Record<string, Record<string, unknown>[]>>;
    assert.deepEqual(ipv4['rules_added'], [
      {
        table: 'filter',
        chain: 'INPUT',
        target: 'REJECT',
        protocol: 'udp',
        dst_port: '53',
        src_port: null,
        source: '192.0.2.0/24',
        raw_rule: '-A INPUT -s 192.0.2.0/24 -p udp -m udp --dport 53 -j REJECT --reject-with icmp-port-unreachable',
      },
    ]);
    assert.deepEqual(
      ipv4['rules_removed']?.map(({ target, dst_port }) => [target, dst_port]),
      [['DROP', '8080']],
    );
    assert.equal(ipv4['policy_changes']?.length, 1);
    assert.deepEqual(nft['rules_added'], [
      {
        table: 'inet/guard',
        chain: 'in',
        verdict: 'drop',
        protocol: 'tcp',
        dst_port: '443',
        src_port: null,
        src_addr: '198.51.100.0/24',
        dst_addr: null,
        comment: 'held',
      },
    ]);
    const again = callAsTheAgentDoes({ ...agent, compareSessionId: 'agent_2' });
    assert.deepEqual([again.status, again['drift_detected']], ['success', false]);
  });
});
