import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { jsonText, LazyList } from '../../src/cli/framework/json-text.ts';
import { isColored } from '../../src/cli/framework/output.ts';
import { VERSION } from '../../src/cli/version.ts';
import type { Json } from '../../src/core/json.ts';
import { repositoryRoot } from '../support/environment.ts';
import { commandPath, inputChain, run, runProcess, scratch } from './run-command.ts';

function manyRules(count: number): string {
  const rules = Array.from(
    { length: count },
    (_, index) => `-s 10.${index >> 16}.${(index >> 8) & 255}.${index & 255}/32 -p tcp -m tcp --dport 22 -j ACCEPT`,
  );
  return inputChain(...rules);
}

test('a reader that goes away early changes neither the exit code nor gets a stack', async (t) => {
  const directory = scratch(t);
  writeFileSync(join(directory, 'none'), inputChain());
  writeFileSync(join(directory, 'many'), manyRules(20_000));
  const commands = [
    `${process.execPath} ${commandPath('iptables-parser')} ${directory}/many`,
    `${process.execPath} ${commandPath('iptables-diff')} --fail-on low ${directory}/none ${directory}/many`,
  ];
  for (const [index, command] of commands.entries()) {
    const script = `{ ${command}; echo "exit $?" >&3; } 3>&2 | head -n 1`;
    const { stdout, stderr } = await runProcess('sh', ['-c', script]);
    assert.notEqual(stdout, '');
    assert.equal(stderr.replace(/^note: .*\n/gm, ''), `exit ${index === 0 ? 0 : 3}\n`);
  }
});

test('a reader that is slow gets everything', async (t) => {
  const file = join(scratch(t), 'many');
  writeFileSync(file, manyRules(20_000));
  const child = spawn(process.execPath, [commandPath('iptables-parser'), file]);
  let bytes = 0;
  let tail = '';
  for await (const chunk of child.stdout) {
    bytes += (chunk as Buffer).length;
    tail = (tail + (chunk as Buffer).toString('utf8')).slice(-40);
    if (bytes < 1_000_000) await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.ok(bytes > 20_000_000, `${bytes} bytes`);
  assert.match(tail, /"parse_warnings": \[\]\n\}\n$/);
});

test('a hundred thousand rules come through standard input', async () => {
  const text = manyRules(100_000);
  const { code, stdout, stderr } = await run('iptables-parser', ['--print', '-'], { input: text });
  assert.equal(code, 0, stderr);
  assert.equal(stdout, text);
});

test('an output that cannot be written is an error', {
  skip: existsSync('/dev/full') ? false : 'no /dev/full here',
}, async () => {
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [commandPath('iptables-parser'), '--help'], {
    stdio: ['ignore', full, 'pipe'],
  });
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    stderr += chunk.toString('utf8');
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  assert.equal(code, 1);
  assert.match(stderr, /^iptables-parser: error: the output could not be written: ENOSPC/);
});

test('colour is where it is wanted, and nowhere else', async (t) => {
  const directory = scratch(t);
  const [before, after] = [join(directory, 'a'), join(directory, 'b')];
  writeFileSync(before, inputChain());
  writeFileSync(after, inputChain('-j ACCEPT'));
  const colored = async (args: readonly string[], env: Record<string, string> = {}): Promise<boolean> => {
    const { stdout } = await run('iptables-diff', [...args, before, after], { env });
    return stdout.includes('\u001b[');
  };
  assert.equal(await colored([]), false, 'no terminal');
  assert.equal(await colored(['--color', 'always']), true);
  assert.equal(await colored(['--color', 'always'], { NO_COLOR: '1' }), true, 'the option is the last word');
  assert.equal(await colored([], { FORCE_COLOR: '1' }), true);
  assert.equal(await colored(['--color', 'never'], { FORCE_COLOR: '1' }), false);
  assert.equal(await colored(['--color', 'always', '-o', 'markdown']), false);
  assert.equal(await colored(['--color', 'always', '-o', 'json']), false);
});

test('on a terminal NO_COLOR and a dumb terminal are honoured, and FORCE_COLOR goes before both', () => {
  assert.equal(isColored('auto', true, {}), true);
  assert.equal(isColored('auto', true, { NO_COLOR: '1' }), false);
  assert.equal(isColored('auto', true, { NO_COLOR: '' }), true, 'empty is not set');
  assert.equal(isColored('auto', true, { TERM: 'dumb' }), false);
  assert.equal(isColored('auto', true, { FORCE_COLOR: '0' }), false);
  assert.equal(isColored('auto', false, { FORCE_COLOR: '', NO_COLOR: '1' }), true);
});

test('JSON in pieces is what JSON.stringify gives, and ASCII where a terminal would obey', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.integer({ min: 0, max: 10 }), (value, indent) => {
      const text = [...jsonText(value as Json, indent)].join('');
      assert.deepEqual(JSON.parse(text), JSON.parse(JSON.stringify(value)));
      if (!/[\u007f-\uffff]/.test(text) && !/\\u/.test(text))
        assert.equal(text, `${JSON.stringify(value, null, indent)}\n`);
    }),
  );
  const odd = {
    'k\u009b': ['\u202e', '\u007f'],
    list: new LazyList(() => [1, { a: [] }]),
    none: new LazyList(() => []),
  };
  const whole = { 'k\u009b': ['\u202e', '\u007f'], list: [1, { a: [] }], none: [] };
  for (const indent of [0, 3]) {
    const text = [...jsonText(odd, indent)].join('');
    assert.deepEqual(JSON.parse(text), whole);
    assert.match(text, /^[\n -~]*$/);
    assert.equal(text.length, JSON.stringify(whole, null, indent).length + 3 * 5 + 1);
  }
});

test('the version is the package’s', () => {
  const { version } = JSON.parse(readFileSync(join(repositoryRoot, 'package.json'), 'utf8')) as { version: string };
  assert.equal(VERSION, version);
});
