import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { OperationError } from '../../src/core/errors.ts';
import { buildSshArguments, REMOTE_COMMAND } from '../../src/ssh/arguments.ts';
import { runProbeOverSsh } from '../../src/ssh/run-probe.ts';
import { type CheckedTarget, checkTarget, type SshHop, type SshTarget } from '../../src/ssh/target.ts';
import { kernelSkipReason } from '../support/environment.ts';

const skip = kernelSkipReason(['ssh']);
const limits = { connectSeconds: 15, bastionTag: 'bastion0123' };
const scratch = mkdtempSync(join(tmpdir(), 'nfi-ssh-arguments-'));
after(() => rmSync(scratch, { recursive: true }));

const OPTIONS = new Set([
  'BatchMode=yes',
  'StrictHostKeyChecking=yes',
  'UpdateHostKeys=no',
  'ConnectionAttempts=1',
  'ServerAliveInterval=15',
  'ServerAliveCountMax=3',
  'ForwardAgent=no',
  'ForwardX11=no',
  'ClearAllForwardings=yes',
  'Tunnel=no',
  'PermitLocalCommand=no',
  'RequestTTY=no',
  'EscapeChar=none',
  'LogLevel=ERROR',
  'LogLevel=INFO',
  'RemoteCommand=none',
  'IdentitiesOnly=yes',
]);

/** Reads arguments as ssh's getopt does, and refuses whatever this program has no reason to say. */
function readArguments(args: readonly string[]): { hop: SshHop; proxyCommand: string | null; rest: string[] } {
  const hop: { host: string; port?: number; user?: string; identityFile?: string } = { host: '' };
  let proxyCommand: string | null = null;
  let at = 0;
  for (; args[at] !== '--'; at += 2) {
    const [option = '', value = ''] = args.slice(at, at + 2);
    if (option === '-p') hop.port = Number(value);
    else if (option === '-l') hop.user = value;
    else if (option === '-i') hop.identityFile = value;
    else if (option === '-W') assert.equal(value, '[target]:22');
    else if (option === '-o' && value.startsWith('ProxyCommand=')) proxyCommand = value.slice('ProxyCommand='.length);
    else assert.ok(option === '-o' && (OPTIONS.has(value) || /^ConnectTimeout=\d+$/.test(value)), `${option} ${value}`);
  }
  const [, host = '', ...rest] = args.slice(at);
  hop.host = host;
  return { hop, proxyCommand, rest };
}

function assertHarmless({ host, port, user, identityFile }: SshHop): void {
  assert.match(host, /^[A-Za-z0-9_:][A-Za-z0-9_.:%-]*$/);
  if (port !== undefined) assert.ok(Number.isInteger(port) && port > 0 && port < 65_536);
  if (user !== undefined) assert.match(user, /^[A-Za-z0-9_][A-Za-z0-9_.@+-]*$/);
  if (identityFile !== undefined)
    assert.ok(identityFile.startsWith('/') && !/[\u0000-\u001f%]|\$\{/.test(identityFile));
}

/** What ssh makes of a ProxyCommand before a shell sees it; anything but these three is an error there. */
function percentExpand(text: string): string {
  return text.replace(/%(.?)/g, (_, letter: string) => {
    if (letter === '%') return '%';
    if (letter === 'h') return 'target';
    assert.equal(letter, 'p');
    return '22';
  });
}

/** The words of each command line, as a real shell splits them; nothing can be run while it does. */
function wordsByShell(lines: readonly string[]): string[][] {
  const script = ["sh() { printf '%s\\000' \"$@\"; printf '\\001\\000'; }", ...lines].join('\n');
  const result = spawnSync('/bin/sh', ['-s'], { input: script, env: { PATH: '/nonexistent' }, maxBuffer: 1e9 });
  assert.equal(result.stderr.toString(), '');
  assert.equal(result.status, 0);
  const answers = result.stdout.toString().split('\u0001\u0000');
  assert.equal(answers.pop(), '');
  return answers.map((answer) => answer.split('\u0000').slice(0, -1));
}

const EVIL = [
  '-oProxyCommand=touch pwned',
  '-F/etc/passwd',
  '--',
  '-',
  '$(touch pwned)',
  '`touch pwned`',
  '; touch pwned',
  '| touch pwned',
  '& touch pwned',
  '\ntouch pwned\n',
  "' touch pwned '",
  '" touch pwned "',
  '\\',
  '%h',
  '%%',
  '%',
  '\u0024{HOME}',
  '$HOME',
  '~',
  '*',
  '?',
  '#',
  '!',
  '<',
  '>',
  '(',
  ')',
  '{a,b}',
  '\u0000',
  '\u001b[2J',
  '\u202e',
  'ssh://',
  '@',
  ' ',
  '[',
  ']',
  '=',
];

const GOOD_HOSTS = [
  'web-01',
  'db.example.com',
  '10.0.0.4',
  'fd00::4',
  '[fd00::4]',
  'fe80::1%eth0',
  '_srv.example.',
  'a',
];
const evil = fc.constantFrom(...EVIL);
const spoiled = (good: readonly string[]) =>
  fc
    .tuple(fc.constantFrom(...good), evil, fc.nat(100))
    .map(([text, bad, at]) => `${text.slice(0, at % (text.length + 1))}${bad}${text.slice(at % (text.length + 1))}`);
const anyText = fc.string({ unit: 'binary', maxLength: 40 });
const host = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...GOOD_HOSTS) },
  { weight: 1, arbitrary: spoiled(GOOD_HOSTS) },
  { weight: 1, arbitrary: anyText },
  fc.domain(),
  fc.ipV4(),
  fc.ipV6(),
);
const GOOD_USERS = ['azureuser', 'root', 'svc.audit', 'joe@example.com', 'x_1-y+z'];
const user = fc.oneof(
  { weight: 8, arbitrary: fc.constantFrom(...GOOD_USERS) },
  { weight: 1, arbitrary: spoiled(GOOD_USERS) },
  { weight: 1, arbitrary: anyText },
);
const port = fc.oneof(
  { weight: 9, arbitrary: fc.integer({ min: 1, max: 65_535 }) },
  fc.constantFrom(0, -1, 65_536, 22.5, Number.NaN, Number.POSITIVE_INFINITY, '22; touch pwned' as unknown as number),
);
// A key's path may hold nearly anything, and must come through as it is.
const identityFile = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom('~/.ssh/id_ed25519', 'keys/vm.pem', '/etc/keys/vm') },
  { weight: 3, arbitrary: spoiled(['/etc/keys/vm', 'vm.pem']) },
  { weight: 1, arbitrary: anyText },
);
const optional = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 3 });
const hop = fc.record({ host, port: optional(port), user: optional(user), identityFile: optional(identityFile) });
const target: fc.Arbitrary<SshTarget> = fc
  .tuple(hop, fc.option(hop, { nil: undefined, freq: 4 }))
  .map(([each, bastion]) => ({ ...each, bastion }));

function hopWords({ host, port, user, identityFile }: CheckedTarget | NonNullable<CheckedTarget['bastion']>): SshHop {
  return {
    host,
    ...(port === null ? {} : { port }),
    ...(user === null ? {} : { user }),
    ...(identityFile === null ? {} : { identityFile }),
  };
}

test('of 10,000 targets none brings an option, a command or an expansion to ssh or to a shell', () => {
  const proxies: { line: string; bastion: SshHop }[] = [];
  let accepted = 0;
  let refused = 0;
  fc.assert(
    fc.property(target, (each) => {
      let checked: CheckedTarget;
      try {
        checked = checkTarget(each);
      } catch (error) {
        assert.ok(error instanceof OperationError, String(error));
        assert.match(error.code, /^SSH_(TARGET_INVALID|KEY_FILE)$/);
        assert.doesNotMatch(error.message, /[\u0000-\u001f\u202e]/);
        refused += 1;
        return;
      }
      accepted += 1;
      const { hop, proxyCommand, rest } = readArguments(buildSshArguments(checked, limits));
      assert.deepEqual(rest, [REMOTE_COMMAND]);
      assert.deepEqual(hop, hopWords(checked));
      assertHarmless(hop);
      assert.equal(proxyCommand === null, each.bastion === undefined);
      if (proxyCommand !== null && checked.bastion !== null) {
        assert.doesNotMatch(proxyCommand, /\n/);
        proxies.push({ line: percentExpand(proxyCommand), bastion: hopWords(checked.bastion) });
      }
    }),
    { numRuns: 10_000 },
  );
  assert.ok(accepted > 2_000 && refused > 2_000, `${accepted} accepted, ${refused} refused`);
  const words = wordsByShell(proxies.map(({ line }) => line));
  assert.equal(words.length, proxies.length);
  for (const [index, { bastion }] of proxies.entries()) {
    const [dashC, , zero, tag, program, ...args] = words[index] ?? [];
    assert.deepEqual([dashC, zero, tag, program], ['-c', 'bastion', limits.bastionTag, 'ssh']);
    const read = readArguments(args);
    assert.deepEqual({ ...read }, { hop: bastion, proxyCommand: null, rest: [] });
    assertHarmless(read.hop);
  }
  assert.ok(proxies.length > 1_000, `${proxies.length} went through a bastion`);
});

test('what could be an option or a command is refused before ssh is started, and the message says which part', async () => {
  const bin = join(scratch, 'refusing');
  mkdirSync(bin);
  writeFileSync(join(bin, 'ssh'), `#!/bin/sh\n: >${bin}/started\n`);
  chmodSync(join(bin, 'ssh'), 0o755);
  const good: SshHop = { host: 'web-01' };
  const cases: [SshTarget, RegExp][] = [
    [
      { host: '-oProxyCommand=touch pwned' },
      /^SSH_TARGET_INVALID: target: "-oProxyCommand=touch pwned" is no host name/,
    ],
    [{ host: 'web-01; reboot' }, /^SSH_TARGET_INVALID: target: /],
    [{ host: 'root@web-01' }, /^SSH_TARGET_INVALID: target: /],
    [{ host: '' }, /^SSH_TARGET_INVALID: target: /],
    [{ host: '[web-01]' }, /^SSH_TARGET_INVALID: target: /],
    [{ host: 'fe80::1%$(id)' }, /^SSH_TARGET_INVALID: target: /],
    [{ ...good, user: '-oProxyCommand=x' }, /^SSH_TARGET_INVALID: target: user /],
    [{ ...good, port: 0 }, /^SSH_TARGET_INVALID: target: port 0 /],
    [{ ...good, bastion: { host: '$(id)' } }, /^SSH_TARGET_INVALID: bastion: /],
    [{ ...good, bastion: { host: 'jump', user: "a' 'b" } }, /^SSH_TARGET_INVALID: bastion: user /],
    [{ ...good, identityFile: '/keys/\u0024{HOME}' }, /^SSH_KEY_FILE: \/keys\/\$\{HOME\}: is no path/],
    [{ ...good, identityFile: '/keys/%h' }, /^SSH_KEY_FILE: /],
    [{ ...good, identityFile: join(scratch, 'missing') }, /^SSH_KEY_FILE: .*missing: does not exist; /],
    [{ ...good, bastion: { host: 'jump', identityFile: scratch } }, /^SSH_KEY_FILE: .*: is no file; /],
  ];
  for (const [each, message] of cases) {
    await assert.rejects(runProbeOverSsh(each, [], { deadlineMs: 5_000, env: { PATH: bin } }), { message });
  }
  assert.equal(existsSync(join(bin, 'started')), false);
  const ran = await runProbeOverSsh(good, [], { deadlineMs: 5_000, env: { PATH: `${bin}:${process.env['PATH']}` } });
  assert.equal(ran.stdout, '');
  assert.equal(existsSync(join(bin, 'started')), true);
});

// Everything between this program and the bastion's ssh is real here: ssh itself, its expansion of the ProxyCommand, and
// the shell that runs it. A spy stands in for the bastion's ssh alone.
test('the real ssh hands the arguments to the ssh of the bastion as they were given, odd key names included', {
  skip,
}, async () => {
  const bin = join(scratch, 'spying');
  mkdirSync(bin);
  const log = join(bin, 'log');
  const real = execFileSync('sh', ['-c', 'command -v ssh'], { encoding: 'utf8' }).trim();
  writeFileSync(
    join(bin, 'ssh'),
    `#!/bin/sh\nfor each; do if [ "$each" = -W ]; then printf '%s\\000' "$@" >${log}; exit 1; fi; done\nexec ${real} "$@"\n`,
  );
  chmodSync(join(bin, 'ssh'), 0o755);
  const names = [
    'plain',
    'two words',
    "it's",
    '"quoted"',
    '$(touch pwned)',
    '`touch pwned`',
    'a;touch pwned',
    'a|touch pwned',
    'a&touch pwned&',
    'back\\slash',
    'trailing\\',
    '-oProxyCommand=touch pwned',
    '#comment',
    '*',
    '!!',
    '$HOME',
    'ключ-密钥',
  ];
  const env = { ...process.env, PATH: `${bin}:${process.env['PATH']}`, SHELL: '/bin/false' };
  for (const name of names) {
    const key = join(bin, name);
    writeFileSync(key, '', { mode: 0o600 });
    const bastion = { host: '[fd00::9]', port: 2222, user: 'joe@example.com', identityFile: key };
    const run = runProbeOverSsh({ host: '192.0.2.7', port: 2022, identityFile: key, bastion }, [], {
      deadlineMs: 20_000,
      env,
    });
    await assert.rejects(run, { name: 'OperationError' });
    assert.ok(existsSync(log), name);
    const args = readFileSync(log, 'utf8').split('\u0000').slice(0, -1);
    const way = args.indexOf('-W');
    assert.deepEqual(args.splice(way, 2), ['-W', '[192.0.2.7]:2022'], name);
    assert.deepEqual(readArguments(args).hop, {
      host: 'fd00::9',
      port: 2222,
      user: 'joe@example.com',
      identityFile: key,
    });
    rmSync(log);
  }
  assert.equal(existsSync('pwned') || existsSync(join(bin, 'pwned')), false);
});

test('the real ssh takes the arguments of any accepted target, and reads out of them what was given', { skip }, () => {
  let read = 0;
  for (const each of fc.sample(target, 1_000)) {
    let checked: CheckedTarget;
    try {
      checked = checkTarget(each);
    } catch {
      continue;
    }
    const args = buildSshArguments(checked, limits);
    const config = execFileSync('ssh', ['-G', ...args], { encoding: 'utf8' }).split('\n');
    assert.ok(config.includes('batchmode yes') && config.includes('forwardagent no'));
    if (checked.port !== null) assert.ok(config.includes(`port ${checked.port}`));
    if (checked.user !== null) assert.ok(config.includes(`user ${checked.user}`));
    const proxy = args.find((arg) => arg.startsWith('ProxyCommand='));
    assert.equal(
      config.find((line) => line.startsWith('proxycommand ')),
      proxy?.replace('=', ' ').replace('ProxyCommand', 'proxycommand'),
    );
    read += 1;
  }
  assert.ok(read > 200, `${read} were accepted`);
});

test('a relative key is found from where this runs, and ~ is the home of its user', () => {
  const { identityFile } = checkTarget({ host: 'a', identityFile: '-keys/vm.pem' });
  assert.equal(identityFile, resolve('-keys/vm.pem'));
  assert.match(checkTarget({ host: 'a', identityFile: '~/.ssh/vm' }).identityFile ?? '', /^\/.*\/\.ssh\/vm$/);
});
