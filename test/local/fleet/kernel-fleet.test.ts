import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Fleet, startFleet } from '../../../local/fleet/fleet.ts';
import { fleetFiles } from '../../../local/repository-root.ts';
import { kernelSkipReason } from '../../support/environment.ts';

const skip = kernelSkipReason(['ip', 'unshare', 'nft', 'ipset', 'xtables-legacy-multi', 'xtables-nft-multi']);

const ROOT_RULES = 'nft list ruleset; cat /proc/net/ip_tables_names /proc/net/ip6_tables_names; ipset list -n';

function rootRules(): string {
  return execFileSync('sh', ['-c', ROOT_RULES], { encoding: 'utf8', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
}

/** What fleets of one process have on the machine now. */
function remainsOf(pid: number | undefined): string[] {
  const prefix = `nfi-fleet-${pid}-`;
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  return [...namespaces, ...readdirSync(tmpdir())].filter((name) => name.startsWith(prefix));
}

async function shell(fleet: Fleet, vmName: string, script: string): Promise<string> {
  const vm = fleet.vms.find(({ name }) => name === vmName);
  assert.ok(vm);
  const lines = ['PATH=$NFI_PATH', ...script.split('\n')];
  const { stdout, stderr } = await fleet.executeScript(vm, lines, new AbortController().signal);
  return stdout.toString('utf8') + stderr.toString('utf8');
}

/** Lines of one text that the other has not, each way, whatever their order. */
function changedLines(from: string, to: string): { removed: string[]; added: string[] } {
  const missing = (some: string, others: string): string[] => {
    const known = new Set(others.split('\n'));
    return some
      .split('\n')
      .filter((line) => !known.has(line))
      .map((line) => line.trim());
  };
  return { removed: missing(from, to), added: missing(to, from) };
}

describe('the fleet in kernel mode', { skip }, () => {
  let fleet: Fleet;
  let rootBefore = '';
  before(async () => {
    rootBefore = rootRules();
    fleet = await startFleet({ mode: 'kernel' });
  });
  after(() => fleet.stop());

  test('every rule of a rule file is in its namespace', async () => {
    for (const { name, firewall } of fleet.vms) {
      for (const source of firewall?.load ?? []) {
        if (source.with === 'nft' || source.from === 'generated') continue;
        const wanted = readFileSync(join(fleetFiles, 'vms', name, source.from), 'utf8').match(/^(?:-A|add) /gm)?.length;
        const list = source.with === 'ipset' ? 'ipset save' : `${source.with}-save`;
        const loaded = (await shell(fleet, name, list)).match(/^(?:-A|add) /gm)?.length;
        assert.equal(loaded, wanted, `${name}: ${source.from}`);
      }
    }
  });

  test('the Kubernetes node has more than 2,000 rules', async () => {
    const count = Number(await shell(fleet, 'node-kube', "iptables-save | grep -c '^-A'"));
    assert.ok(count > 2000, `${count}`);
  });

  test('native tables, sets and maps are there, with the policy they were given', async () => {
    const edge = await shell(fleet, 'edge-nft', 'nft list ruleset');
    assert.match(edge, /table inet edge \{/);
    assert.match(edge, /hook input priority filter; policy drop;/);
    assert.match(edge, /map published \{/);
    assert.match(edge, /elements = \{ 192\.0\.2\.0\/26, 198\.51\.100\.16\/28 \}/);
    assert.match(await shell(fleet, 'gateway-mixed', 'nft list ruleset'), /table inet guard \{/);
    assert.equal(await shell(fleet, 'batch-empty', 'nft list ruleset; iptables-save; ipset save'), '');
  });

  test('each VM has its own default of iptables, and lacks the tools it lacks', async () => {
    const tool = 'iptables --version; command -v nft || echo none';
    assert.match(await shell(fleet, 'web-legacy', tool), /\(legacy\)\nnone\n/);
    assert.match(await shell(fleet, 'web-docker', tool), /\(nf_tables\)\n\/.*\/nft\n/);
    assert.match(await shell(fleet, 'edge-nft', tool), /iptables: not found|iptables: command not found/);
    assert.match(await shell(fleet, 'web-legacy', 'update-alternatives --query iptables'), /^Value: .*-legacy$/m);
    assert.match(await shell(fleet, 'edge-nft', 'update-alternatives --query iptables'), /no alternatives/);
  });

  test('each VM has a host name and a release of its own', async () => {
    assert.equal(await shell(fleet, 'app-ufw', 'uname -n'), 'app-ufw\n');
    assert.match(await shell(fleet, 'app-ufw', 'cat "$NFI_ROOT/etc/os-release"'), /Ubuntu 22\.04/);
  });

  test('opening ssh replaces one rule of one chain', async () => {
    const list = 'nft list ruleset';
    const from = await shell(fleet, 'edge-nft', list);
    const change = await fleet.change('ssh-open');
    assert.deepEqual(changedLines(from, await shell(fleet, 'edge-nft', list)), {
      removed: ['ip saddr @admin_networks tcp dport 22 ct state new accept comment "ssh from the jump hosts"'],
      added: ['tcp dport 22 ct state new accept comment "ssh, temporary"'],
    });
    assert.equal(change.critical, true);
    await assert.rejects(fleet.change('ssh-open'), /happened already/);
  });

  test('logging ssh adds one rule in the middle of one chain', async () => {
    const list = 'iptables-save; ip6tables-save';
    const from = await shell(fleet, 'db-cis', list);
    await fleet.change('ssh-log');
    const { removed, added } = changedLines(
      withoutMovingParts(from),
      withoutMovingParts(await shell(fleet, 'db-cis', list)),
    );
    assert.deepEqual(removed, []);
    assert.deepEqual(added, [
      '-A INPUT -p tcp -m tcp --dport 22 -m state --state NEW -m limit --limit 3/min -j LOG --log-prefix "ssh: "',
    ]);
    const rules = (await shell(fleet, 'db-cis', 'iptables -S INPUT')).split('\n');
    assert.equal(
      rules.findIndex((rule) => rule.includes('ssh: ')),
      6,
    ); // after the policy and five rules
  });

  test('a ban adds one element, to an ipset or to an nft set, and no rule', async () => {
    for (const [name, vmName, list] of [
      ['ipset-ban', 'bastion-fail2ban', 'ipset save; iptables-save'],
      ['nft-ban', 'mail-fail2ban', 'nft list ruleset'],
    ] as const) {
      const from = withoutMovingParts(await shell(fleet, vmName, list));
      await fleet.change(name);
      const to = withoutMovingParts(await shell(fleet, vmName, list));
      const { added } = changedLines(from, to);
      assert.ok(
        added.every((line) => line.includes('203.0.113.50') || line.includes('elements')) && added.length > 0,
        to,
      );
    }
  });

  test('traffic moves counters and nothing else', async () => {
    const list = 'iptables-save -c';
    const from = await shell(fleet, 'web-legacy', list);
    await fleet.change('traffic');
    const to = await shell(fleet, 'web-legacy', list);
    assert.notEqual(/^\[(\d+):.* -A INPUT -i lo/m.exec(to)?.[1], /^\[(\d+):.* -A INPUT -i lo/m.exec(from)?.[1]);
    assert.equal(withoutMovingParts(to), withoutMovingParts(from));
  });

  test('two fleets do not meet', async () => {
    const other = await startFleet({ mode: 'kernel' });
    try {
      await shell(other, 'batch-empty', 'nft add table inet only_here');
      assert.equal(await shell(fleet, 'batch-empty', 'nft list ruleset'), '');
    } finally {
      await other.stop();
    }
    assert.equal(await shell(fleet, 'app-ufw', 'uname -n'), 'app-ufw\n');
  });

  test('the machine itself keeps its firewall, and nothing is left of a fleet that was stopped', async () => {
    assert.ok(remainsOf(process.pid).length > 10);
    await fleet.stop();
    assert.deepEqual(remainsOf(process.pid), []);
    assert.equal(rootRules(), rootBefore);
  });
});

describe('a fleet whose process ends', { skip }, () => {
  // Beside this file: the sources when it is run from them, and what they were compiled to when that is run.
  const fleetModule = new URL(`../../../local/fleet/fleet${extname(import.meta.filename)}`, import.meta.url).href;
  const program = `
    import { startFleet } from ${JSON.stringify(fleetModule)};
    await startFleet({ mode: 'kernel' });
    console.log('started');
    setInterval(() => undefined, 1000);
  `;

  async function startedFleet(): Promise<{
    pid: number | undefined;
    end: (signal: NodeJS.Signals) => Promise<unknown>;
  }> {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const ended = new Promise<unknown>((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
    await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended]);
    assert.ok(remainsOf(child.pid).length > 10, 'it has namespaces');
    return {
      pid: child.pid,
      end: async (signal) => {
        child.kill(signal);
        return ended;
      },
    };
  }

  test('an interrupt cleans up and still ends the process as an interrupt does', async () => {
    const { pid, end } = await startedFleet();
    assert.equal(await end('SIGINT'), 'SIGINT');
    assert.deepEqual(remainsOf(pid), []);
  });

  test('what a killed process left is cleaned up by the next fleet', async () => {
    const { pid, end } = await startedFleet();
    await end('SIGKILL');
    assert.ok(remainsOf(pid).length > 10);
    const next = await startFleet({ mode: 'kernel' });
    await next.stop();
    assert.deepEqual(remainsOf(pid), []);
  });
});

function withoutMovingParts(text: string): string {
  return text
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll(/\[\d+:\d+\]/g, '[0:0]')
    .replaceAll(/packets \d+ bytes \d+/g, 'packets 0 bytes 0');
}
