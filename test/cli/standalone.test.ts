import assert from 'node:assert/strict';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from '../support/environment.ts';
import {
  COMMANDS,
  commandDirectory,
  commandPath,
  iptablesPair,
  isCompiled,
  nftPair,
  runProcess,
  scratch,
} from './run-command.ts';

test('the commands run where there is nothing but the core and themselves', async (t) => {
  const directory = scratch(t);
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  for (const part of ['core', 'cli']) {
    cpSync(join(dirname(commandDirectory), part), join(directory, part), { recursive: true });
  }
  const extension = isCompiled ? 'js' : 'ts';
  const [before, after] = iptablesPair('ipt-crit-accept-all-top');
  const [listing, changed] = nftPair('nft-crit-policy-drop');
  const calls: Record<(typeof COMMANDS)[number], readonly string[]> = {
    'iptables-parser': ['--stats', before],
    'iptables-diff': ['--fail-on', 'critical', before, after],
    'nftables-parser': ['--text', listing],
    'nftables-diff': ['-o', 'markdown', listing, changed],
  };
  for (const command of COMMANDS) {
    const file = join(directory, 'cli', `${command}.${extension}`);
    // Nothing of the caller's: no NODE_PATH, no NODE_OPTIONS, no home.
    const { code, stdout, stderr } = await runProcess('env', ['-i', process.execPath, file, ...calls[command]], {
      cwd: directory,
    });
    assert.equal(code, command === 'iptables-diff' ? 3 : 0, stderr);
    assert.notEqual(stdout, '');
    assert.doesNotMatch(stderr, /Error|Cannot find/);
  }
});

test('each command starts with a line for the shell, and package.json names it', () => {
  const { bin } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as {
    bin: Record<string, string>;
  };
  for (const command of COMMANDS) {
    assert.equal(bin[command], `dist/src/cli/${command}.js`);
    assert.match(readFileSync(commandPath(command), 'utf8'), /^#!\/usr\/bin\/env node\n/);
  }
});
