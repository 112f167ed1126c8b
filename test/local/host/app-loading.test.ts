import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { spawnFunctionsHost } from '../../../local/host/spawn-host.ts';
import { repositoryRoot } from '../../support/environment.ts';
import { everythingApp } from './host-client.ts';

const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
const listEntry = fileURLToPath(new URL(`../../../local/list-functions.${extension}`, import.meta.url));

let app = '';
beforeEach(() => {
  app = mkdtempSync(join(tmpdir(), 'nfi-app-'));
  symlinkSync(join(repositoryRoot, 'node_modules'), join(app, 'node_modules'));
});
afterEach(() => rmSync(app, { recursive: true, force: true }));

function write(files: Record<string, string>): void {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(app, name, '..'), { recursive: true });
    writeFileSync(join(app, name), text);
  }
}
const manifest = (main: string): string => JSON.stringify({ type: 'module', main });
const http = (name: string): string =>
  `import { app } from '@azure/functions'; app.http('${name}', { handler: () => ({ body: '${name}' }) });`;

async function refusal(): Promise<string> {
  try {
    await (await spawnFunctionsHost({ appDirectory: app })).stop();
  } catch (error) {
    return (error as Error).message;
  }
  return 'it started';
}
function list(directory: string): { status: number | null; lines: string[]; errors: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [listEntry, '--app', directory], { encoding: 'utf8' });
  return { status, lines: stdout.split('\n').filter((line) => line !== ''), errors: stderr };
}

test('every file that main names is loaded, CommonJS included', async () => {
  write({
    'package.json': manifest('dist/{a,b}/*.{js,cjs}'),
    'dist/a/one.js': http('one'),
    'dist/b/two.cjs':
      "const { app } = require('@azure/functions'); app.http('two', { handler: () => ({ body: 'two' }) });",
    'dist/c/three.js': http('three'),
    'host.json': '{"extensions":{"http":{"routePrefix":""}}}',
  });
  const host = await spawnFunctionsHost({ appDirectory: app });
  const bodies = await Promise.all(
    ['one', 'two', 'three'].map(async (name) => (await fetch(`${host.url}/${name}`)).text()),
  );
  await host.stop();
  assert.deepEqual(bodies, ['one', 'two', '']);
});

const refused: [string, Record<string, string>, RegExp][] = [
  [
    'an app that is not built',
    { 'package.json': manifest('dist/*.js') },
    /Found zero files matching.*Is the app built\?/,
  ],
  [
    'an entry point that throws',
    { 'package.json': manifest('a.js'), 'a.js': "throw new Error('no setting');" },
    /unable to load entry point "a\.js": no setting/,
  ],
  [
    'two functions of one name',
    { 'package.json': manifest('*.js'), 'a.js': http('same'), 'b.js': http('same') },
    /A function with id "same" has already been registered/,
  ],
  [
    'HTTP streaming',
    {
      'package.json': manifest('a.js'),
      'a.js': `${http('x')} app.setup({ enableHttpStream: true });`,
    },
    /enableHttpStream.*no HTTP streaming/,
  ],
  [
    'a timer with a setting that is missing',
    {
      'package.json': manifest('a.js'),
      'a.js': "import { app } from '@azure/functions'; app.timer('t', { schedule: '%NOT_SET%', handler: () => {} });",
    },
    /the timer t cannot be scheduled: the app setting NOT_SET is not set/,
  ],
  [
    'host.json that is not JSON',
    { 'package.json': manifest('a.js'), 'a.js': http('x'), 'host.json': '{' },
    /host\.json:/,
  ],
];
for (const [what, files, message] of refused) {
  test(`${what} keeps the host from starting, with the reason`, async () => {
    write(files);
    assert.match(await refusal(), message);
  });
}

test('functions are listed one a line, by name, with trigger and bindings', () => {
  const { status, lines } = list(everythingApp);
  assert.equal(status, 0);
  assert.equal(lines.length, 40);
  assert.deepEqual(lines, lines.toSorted());
  assert.match(
    lines.find((line) => line.startsWith('ops ')) ?? '',
    /httpTrigger +GET,POST \/api\/ops\/\{id\}\/\{op\} \(anonymous\) {2}\[in:durableClient, out:http\]$/,
  );
  assert.match(lines.find((line) => line.startsWith('tick ')) ?? '', /timerTrigger +%TICK%$/);
});

test('listing an app whose entry point does not load fails with the reason', () => {
  write({ 'package.json': manifest('a.js'), 'a.js': "import './missing.js';" });
  const { status, lines, errors } = list(app);
  assert.deepEqual([status, lines], [1, []]);
  assert.match(errors, /unable to load entry point "a\.js".*missing\.js/);
});
