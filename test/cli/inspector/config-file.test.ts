// biome-ignore-all lint/suspicious/noTemplateCurlyInString: config files have such placeholders
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { CommandError } from '../../../src/cli/framework/errors.ts';
import { readArguments } from '../../../src/cli/framework/options.ts';
import { CONFIG_KEYS, parseConfigFile, readConfigFile } from '../../../src/cli/inspector/config-file.ts';
import { inspectCommand } from '../../../src/cli/inspector/inspect-command.ts';
import { Settings } from '../../../src/cli/inspector/settings.ts';
import { OperationError } from '../../../src/core/errors.ts';
import { checkTarget } from '../../../src/ssh/target.ts';
import { scratch } from '../run-command.ts';

const ENV = { HOME: '/home/ops', EMPTY: '' };
const values = (text: string) => Object.fromEntries(parseConfigFile(text, 'c.env', ENV).values);
const settings = (args: readonly string[], env: NodeJS.ProcessEnv = ENV) =>
  new Settings(readArguments(args, inspectCommand.options), env);

test('values are read bare, quoted, commented and expanded, as the reference’s example has them', () => {
  const text = [
    '\ufeff# a comment',
    'PROVIDER=ssh                        # azure (default) | ssh',
    'VM_NAME = "web 01"   # quoted',
    "RESOURCE_GROUP='rg # not a comment'",
    'TARGET_SSH_KEY_PATH="${HOME}/.ssh/id_rsa"',
    "BASTION_SSH_KEY_PATH='${HOME}/literal'",
    'AUDIT_DIR=${HOME}/a#b ${NOT_SET}',
    'export SSH_USER=ubuntu\r',
    'SESSION_ID=',
    'SUBSCRIPTION_ID="a=b"',
    '  FAMILY=both',
  ].join('\n');
  assert.deepEqual(values(text), {
    PROVIDER: 'ssh',
    VM_NAME: 'web 01',
    RESOURCE_GROUP: 'rg # not a comment',
    TARGET_SSH_KEY_PATH: '/home/ops/.ssh/id_rsa',
    BASTION_SSH_KEY_PATH: '${HOME}/literal',
    AUDIT_DIR: '/home/ops/a#b ${NOT_SET}',
    SSH_USER: 'ubuntu',
    SUBSCRIPTION_ID: 'a=b',
    FAMILY: 'both',
  });
});

test('what is odd is a warning with its line, and no command is ever run', () => {
  const text = 'NOPE=1\nVM_NAME\nVM_NAME="open\nVM_NAME="a" b\nVM_NAME=$(touch /tmp/x)`id`\nEVIL\u001b[31m=1\n';
  const { warnings, values: read } = parseConfigFile(text, 'c.env', ENV);
  assert.deepEqual(warnings, [
    'c.env line 1: unknown key NOPE, left out',
    'c.env line 2: no KEY=VALUE, left out: VM_NAME',
    'c.env line 3: VM_NAME: no closing quote',
    'c.env line 4: VM_NAME: text behind the closing quote',
    'c.env line 4: VM_NAME again: this one counts',
    'c.env line 5: VM_NAME again: this one counts',
    'c.env line 6: unknown key EVIL\\x1b[31m, left out',
  ]);
  assert.equal(read.get('VM_NAME'), '$(touch /tmp/x)`id`');
});

test('a key or a secret that was given as the config file is not printed', (context) => {
  const body = Buffer.alloc(48, 0xb7).toString('base64');
  const { warnings } = parseConfigFile(`hunter2 in a note\n${body}\n${body.slice(0, 40)}==\n`, 'c.env', ENV);
  assert.deepEqual(warnings, [
    'c.env line 1: no KEY=VALUE, left out',
    'c.env line 2: no KEY=VALUE, left out',
    'c.env line 3: unknown key, left out',
  ]);
  const file = join(scratch(context), 'id_rsa');
  for (const text of [
    `-----BEGIN OPENSSH PRIVATE KEY-----\n${body}\n`,
    Buffer.from('\ufeffPROVIDER=local\n', 'utf16le'),
  ]) {
    writeFileSync(file, text);
    assert.throws(
      () => readConfigFile(file, ENV),
      (error) =>
        error instanceof OperationError &&
        error.code === 'CONFIG_FILE' &&
        /no KEY=VALUE lines in UTF-8.*--config/.test(error.message) &&
        !error.message.includes(body),
    );
  }
});

test('flags win over the file, and the mode of flags as a whole', (context) => {
  const file = join(scratch(context), 'c.env');
  writeFileSync(file, 'PROVIDER=ssh\nTARGET_VM_IP=10.0.0.5\nIS_BASELINE=yes\nSESSION_ID=from_file\nSSH_PORT=2222\n');
  const from = (...args: string[]) => settings(['--config', file, ...args]);
  assert.deepEqual([from().mode, from().sessionId, from().provider], [{ kind: 'baseline' }, 'from_file', 'ssh']);
  assert.deepEqual(from('--compare-baseline', 'b1').mode, { kind: 'compare', baseline: 'b1' });
  assert.equal(from('--session-id', 'mine').sessionId, 'mine');
  assert.deepEqual(from('--target-vm-ip', '[fe80::1%eth0]', '--ssh-port', '22').target(), {
    provider: 'ssh',
    label: null,
    host: 'fe80::1%eth0',
    port: 22,
    user: null,
    keyFile: null,
    bastion: null,
  });
  assert.equal(settings(['--provider', 'local']).family, 'both');
});

test('a variable that is not set is said, because a folder of that very name would be made', () => {
  const { values, warnings } = parseConfigFile("AUDIT_DIR=${NOT_SET}/audit\nVM_NAME='${NOT_SET}'\n", 'a.env', {});
  assert.equal(values.get('AUDIT_DIR'), '${NOT_SET}/audit');
  assert.deepEqual(warnings, [
    'a.env line 1: AUDIT_DIR: there is no NOT_SET in the environment; ${NOT_SET} stays as it is',
  ]);
});

test('a file that is no config file is an error, not a crash', (context) => {
  const directory = scratch(context);
  const large = join(directory, 'large.env');
  writeFileSync(large, 'x'.repeat(70_000));
  // A device without an end stands for whatever is larger than memory.
  for (const path of [large, directory, join(directory, 'none'), '/dev/zero']) {
    assert.throws(
      () => readConfigFile(path, ENV),
      (error) => error instanceof OperationError && error.code === 'CONFIG_FILE',
    );
  }
});

const word = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom(
    '-oProxyCommand=touch /tmp/pwned',
    '--',
    '-',
    '-F/dev/null',
    'root@-oX',
    'a;reboot',
    '$(id)',
    '`id`',
    '10.0.0.1 -oProxyCommand=x',
    'fe80::1%-oX',
    '[::1]',
    '../../etc/passwd',
    '~/key',
    '-i',
    '\u0000',
    'a\nPROVIDER=local',
  ),
  fc.domain(),
  fc.ipV6(),
);
const line = fc.oneof(
  fc.tuple(fc.constantFrom(...CONFIG_KEYS), word).map(([key, value]) => `${key}=${value}`),
  fc.tuple(fc.constantFrom(...CONFIG_KEYS), word).map(([key, value]) => `${key}="${value}" # c`),
  word,
);
const flags = fc.array(
  fc.oneof(
    fc
      .tuple(fc.constantFrom(...inspectCommand.options.map(({ name }) => name)), word)
      .map(([name, value]) => `--${name}=${value}`),
    word,
  ),
  { maxLength: 6 },
);

/** Everything that settings can be asked. Only the errors that are promised may come out. */
function askEverything(read: () => Settings): Settings | null {
  let found: Settings | null = null;
  const asks = [
    () => {
      found = read();
    },
    () => found?.mode,
    () => found?.sessionId,
    () => found?.family,
    () => found?.auditDir,
    () => found?.provider,
  ];
  for (const ask of asks) {
    try {
      ask();
    } catch (error) {
      assert.ok(error instanceof OperationError || error instanceof CommandError, String(error));
    }
  }
  return found;
}

/** Nothing that reaches ssh may start with a dash, hold a blank, or a control character. */
function assertHarmless(found: Settings): void {
  for (const provider of ['ssh', 'azure', 'local'] as const) {
    try {
      const target = found.target(provider);
      if (target.provider !== 'ssh') continue;
      const { host, user, keyFile, bastion } = target;
      for (const text of [host, user, bastion?.host, bastion?.user])
        assert.doesNotMatch(text ?? '', /^-|[\s;$`|&<>(){}'"\\]|[^\x21-\x7e]/);
      for (const path of [keyFile, bastion?.keyFile]) assert.doesNotMatch(path ?? '', /^-|[\u0000-\u001f]/);
      checkTarget({ host, ...(user === null ? {} : { user }) });
    } catch (error) {
      assert.ok(error instanceof OperationError || error instanceof CommandError, String(error));
    }
  }
}

test('10,000 config files: no crash, and nothing that could pass for an option of ssh', (context) => {
  const path = join(scratch(context), 'c.env');
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
      writeFileSync(path, lines.join('\n'));
      const found = askEverything(() => settings(['--config', path]));
      assert.ok(found !== null);
      for (const warning of found.warnings) assert.doesNotMatch(warning, /[\u0000-\u001f\u007f-\u009f]/);
      assertHarmless(found);
    }),
    { numRuns: 10_000 },
  );
});

test('10,000 argument lists: usage or a setting, never a crash or an option of ssh', () => {
  fc.assert(
    fc.property(flags, (args) => {
      const safe = args.filter((arg) => !arg.startsWith('--config'));
      const found = askEverything(() => settings(safe));
      if (found !== null) assertHarmless(found);
    }),
    { numRuns: 10_000 },
  );
});

test('an option as a host name is refused, whichever way it comes', () => {
  for (const host of ['-oProxyCommand=touch /tmp/x', '--', 'a b', 'x\n-oY', 'root@host', '%h', 'a;b']) {
    for (const option of ['target-vm-ip', 'bastion-public-ip']) {
      const args = ['--provider', 'ssh', '--target-vm-ip=h', `--${option}=${host}`];
      assert.throws(
        () => settings(args).target(),
        (error) => error instanceof OperationError && error.code === 'CONFIG_VALUE',
        host,
      );
    }
  }
});
