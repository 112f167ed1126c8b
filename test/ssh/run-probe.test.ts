import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { assembleCapture } from '../../src/core/capture/assemble.ts';
import { buildProbeScript } from '../../src/core/capture/probe-script.ts';
import { decodeSlice } from '../../src/core/capture/slice.ts';
import { OperationError } from '../../src/core/errors.ts';
import { type HostFirewall, readHostFirewall } from '../../src/core/host-firewall.ts';
import { diffRulesets, isEmptyDiff, printIptablesSave, printRule } from '../../src/core/iptables/index.ts';
import { OUTPUT_BYTES_MAX, type ProbeOverSshOptions, runProbeOverSsh } from '../../src/ssh/run-probe.ts';
import type { SshHop, SshTarget } from '../../src/ssh/target.ts';
import { gunzip, newNonce, probeText } from '../probe/probe-runs.ts';
import { kernelSkipReason } from '../support/environment.ts';
import { type Server, SshNetwork } from './ssh-network.ts';

const TOOLS = 'ip iptables nft sshd ssh ssh-keygen sudo unshare nsenter chroot strace getent';
const skip = kernelSkipReason(TOOLS.split(' ')) || overlaySkipReason();
const DEADLINE_MS = 60_000;

let network: SshNetwork;
let direct: Server;
let bastion: Server;
let target: Server;

before(async () => {
  if (skip !== false) return;
  network = new SshNetwork();
  network.wire();
  // The login file of a user who likes to be greeted.
  const prepare = "echo 'echo Welcome to $HOSTNAME; echo be careful >&2' >$root/home/inspector/.bashrc";
  const users = { root: 'admin', inspector: 'admin', plain: 'admin', closed: 'admin' };
  direct = await network.serve({ namespace: 'direct', port: 22, authorized: users, prepare });
  bastion = await network.serve({ namespace: 'bastion', port: 2200, authorized: { jump: 'hop' } });
  target = await network.serve({
    namespace: 'target',
    port: 2022,
    authorized: { root: 'admin', inspector: 'admin', plain: 'admin' },
    prepare: "printf 'Defaults:plain requiretty\\nplain ALL=(root) NOPASSWD: ALL\\n' >$root/etc/sudoers.d/plain",
  });
  knowAll();
});

after(async () => {
  if (skip === false) await network.close();
});

function overlaySkipReason(): string | false {
  const place = mkdtempSync(join(tmpdir(), 'nfi-overlay-'));
  const script = `cd ${place}; mount -t tmpfs tmpfs .; cd ${place}; mkdir u w m; mount -t overlay overlay -o lowerdir=/,upperdir=u,workdir=w m`;
  const made = spawnSync('unshare', ['--mount', '--propagation', 'private', 'sh', '-ec', script]).status === 0;
  rmdirSync(place);
  if (!made && process.env['REQUIRE_KERNEL'] === '1')
    throw new Error('REQUIRE_KERNEL=1, but no overlay can be mounted');
  return made ? false : 'no overlay can be mounted here';
}

function knowAll(): void {
  network.knownHosts({
    '10.201.1.2,fd10::2': direct.hostKey,
    '[10.201.2.2]:2200': bastion.hostKey,
    '[10.201.3.2]:2022,[fd30::2]:2022': target.hostKey,
  });
}

const asRoot = (): SshHop => ({ host: '10.201.1.2', user: 'root', identityFile: network.key('admin') });
const hop = (): SshHop => ({ host: '10.201.2.2', port: 2200, user: 'jump', identityFile: network.key('hop') });
const behind = (): SshTarget => ({
  host: '10.201.3.2',
  port: 2022,
  user: 'inspector',
  identityFile: network.key('admin'),
  bastion: hop(),
});

/** A whole capture, as a command takes it. */
async function capture(
  to: SshTarget,
  onProgress?: (what: string) => void,
): Promise<HostFirewall & { stderrTail: string }> {
  const nonce = newNonce();
  const script = buildProbeScript(probeText, { nonce, slice: 1, mode: 'full' });
  const { stdout, stderrTail } = await runProbeOverSsh(to, script, {
    deadlineMs: DEADLINE_MS,
    env: network.env,
    onProgress,
  });
  const decoded = decodeSlice(stdout, { nonce, slice: 1 });
  assert.ok(decoded.ok, JSON.stringify(decoded));
  const assembled = assembleCapture([decoded.slice], gunzip);
  assert.ok(assembled.ok);
  return { ...readHostFirewall(assembled.capture.payload), stderrTail };
}

async function failure(
  to: SshTarget,
  options: Partial<ProbeOverSshOptions> = {},
  script: readonly string[] = ['id -u'],
): Promise<OperationError> {
  const run = runProbeOverSsh(to, script, { deadlineMs: DEADLINE_MS, env: network.env, ...options });
  const error = await run.then(
    ({ stdout }) => assert.fail(`it succeeded: ${stdout.slice(0, 200)}`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof OperationError, String(error));
  assert.doesNotMatch(error.message, /PRIVATE KEY|b3BlbnNzaC1rZXk/);
  return error;
}

function ipv4(firewall: HostFirewall) {
  const source = firewall.iptables.find(({ key }) => key === 'ipv4');
  assert.ok(source !== undefined, `no ipv4 in ${firewall.iptables.map(({ key }) => key).join(' ')}`);
  return source.ruleset;
}

function changedRules({ chains }: ReturnType<typeof diffRulesets>): string {
  const changes = chains.flatMap(({ changes: each }) => each);
  return changes.map((change) => `${change.kind} ${'rule' in change ? printRule(change.rule) : ''}`).join('\n');
}

test('a host is captured as root, and a real rule change is seen by the next probe', { skip }, async () => {
  network.run('direct', 'iptables -A INPUT -p tcp --dport 80 -j ACCEPT');
  const progress: string[] = [];
  const earlier = await capture(asRoot(), (what) => progress.push(what));
  network.run('direct', 'iptables -I INPUT -s 192.0.2.66 -j DROP');
  const later = await capture(asRoot());
  assert.deepEqual(earlier.coverage, { state: 'complete', reasons: [] });
  const diff = diffRulesets(ipv4(earlier), ipv4(later));
  assert.equal(isEmptyDiff(diff), false);
  assert.match(changedRules(diff), /^added -A INPUT -s 192\.0\.2\.66\/32 -j DROP$/);
  assert.equal(isEmptyDiff(diffRulesets(ipv4(later), ipv4(await capture(asRoot())))), true);
  assert.deepEqual(progress.slice(0, 2), ['connecting to root@10.201.1.2', 'the probe answers']);
  assert.match(progress[2] ?? '', /^received \d+ bytes$/);
});

test('a user with sudo sees what root sees, past the greeting of the login files', { skip }, async () => {
  const seen = await capture({ ...asRoot(), user: 'inspector' });
  assert.equal(isEmptyDiff(diffRulesets(ipv4(await capture(asRoot())), ipv4(seen))), true);
  assert.equal(seen.stderrTail.trim(), 'be careful');
});

test('a target that only the bastion reaches is captured through it, with another key, user and port', {
  skip,
}, async () => {
  const { bastion: _, ...alone } = behind();
  assert.equal((await failure(alone)).code, 'SSH_NO_ROUTE');
  network.run('target', 'iptables -A INPUT -p tcp --dport 8443 -j ACCEPT');
  const earlier = await capture(behind());
  network.run('target', 'iptables -A INPUT -s 198.51.100.0/24 -j ACCEPT');
  const later = await capture(behind());
  const rules = changedRules(diffRulesets(ipv4(earlier), ipv4(later)));
  assert.match(rules, /^added -A INPUT -s 198\.51\.100\.0\/24 -j ACCEPT$/);
  assert.match(printIptablesSave(ipv4(later)), /8443/);
  assert.doesNotMatch(printIptablesSave(ipv4(await capture(asRoot()))), /8443/);
});

test('IPv6 addresses are reached with brackets and without, directly and through the bastion', { skip }, async () => {
  await capture({ ...asRoot(), host: 'fd10::2' });
  await capture({ ...asRoot(), host: '[fd10::2]', port: 22 });
  await capture({ ...behind(), host: 'fd30::2' });
  network.knownHosts({ '[fd20::2]:2200': bastion.hostKey, '[fd30::2]:2022': target.hostKey });
  await capture({ ...behind(), host: '[fd30::2]', bastion: { ...hop(), host: '[fd20::2]' } });
  knowAll();
});

test('a key whose name is a command is a key, for the target and for the bastion', { skip }, async () => {
  const odd = (name: string, key: string): string => {
    const path = join(network.home, name);
    copyFileSync(network.key(key), path);
    chmodSync(path, 0o600);
    return path;
  };
  const name = 'it\'s $(touch pwned); `touch pwned` "\\ ';
  const to = {
    ...behind(),
    identityFile: odd(`${name}1`, 'admin'),
    bastion: { ...hop(), identityFile: odd(`${name}2`, 'hop') },
  };
  await capture(to);
  assert.deepEqual(
    readdirSync(network.home).filter((file) => file.includes('pwned') && !file.startsWith("it's")),
    [],
  );
});

test("the user's own ssh config is honoured, and cannot loosen what keeps the run safe", { skip }, async () => {
  network.clientConfig(`
Host web
  HostName 10.201.3.2
  Port 2022
  User inspector
  IdentityFile ${network.key('admin')}
  ProxyJump way
Host way jump
  HostName 10.201.2.2
  Port 2200
  User jump
  IdentityFile ${network.key('hop')}
Host * !way
  RequestTTY force
  RemoteCommand cat
  PermitLocalCommand yes
  LocalCommand touch ${network.home}/pwned
  ForwardAgent yes
  LocalForward 2999 localhost:22
  StrictHostKeyChecking no
  LogLevel QUIET
  EscapeChar ~
`);
  try {
    // The ssh that ProxyJump starts for "way" is the user's own affair, and not asked for here.
    await capture({ host: 'web' });
    await capture({ host: 'web', bastion: { host: 'jump' } });
    network.knownHosts({});
    assert.equal((await failure(asRoot())).code, 'SSH_HOST_KEY_UNKNOWN');
    assert.equal(readFileSync(join(network.home, '.ssh', 'known_hosts'), 'utf8'), '');
    assert.equal(readdirSync(network.home).includes('pwned'), false);
  } finally {
    network.clientConfig('');
    knowAll();
  }
});

test('a connection that the user keeps open is used, and outlives the run without holding it up', {
  skip,
}, async () => {
  network.clientConfig(`
Host 10.201.1.2
  ControlMaster auto
  ControlPath ${network.home}/control-%r
  ControlPersist 60
`);
  try {
    await capture(asRoot());
    // Nothing else would let this key in.
    await capture({ ...asRoot(), identityFile: network.key('stranger') });
  } finally {
    const args = ['-o', `ControlPath=${network.home}/control-root`, '-O', 'exit', '10.201.1.2'];
    spawnSync('ssh', args, { env: network.env });
    network.clientConfig('');
  }
  assert.equal((await failure({ ...asRoot(), identityFile: network.key('stranger') })).code, 'SSH_KEY_REFUSED');
});

test('an unknown, a changed and a revoked host key are refused, each with its next step', { skip }, async () => {
  network.knownHosts({});
  const unknown = await failure(asRoot());
  assert.equal(unknown.code, 'SSH_HOST_KEY_UNKNOWN');
  assert.match(
    unknown.message,
    /^SSH_HOST_KEY_UNKNOWN: root@10\.201\.1\.2: no ED25519 key .*: ssh -i \S+ -l root 10\.201\.1\.2$/,
  );
  network.knownHosts({ '10.201.1.2': target.hostKey });
  const changed = await failure(asRoot());
  assert.equal(changed.code, 'SSH_HOST_KEY_CHANGED');
  assert.match(changed.nextStep, /ssh-keygen -R '10\.201\.1\.2'/);
  network.knownHosts({ '@revoked *': direct.hostKey, '10.201.1.2': direct.hostKey });
  assert.equal((await failure(asRoot())).code, 'SSH_HOST_KEY_CHANGED');
  network.knownHosts({ '[10.201.2.2]:2200': bastion.hostKey });
  const far = await failure(behind());
  assert.equal(far.code, 'SSH_HOST_KEY_UNKNOWN');
  assert.match(far.subject, /^inspector@10\.201\.3\.2:2022$/);
  assert.match(far.nextStep, /ProxyCommand=ssh -p 2200 .* 10\.201\.2\.2/);
  knowAll();
});

test('a key that the host does not take is refused', { skip }, async () => {
  const error = await failure({ ...asRoot(), identityFile: network.key('stranger') });
  assert.equal(error.code, 'SSH_KEY_REFUSED');
  assert.match(error.message, /accepts no key of this user; it offers publickey; .*authorized_keys/);
  assert.equal((await failure({ ...asRoot(), user: 'nobody-there' })).code, 'SSH_KEY_REFUSED');
});

test('a key file that ssh cannot use is told from a key that is refused', { skip }, async () => {
  const open = join(network.home, 'open');
  copyFileSync(network.key('admin'), open);
  chmodSync(open, 0o644);
  const tooOpen = await failure({ ...asRoot(), identityFile: open });
  assert.equal(tooOpen.code, 'SSH_KEY_FILE');
  assert.match(tooOpen.message, /can be read by others \(mode 0644\).*chmod 600/);
  const garbage = join(network.home, 'garbage');
  writeFileSync(garbage, 'not a key\n', { mode: 0o600 });
  assert.equal((await failure({ ...asRoot(), identityFile: garbage })).code, 'SSH_KEY_FILE');
  assert.equal((await failure({ ...asRoot(), identityFile: join(network.home, 'missing') })).code, 'SSH_KEY_FILE');
  const locked = join(network.home, 'locked');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'a passphrase', '-f', locked]);
  const passphrase = await failure({ ...asRoot(), identityFile: locked });
  assert.match(passphrase.code, /^SSH_KEY_(REFUSED|FILE)$/);
  assert.match(passphrase.nextStep, /ssh-add/);
  // ssh loads a key only once the server has said that it would take it.
  copyFileSync(network.key('hop'), open);
  chmodSync(open, 0o644);
  const bad = await failure({ ...behind(), bastion: { ...hop(), identityFile: open } });
  assert.match(bad.message, /^SSH_BASTION_REFUSED: bastion jump@10\.201\.2\.2:2200: SSH_KEY_FILE: /);
});

test('a user who may not become root is told so, and so is one on a host without sudo', { skip }, async () => {
  const plain = await failure({ ...asRoot(), user: 'plain' });
  assert.equal(plain.code, 'SSH_NO_SUDO');
  assert.match(plain.message, /user plain may not become root: sudo: /);
  const terminal = await failure({ ...behind(), user: 'plain' });
  assert.match(terminal.message, /^SSH_NO_SUDO: .*you must have a tty to run sudo/);
  const bare = await network.serve({
    namespace: 'direct',
    port: 2023,
    authorized: { inspector: 'admin', root: 'admin' },
    prepare: 'rm -f $root/usr/bin/sudo $root/bin/sudo',
  });
  network.knownHosts({ '[10.201.1.2]:2023': bare.hostKey });
  const none = await failure({ ...asRoot(), user: 'inspector', port: 2023 });
  assert.match(none.message, /^SSH_NO_SUDO: .*user inspector is not root, and there is no sudo/);
  await capture({ ...asRoot(), port: 2023 });
  await bare.stop();
  knowAll();
});

test('a login that may run nothing is an error with its last words', { skip }, async () => {
  const error = await failure({ ...asRoot(), user: 'closed' });
  assert.equal(error.code, 'SSH_REMOTE_FAILED');
  assert.match(error.what, /ended with status 1: This account is currently not available/);
});

test('no address, no route and a closed port are one code, each with its reason', { skip }, async () => {
  const name = await failure({ ...asRoot(), host: 'nowhere.invalid' });
  const route = await failure({ ...asRoot(), host: '10.250.0.1' });
  const port = await failure({ ...asRoot(), port: 9 });
  assert.deepEqual([name.code, route.code, port.code], Array(3).fill('SSH_NO_ROUTE'));
  assert.match(name.what, /its name has no address/);
  assert.match(route.what, /Network is unreachable/);
  assert.match(port.what, /Connection refused/);
});

test('a firewall that drops the connection is a time-out, at each of the three ways in', { skip }, async () => {
  for (const namespace of ['direct', 'bastion', 'target'])
    network.run(namespace, 'iptables -A INPUT -p tcp --dport 555 -j DROP');
  const options = { deadlineMs: 9_000 };
  const [near, way, far] = await Promise.all([
    failure({ ...asRoot(), port: 555 }, options),
    failure({ ...behind(), bastion: { ...hop(), port: 555 } }, options),
    failure({ ...behind(), port: 555 }, options),
  ]);
  assert.equal(near.code, 'SSH_TIMED_OUT');
  assert.match(near.nextStep, /network security group drop the way to port 555/);
  assert.match(way.message, /^SSH_BASTION_REFUSED: bastion jump@10\.201\.2\.2:555: SSH_TIMED_OUT: /);
  assert.equal(far.code, 'SSH_TIMED_OUT');
  assert.match(far.subject, /10\.201\.3\.2:555/);
});

test('what fails at the bastion names the bastion, and what fails behind it names the target', { skip }, async () => {
  const refused = await failure({ ...behind(), bastion: { ...hop(), identityFile: network.key('stranger') } });
  assert.match(refused.message, /^SSH_BASTION_REFUSED: bastion jump@10\.201\.2\.2:2200: SSH_KEY_REFUSED: /);
  assert.equal((refused.cause as OperationError).code, 'SSH_KEY_REFUSED');
  const closed = await failure({ ...behind(), bastion: { ...hop(), port: 9 } });
  assert.match(closed.message, /^SSH_BASTION_REFUSED: .*: SSH_NO_ROUTE: it cannot be reached: Connection refused/);
  const unnamed = await failure({ ...behind(), bastion: { ...hop(), host: 'nowhere.invalid' } });
  assert.match(unnamed.message, /^SSH_BASTION_REFUSED: .*: SSH_NO_ROUTE: its name has no address/);

  const port = await failure({ ...behind(), port: 9 });
  assert.match(
    port.message,
    /^SSH_NO_ROUTE: inspector@10\.201\.3\.2:9: the bastion jump@\S+ cannot reach it: Connection refused/,
  );
  const name = await failure({ ...behind(), host: 'nowhere.invalid' });
  assert.match(name.message, /^SSH_NO_ROUTE: inspector@nowhere\.invalid:2022: the bastion /);
  const key = await failure({ ...behind(), identityFile: network.key('stranger') });
  assert.match(key.message, /^SSH_KEY_REFUSED: inspector@10\.201\.3\.2:2022: /);

  network.knownHosts({ '[10.201.2.2]:2200': direct.hostKey, '[10.201.3.2]:2022': target.hostKey });
  assert.match((await failure(behind())).message, /^SSH_BASTION_REFUSED: .*: SSH_HOST_KEY_CHANGED: /);
  network.knownHosts({ '[10.201.3.2]:2022': target.hostKey });
  assert.match((await failure(behind())).message, /^SSH_BASTION_REFUSED: .*: SSH_HOST_KEY_UNKNOWN: /);

  const strict = await network.serve({
    namespace: 'bastion',
    port: 2201,
    authorized: { jump: 'hop' },
    config: 'AllowTcpForwarding no',
  });
  network.knownHosts({ '[10.201.2.2]:2201': strict.hostKey });
  const forwarding = await failure({ ...behind(), bastion: { ...hop(), port: 2201 } });
  assert.match(
    forwarding.message,
    /^SSH_BASTION_REFUSED: .*: it does not forward to inspector@10\.201\.3\.2:2022: .*allow TCP forwarding/,
  );
  await strict.stop();
  knowAll();
});

test('a connection that is cut in the middle is no capture', { skip }, async () => {
  // The shell's parent is the server's process for this connection.
  const error = await failure(asRoot(), {}, ['echo begun', 'kill -9 $PPID', 'sleep 5']);
  assert.equal(error.code, 'SSH_DISCONNECTED');
  assert.equal(error.retryable, true);
});

/** Processes of this machine that were started with a key of this network: ssh, and what it runs. */
function sshProcesses(): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return line.includes(join(network.home, '.ssh')) && line.includes('BatchMode') ? [line] : [];
      } catch {
        return [];
      }
    });
}

test('at the deadline, and when it is aborted, ssh and the ssh of the bastion are gone', { skip }, async () => {
  // Its output breaks once the connection is gone, which ends it there.
  const endless = ['while sleep 0.1; do echo waiting; done'];
  const late = await failure(behind(), { deadlineMs: 6_000 }, endless);
  assert.match(
    late.message,
    /^SSH_TIMED_OUT: inspector@10\.201\.3\.2:2022: the time allowed, 6 s, ran out while its output came in/,
  );
  assert.deepEqual(sshProcesses(), []);

  const stop = new AbortController();
  let during: string[] = [];
  const aborted = await failure(
    behind(),
    {
      signal: stop.signal,
      onProgress(what) {
        if (what !== 'the probe answers') return;
        during = sshProcesses();
        stop.abort();
      },
    },
    endless,
  );
  assert.equal(aborted.code, 'SSH_ABORTED');
  assert.ok(during.length >= 2, during.join('\n'));
  assert.deepEqual(sshProcesses(), []);
  assert.equal((await failure(asRoot(), { signal: AbortSignal.abort() })).code, 'SSH_ABORTED');
});

test('more output than any probe has is cut off', { skip }, async () => {
  const error = await failure(asRoot(), {}, [`head -c ${OUTPUT_BYTES_MAX + 1_000_000} /dev/zero`]);
  assert.equal(error.code, 'SSH_OUTPUT_TOO_LARGE');
  const { stdout } = await runProbeOverSsh(asRoot(), ['head -c 20000000 /dev/zero'], {
    deadlineMs: DEADLINE_MS,
    env: network.env,
  });
  assert.equal(stdout.length, 20_000_000);
});

test('what ssh says in words that are not known here is passed on, and how to see more is said', { skip }, async () => {
  network.clientConfig('NoSuchOption yes\n');
  const option = await failure(asRoot());
  network.clientConfig('KexAlgorithms diffie-hellman-group1-sha1\n');
  const mute = await failure(asRoot());
  const way = await failure(behind());
  network.clientConfig('');
  assert.deepEqual([option.code, option.retryable], ['SSH_FAILED', false]);
  assert.match(
    option.what,
    /^ssh does not take its own configuration: \S+config: line 1: Bad configuration option: nosuchoption$/,
  );
  // At LogLevel ERROR ssh says nothing of the algorithms it missed: it is asked twice.
  assert.match(
    mute.message,
    /^SSH_FAILED: root@10\.201\.1\.2: it and the ssh here have no algorithm in common: no matching key exchange method .*; update its sshd; /,
  );
  assert.match(way.message, /^SSH_BASTION_REFUSED: .*: SSH_FAILED: it and the ssh here have no algorithm in common: /);
  assert.equal((way.cause as OperationError).code, 'SSH_FAILED');
});

test('a login with a restricted shell, or one that reads what is meant for the probe, is an error', {
  skip,
}, async () => {
  const odd = await network.serve({
    namespace: 'direct',
    port: 2024,
    authorized: { inspector: 'admin', plain: 'admin' },
    prepare:
      "sed -i 's|^\\(plain:.*\\):/bin/sh$|\\1:/bin/rbash|' $root/etc/passwd; echo 'cat >/dev/null' >$root/home/inspector/.bashrc",
  });
  network.knownHosts({ '[10.201.1.2]:2024': odd.hostKey });
  const restricted = await failure({ ...asRoot(), user: 'plain', port: 2024 });
  assert.equal(restricted.code, 'SSH_REMOTE_FAILED');
  assert.match(restricted.what, /restricted/);
  const nonce = newNonce();
  const script = buildProbeScript(probeText, { nonce, slice: 1, mode: 'full' });
  const { stdout } = await runProbeOverSsh({ ...asRoot(), user: 'inspector', port: 2024 }, script, {
    deadlineMs: DEADLINE_MS,
    env: network.env,
  });
  const eaten = decodeSlice(stdout, { nonce, slice: 1 });
  assert.deepEqual([eaten.ok, eaten.ok || eaten.code], [false, 'PROBE_EMPTY']);
  await odd.stop();
  knowAll();
});

test('a connection that is cut without a word is looked at once more', { skip }, async () => {
  // The way there lets the server's identification through and ends, as often as there are files to take away.
  const cuts = (count: number): void => {
    for (let cut = 1; cut <= count; cut += 1) writeFileSync(join(network.home, `cut-${cut}`), '');
  };
  const way = join(network.home, 'way.sh');
  writeFileSync(
    way,
    `for cut in ${network.home}/cut-*; do
  [ -e "$cut" ] && rm "$cut" && printf 'SSH-2.0-OpenSSH_9.2p1\\r\\n' && head -c 600 >/dev/null && exit
done
exec 3<>/dev/tcp/10.201.1.2/22
cat <&3 & cat >&3
`,
  );
  network.clientConfig(`ProxyCommand bash ${way}\n`);
  cuts(2);
  const always = await failure(asRoot());
  cuts(1);
  const once = await failure(asRoot());
  await capture(asRoot());
  network.clientConfig('');
  assert.deepEqual([always.code, always.retryable, always.what], ['SSH_DISCONNECTED', true, 'the connection ended']);
  assert.deepEqual([once.code, once.retryable], ['SSH_DISCONNECTED', true]);
  assert.equal(once.what, 'the connection ended without a word; a second one stood');
});

test('where there is no ssh, that is said', { skip }, async () => {
  const empty = join(network.home, 'empty');
  mkdirSync(empty);
  const error = await failure(asRoot(), { env: { PATH: empty } });
  assert.match(error.message, /^SSH_NOT_INSTALLED: ssh: the program cannot be started: ENOENT; install OpenSSH/);
});

// The server's root is an overlay, and its upper layer holds whatever was written since it was mounted: files, folders,
// modes, times, and the traces of files that are gone again, in the times of their folders.
test('nothing at all is written on the file systems of target and bastion', { skip }, async () => {
  for (const [to, servers] of [
    [{ ...asRoot(), user: 'inspector' }, [direct]],
    [asRoot(), [direct]],
    [behind(), [bastion, target]],
  ] as const) {
    const earlier = servers.map((server) => server.written());
    await capture(to);
    assert.deepEqual(
      servers.map((server) => server.written()),
      earlier,
    );
  }
  const clean = target.written();
  target.shell('touch $root/tmp/x; rm $root/tmp/x');
  assert.notDeepEqual(target.written(), clean);
});

const WRITING =
  'open,openat,openat2,creat,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,symlink,symlinkat,truncate,ftruncate,chmod,fchmod,fchmodat,chown,fchown,fchownat,lchown,mknod,mknodat,utime,utimes,utimensat,setxattr,mount,umount2,init_module,finit_module,delete_module,execve';

test('the system calls of the server and all its children open nothing for writing, sshd and sudo included', {
  skip,
}, async () => {
  const log = join(network.scratch, 'strace.log');
  for (const user of ['root', 'inspector']) {
    const strace = spawn('strace', ['-f', '-qq', '-p', `${direct.pid}`, '-o', log, '-e', `trace=${WRITING}`], {
      stdio: 'ignore',
    });
    while (!/^TracerPid:\s+[1-9]/m.test(readFileSync(`/proc/${direct.pid}/status`, 'utf8'))) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    await capture({ ...asRoot(), user });
    strace.kill('SIGINT');
    await once(strace, 'exit');
    const lines = readFileSync(log, 'utf8')
      .split('\n')
      .map((line) => line.replace(/^\d+ +/, ''))
      .filter((line) => line !== '' && !/^(?:<\.\.\. |---|\+\+\+)/.test(line));
    const programs = lines.flatMap(
      (line) => /^execve\("[^"]*\/([^"/]+)", \[(.*)\]/.exec(line)?.slice(1, 3).join(': ') ?? [],
    );
    assert.ok(
      programs.some((program) => program.includes('"nft", "--json", "list", "ruleset"')),
      programs.join('\n'),
    );
    assert.equal(
      programs.some((program) => program.startsWith('sudo: "sudo", "-n", "sh", "-s"')),
      user === 'inspector',
    );
    assert.deepEqual(
      lines.filter((line) => !isHarmless(line)),
      [],
      user,
    );
  }
});

/**
 * Beside /dev/null, sshd sets the out-of-memory score of its child, and it, bash and sudo ask for a terminal that is not
 * there. None of it is on a disk.
 */
function isHarmless(line: string): boolean {
  if (line.startsWith('execve(')) return true;
  if (!/^open(?:at2?)?\(/.test(line)) return false;
  if (!/O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND/.test(line)) return true;
  return /"\/dev\/(?:null|tty)"|"\/proc\/self\/oom_score_adj"/.test(line);
}
