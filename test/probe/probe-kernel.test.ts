import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assembleCapture } from '../../src/core/capture/assemble.ts';
import { detectFramework, frameworkEvidence } from '../../src/core/capture/framework.ts';
import { kernelSkipReason } from '../support/environment.ts';
import { gunzip, isInstalled, probeCapture, probeSlice, runProbe, shells } from './probe-runs.ts';

const skip = kernelSkipReason();
const namespace = `probe-${process.pid}`;
const inside = ['ip', 'netns', 'exec', namespace];

/** Runs a command in the test's network namespace, the default one of this file or another. */
function run(command: string, input = '', where: readonly string[] = inside): string {
  const [program = '', ...args] = [...where, ...command.split(' ')];
  return execFileSync(program, args, { input, encoding: 'utf8', maxBuffer: 256 * 1024 * 1024, stdio: 'pipe' });
}

/** The text that a rule set of 2,000 rules and more, as kube-proxy writes it, has before iptables-restore. */
function kubeRules(services: number): string {
  const chains = ['*nat', ':KUBE-SERVICES - [0:0]', ':KUBE-MARK-MASQ - [0:0]'];
  const rules = ['-A PREROUTING -j KUBE-SERVICES', '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000'];
  for (let index = 0; index < services; index += 1) {
    const name = (kind: string): string =>
      `KUBE-${kind}-${(index * 2_654_435_761).toString(36).toUpperCase().padStart(9, 'X')}`;
    const address = `10.96.${Math.floor(index / 250)}.${(index % 250) + 1}`;
    const backend = `10.244.${Math.floor(index / 250)}.${(index % 250) + 1}`;
    const comment = `-m comment --comment "ns-${index % 7}/svc-${index}:http"`;
    chains.push(`:${name('SVC')} - [0:0]`, `:${name('SEP')} - [0:0]`);
    rules.push(
      `-A KUBE-SERVICES -d ${address}/32 -p tcp ${comment} -m tcp --dport 80 -j ${name('SVC')}`,
      `-A ${name('SVC')} ! -s 10.244.0.0/16 -d ${address}/32 -p tcp ${comment} -m tcp --dport 80 -j KUBE-MARK-MASQ`,
      `-A ${name('SVC')} ${comment} -j ${name('SEP')}`,
      `-A ${name('SEP')} -s ${backend}/32 ${comment} -j KUBE-MARK-MASQ`,
      `-A ${name('SEP')} -p tcp ${comment} -m tcp -j DNAT --to-destination ${backend}:8080`,
    );
  }
  return `${[...chains, ...rules].join('\n')}\nCOMMIT\n`;
}

const NATIVE = `table inet guard {
  counter seen { }
  set banned { type ipv4_addr; flags timeout; elements = { 203.0.113.7 timeout 1h } }
  chain input {
    type filter hook input priority 10; policy drop;
    ct state established,related accept
    counter name seen
    ip saddr @banned drop
    tcp dport { 22, 443 } accept comment "the way in"
  }
}
`;

before(() => {
  if (skip !== false) return;
  execFileSync('ip', ['netns', 'add', namespace]);
  run(
    'iptables-nft-restore',
    '*filter\n:INPUT DROP [0:0]\n:DOCKER-USER - [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT\n-A DOCKER-USER -j RETURN\nCOMMIT\n',
  );
  run(
    'iptables-legacy-restore',
    '*mangle\n-A PREROUTING -s 10.0.0.0/8 -m comment --comment "old" -j MARK --set-mark 1\nCOMMIT\n',
  );
  run('nft -f -', NATIVE);
  run(
    'ipset restore',
    'create bans hash:ip timeout 600 counters\nadd bans 203.0.113.9\ncreate nets hash:net comment\nadd nets 198.51.100.0/24 comment "a b"\n',
  );
});

after(() => {
  if (skip === false) execFileSync('ip', ['netns', 'delete', namespace]);
});

/** Everything the probe must leave as it was. Times that run by themselves are not looked at. */
function state(): Record<string, string> {
  const still = (text: string): string =>
    text
      .replace(/^#.*$/gm, '')
      .replaceAll(/timeout [1-9]\d*/g, 'timeout T')
      .replaceAll(/"expires": \d+/g, '"expires": T');
  return {
    nftSave: still(run('iptables-nft-save -c')),
    nftSave6: still(run('ip6tables-nft-save -c')),
    legacySave: still(run('iptables-legacy-save -c')),
    legacySave6: still(run('ip6tables-legacy-save -c')),
    legacyTables: run('cat /proc/net/ip_tables_names'),
    legacyTables6: run('cat /proc/net/ip6_tables_names'),
    nft: still(run('nft --json list ruleset')),
    ipsets: still(run('ipset save')),
    modules: existsSync('/proc/modules') ? readFileSync('/proc/modules', 'utf8').replaceAll(/ \d+ /g, ' ') : '',
    moduleDirectories: readdirSync('/sys/module').sort().join(' '),
  };
}

test('the probe leaves rulesets, sets and modules as they were, and nft monitor sees nothing', { skip }, async () => {
  const earlier = state();
  const monitor = spawn('ip', [...inside.slice(1), 'nft', 'monitor'], { stdio: ['ignore', 'pipe', 'inherit'] });
  let seen = '';
  monitor.stdout.setEncoding('utf8').on('data', (text: string) => {
    seen += text;
  });
  /** Adds and deletes a table until the monitor shows it: it listens, and it has caught up. */
  const monitorShows = async (table: string): Promise<void> => {
    while (!seen.includes(`delete table ip ${table}`)) {
      run(`nft add table ip ${table}`);
      run(`nft delete table ip ${table}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  try {
    await monitorShows('marker_before');
    for (const shell of shells) {
      probeCapture({ through: inside, shell });
      probeSlice({ through: inside, shell, mode: 'stable' });
      probeSlice({ through: inside, shell, mode: 'full' });
    }
    await monitorShows('marker_after');
  } finally {
    monitor.kill();
    await once(monitor, 'close');
  }
  const events = seen.split('\n').filter((line) => line !== '' && !/marker_|^# new generation /.test(line));
  assert.deepEqual(events, []);
  assert.deepEqual(state(), earlier);
});

// Where strace is at hand, the system calls say it more strongly than any listing: nothing opened for writing, no file
// made or removed, no message to netfilter that is not a question, no program beside the known ones.
if (skip === false && isInstalled('strace')) {
  test('the probe opens nothing for writing but /dev/null and asks netfilter only questions', () => {
    const scratch = mkdtempSync(join(tmpdir(), 'nfi-strace-'));
    const log = join(scratch, 'log');
    const calls =
      'open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown,mknod,mknodat,utime,utimes,utimensat,setxattr,mount,umount2,init_module,finit_module,delete_module,sendto,sendmsg,setsockopt,execve';
    try {
      for (const shell of shells) {
        runProbe({ shell, through: [...inside, 'strace', '-f', '-qq', '-o', log, '-e', `trace=${calls}`] });
        const lines = readFileSync(log, 'utf8')
          .split('\n')
          .map((line) => line.replace(/^\d+ +/, ''))
          .filter((line) => line !== '' && !/^(?:<\.\.\. |---|\+\+\+)/.test(line));
        assert.ok(lines.length > 50, 'strace saw the probe');
        assert.deepEqual(
          lines.filter((line) => !isHarmless(line)),
          [],
          shell,
        );
        const programs = lines.flatMap(
          (line) => /^execve\("[^"]*\/([^"/]+)", \[(.*)\]/.exec(line)?.slice(1, 3).join(': ') ?? [],
        );
        assert.ok(
          programs.some((program) => program.includes('"nft", "--json", "list", "ruleset"')),
          programs.join('\n'),
        );
      }
    } finally {
      rmSync(scratch, { recursive: true });
    }
  });
}

function isHarmless(line: string): boolean {
  if (line.startsWith('execve(')) return true;
  if (/^open(?:at2?)?\(/.test(line)) {
    return !/O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND/.test(line) || /"\/dev\/(?:null|tty)"/.test(line);
  }
  if (line.startsWith('setsockopt(')) return /SOL_SOCKET|SOL_NETLINK/.test(line);
  if (/^send(?:to|msg)\(/.test(line)) {
    const types = [...line.matchAll(/nlmsg_type=([^,]+)/g)].map(([, type]) => type ?? '');
    // 0xa10 is NFT_MSG_GETGEN in a message too short for strace to name it.
    return (
      types.length > 0 &&
      types.every((type) =>
        /NFT_MSG_GET|0xa10 |IPSET_CMD_(?:PROTOCOL|SAVE|HEADER|TYPE|LIST)|COMPAT_GET|RTM_GET/.test(type),
      )
    );
  }
  return false;
}

test('a host with three frameworks is captured whole, each ruleset as its tool prints it', { skip }, () => {
  const { capture, contents } = probeCapture({ through: inside, mode: 'full' });
  const undated = (text: string): string => text.replace(/^# (?:Generated|Completed) .*$/gm, '');
  const unexpiring = (text: string): string => text.replaceAll(/"expires": \d+/g, '').replaceAll(/timeout \d+/g, '');
  const { sources } = contents;
  assert.equal(capture.withCounters, true);
  const isNftDefault = sources.ipv4.backend === 'nft';
  const [nftRules, legacyRules] = isNftDefault ? [sources.ipv4, sources.ipv4_legacy] : [sources.ipv4_nft, sources.ipv4];
  assert.equal(
    undated(nftRules?.text ?? ''),
    undated(run('iptables-nft-save -c')).replace(/iptables-nft-save/g, 'iptables-save'),
  );
  assert.equal(undated(legacyRules?.text ?? ''), undated(run('iptables-legacy-save -c')));
  assert.equal(unexpiring(sources.nft.text), unexpiring(run('nft --json list ruleset')));
  assert.equal(unexpiring(sources.ipsets.text), unexpiring(run('ipset save')));
  assert.deepEqual(contents.coverage, { state: 'complete', reasons: [] });
  assert.deepEqual(contents.legacyTables.ipv4, ['mangle']);

  const evidence = frameworkEvidence(contents);
  assert.deepEqual(evidence.legacyTables, ['ip/mangle']);
  assert.deepEqual(evidence.iptablesNftTables, ['ip/filter']);
  assert.deepEqual(evidence.nativeNftTables, ['inet/guard']);
  const verdict = detectFramework(evidence);
  assert.equal(verdict.framework, 'mixed');
  assert.equal(verdict.confidence, 'high');
});

test('two stable captures are equal while counters and remaining times move', { skip }, async () => {
  run('ip link set lo up');
  const one = probeSlice({ through: inside, mode: 'stable' });
  run('bash -c echo>/dev/udp/127.0.0.1/9');
  await new Promise((resolve) => setTimeout(resolve, 1100));
  const two = probeSlice({ through: inside, mode: 'stable' });
  assert.equal(two.payloadSha256, one.payloadSha256);
});

for (const [backend, services] of [
  ['legacy', 400],
  ['nft', 60],
] as const) {
  test(`${services * 5} rules of iptables-${backend} come in slices, and a rule added between two of them is seen`, {
    skip,
  }, () => {
    const other = `${namespace}-${backend}`;
    const where = ['ip', 'netns', 'exec', other];
    execFileSync('ip', ['netns', 'add', other]);
    try {
      run(`iptables-${backend}-restore`, kubeRules(services), where);
      const nonce = 'f'.repeat(64);
      const output = runProbe({ through: where, nonce });
      assert.ok(output.length > 3600 && output.length <= 3800, `${output.length} bytes`);
      const { capture, contents, slices } = probeCapture({ through: where });
      assert.equal(capture.withCounters, false);
      assert.ok(slices.length > 3, `${slices.length} slices`);
      assert.ok(slices.every(({ withCounters, payloadSha256 }) => !withCounters && payloadSha256 === capture.sha256));
      const sources = Object.values(contents.sources).filter((source) => source.backend === backend);
      const rules = sources
        .map(({ text }) => text)
        .join('')
        .split('\n')
        .filter((line) => line.startsWith('-A '));
      const printed = run(`iptables-${backend}-save`, '', where)
        .split('\n')
        .filter((line) => line.startsWith('-A '));
      assert.deepEqual(rules, printed);
      assert.ok(rules.length > services * 5);

      run(`iptables-${backend} -t nat -I PREROUTING -s 192.0.2.66 -j ACCEPT`, '', where);
      const late = probeSlice({ through: where, mode: 'stable', slice: 3 });
      const mixed = assembleCapture(
        slices.map((slice) => (slice.slice === 3 ? late : slice)),
        gunzip,
      );
      assert.ok(!mixed.ok && mixed.code === 'PROBE_CHANGED_BETWEEN_SLICES');
      const again = probeCapture({ through: where });
      assert.notEqual(again.capture.sha256, capture.sha256);
    } finally {
      execFileSync('ip', ['netns', 'delete', other]);
    }
  });
}
