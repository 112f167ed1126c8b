import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { OperationError } from '../../src/core/errors.ts';
import type { SnapshotStore, StoreArea } from '../../src/core/ports.ts';
import { DirectorySnapshotStore } from '../../src/directory/directory-store.ts';
import { flatLayout } from '../../src/directory/layout.ts';
import { describeSnapshotStore } from '../contract/snapshot-store.ts';

const scratch = mkdtempSync(join(tmpdir(), 'nfi-directory-'));
after(() => rmSync(scratch, { recursive: true }));

let count = 0;
function newRoot(): string {
  count += 1;
  return join(scratch, `root-${count}`, 'audit');
}

const bytes = (text: string) => new TextEncoder().encode(text);
const text = async (store: SnapshotStore, area: StoreArea, name: string) =>
  new TextDecoder().decode((await store.read(area, name))?.bytes);
async function names(store: SnapshotStore, area: StoreArea, prefix = ''): Promise<string[]> {
  const found: string[] = [];
  for await (const name of store.list(area, prefix)) found.push(name);
  return found;
}
function filesBelow(root: string): string[] {
  return readdirSync(root, { recursive: true }).map(String).sort();
}
function rejectsWith(code: string, promise: Promise<unknown>): Promise<void> {
  return assert.rejects(promise, (error) => {
    assert.ok(error instanceof OperationError, String(error));
    assert.equal(error.code, code);
    return true;
  });
}

describeSnapshotStore('directory store', async () => new DirectorySnapshotStore(newRoot()));

test('files are 0600 and folders 0700, whatever the umask, and no temporary file stays', async () => {
  const root = newRoot();
  const before = process.umask(0);
  try {
    const store = new DirectorySnapshotStore(root);
    await store.create('baselines', 'vm/a_snapshot.json', bytes('{}'));
    await store.create('baselines', 'vm/a_snapshot.json', bytes('{}'));
    await store.replace('state', 'vm/approved.json', bytes('{}'), null);
  } finally {
    process.umask(before);
  }
  const modes = filesBelow(root).map((path) => `${(statSync(join(root, path)).mode & 0o7777).toString(8)} ${path}`);
  assert.deepEqual(modes.sort(), [
    '600 baselines/vm/a_snapshot.json',
    '600 state/vm/approved.json@1',
    '700 baselines',
    '700 baselines/vm',
    '700 state',
    '700 state/vm',
  ]);
  assert.equal(statSync(root).mode & 0o777, 0o700);
});

test('the flat layout puts the artifacts of one VM where the reference agent reads them', async () => {
  const root = newRoot();
  const store = new DirectorySnapshotStore(root, flatLayout('vm-0123'));
  await store.create('baselines', 'vm-0123/fw_1_snapshot.json', bytes('one'));
  await store.create('baselines', 'vm-0123/fw_1_snapshot.json.sha256', bytes('two'));
  await store.create('reports', 'vm-0123/fw_2_drift.json', bytes('three'));
  await store.create('state', 'vm-0123/approved.json', bytes('four'));
  writeFileSync(join(root, 'fw_1_commands.log'), 'not a document\n');
  assert.deepEqual(filesBelow(root), [
    'fw_1_commands.log',
    'fw_1_snapshot.json',
    'fw_1_snapshot.json.sha256',
    'fw_2_drift.json',
    'state',
    'state/vm-0123',
    'state/vm-0123/approved.json@1',
  ]);
  assert.deepEqual(await names(store, 'baselines'), [
    'vm-0123/fw_1_snapshot.json',
    'vm-0123/fw_1_snapshot.json.sha256',
  ]);
  assert.deepEqual(await names(store, 'reports', 'vm-0123/fw_2'), ['vm-0123/fw_2_drift.json']);
  assert.deepEqual(await names(store, 'state'), ['vm-0123/approved.json']);
  assert.equal(await text(store, 'reports', 'vm-0123/fw_2_drift.json'), 'three');
  assert.equal(await store.create('reports', 'vm-0123/fw_1_snapshot.json', bytes('other')), 'exists');
  await rejectsWith('STORE_NAME', store.create('baselines', 'vm-9999/fw_1_snapshot.json', bytes('x')));
  await rejectsWith('STORE_NAME', store.create('baselines', 'vm-0123/fw_1_drift.json', bytes('x')));

  const bare = new DirectorySnapshotStore(root, flatLayout());
  assert.deepEqual(await names(bare, 'baselines'), ['fw_1_snapshot.json', 'fw_1_snapshot.json.sha256']);
  assert.equal(await text(bare, 'baselines', 'fw_1_snapshot.json'), 'one');
});

test('no symbolic link inside the root is followed, neither to write nor to read nor to list', async () => {
  const root = newRoot();
  const outside = join(scratch, 'outside');
  mkdirSync(join(outside, 'vm'), { recursive: true });
  writeFileSync(join(outside, 'secret.json'), 'secret');
  writeFileSync(join(outside, 'vm', 'a.json'), 'secret');
  const store = new DirectorySnapshotStore(root);
  await store.create('runs', 'real/a.json', bytes('mine'));
  symlinkSync(join(outside, 'vm'), join(root, 'runs', 'linked'));
  symlinkSync(join(outside, 'secret.json'), join(root, 'runs', 'real', 'file.json'));
  symlinkSync(join(outside, 'not-there.json'), join(root, 'runs', 'real', 'dangling.json'));
  symlinkSync(outside, join(root, 'state'));

  await rejectsWith('STORE_NOT_PLAIN', store.create('runs', 'linked/b.json', bytes('x')));
  await rejectsWith('STORE_NOT_PLAIN', store.read('runs', 'linked/a.json'));
  await rejectsWith('STORE_NOT_PLAIN', store.read('runs', 'real/file.json'));
  await rejectsWith('STORE_NOT_PLAIN', store.replace('state', 'vm/approved.json', bytes('x'), null));
  assert.equal(await store.create('runs', 'real/dangling.json', bytes('x')), 'exists');
  assert.deepEqual(await names(store, 'runs'), ['real/a.json']);
  assert.deepEqual(filesBelow(outside), ['secret.json', 'vm', 'vm/a.json']);
  assert.ok(lstatSync(join(root, 'runs', 'real', 'dangling.json')).isSymbolicLink());
});

test('the root itself may be a link, which is the word of the user', async () => {
  const real = newRoot();
  mkdirSync(real, { recursive: true });
  const link = join(scratch, 'link-to-root');
  symlinkSync(real, link);
  await new DirectorySnapshotStore(link).create('runs', 'a.json', bytes('x'));
  assert.ok(existsSync(join(real, 'runs', 'a.json')));
});

test('a named pipe or a directory in place of a document is an error, not a wait', async () => {
  const root = newRoot();
  const store = new DirectorySnapshotStore(root);
  await store.create('runs', 'a.json', bytes('x'));
  execFileSync('mkfifo', [join(root, 'runs', 'pipe.json')]);
  mkdirSync(join(root, 'runs', 'folder.json'));
  await rejectsWith('STORE_NOT_PLAIN', store.read('runs', 'pipe.json'));
  await rejectsWith('STORE_NOT_PLAIN', store.read('runs', 'folder.json'));
  await rejectsWith('STORE_NOT_PLAIN', store.create('runs', 'a.json/b.json', bytes('x')));
});

test('of many that replace one state document at once, each version is won by one, and all versions stay', async () => {
  const root = newRoot();
  const store = new DirectorySnapshotStore(root);
  await store.replace('state', 'vm/approved.json', bytes('version 0'), null);
  for (let round = 1; round <= 12; round += 1) {
    const etag = (await store.read('state', 'vm/approved.json'))?.etag ?? null;
    const results = await Promise.all(
      Array.from({ length: 8 }, (_, writer) =>
        new DirectorySnapshotStore(root).replace('state', 'vm/approved.json', bytes(`${round}/${writer}`), etag),
      ),
    );
    assert.equal(results.filter((result) => result === 'replaced').length, 1);
    assert.equal(await text(store, 'state', 'vm/approved.json'), `${round}/${results.indexOf('replaced')}`);
  }
  assert.equal(readdirSync(join(root, 'state', 'vm')).length, 13);
  assert.equal(readFileSync(join(root, 'state', 'vm', 'approved.json@1'), 'utf8'), 'version 0');
  assert.deepEqual(await names(store, 'state'), ['vm/approved.json']);
});

test('bytes that come back have another etag, so an old reader does not replace them', async () => {
  const store = new DirectorySnapshotStore(newRoot());
  await store.replace('state', 'a.json', bytes('A'), null);
  const first = (await store.read('state', 'a.json'))?.etag ?? null;
  await store.replace('state', 'a.json', bytes('B'), first);
  await store.replace('state', 'a.json', bytes('A'), (await store.read('state', 'a.json'))?.etag ?? null);
  assert.equal(await store.replace('state', 'a.json', bytes('C'), first), 'conflict');
});

test('names that differ by a suffix do not read each other', async () => {
  const store = new DirectorySnapshotStore(newRoot());
  await store.create('state', 'vm/a', bytes('short'));
  await store.create('state', 'vm/a.json', bytes('long'));
  assert.equal(await text(store, 'state', 'vm/a'), 'short');
  assert.equal(await store.create('state', 'vm/a', bytes('again')), 'exists');
  assert.deepEqual(await names(store, 'state', 'vm/a'), ['vm/a', 'vm/a.json']);
});

test('a writer that is killed at any moment leaves whole documents only, and its successor goes on', async () => {
  const root = newRoot();
  const sourceOf = (file: string) =>
    new URL(`../../src/directory/${file}.${import.meta.filename.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url).href;
  const size = 3_000_000;
  const program = `
    const { DirectorySnapshotStore } = await import(${JSON.stringify(sourceOf('directory-store'))});
    const store = new DirectorySnapshotStore(${JSON.stringify(root)});
    const start = Number(process.argv[1]);
    for (let n = start; ; n += 1) {
      await store.create('baselines', 'vm/' + n + '.json', new Uint8Array(${size}).fill(n % 251));
      const state = await store.read('state', 'vm/approved.json');
      await store.replace('state', 'vm/approved.json', new Uint8Array(${size}).fill(n % 251), state?.etag ?? null);
      if (n === start) console.log('writing');
    }`;
  for (let life = 0; life < 5; life += 1) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program, `${life * 1000}`], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await once(child.stdout, 'data');
    await new Promise((resolve) => setTimeout(resolve, 5 + life * 17));
    child.kill('SIGKILL');
    await once(child, 'close');
  }
  const store = new DirectorySnapshotStore(root);
  const written = await names(store, 'baselines');
  assert.ok(written.length >= 5, `${written.length} documents`);
  for (const name of written) {
    const stored = (await store.read('baselines', name))?.bytes ?? new Uint8Array();
    const fill = Number(/(\d+)\.json/.exec(name)?.[1]) % 251;
    assert.ok(stored.length === size && stored.every((byte) => byte === fill), name);
  }
  const state = await store.read('state', 'vm/approved.json');
  assert.equal(state?.bytes.length, size);
  assert.equal(await store.replace('state', 'vm/approved.json', bytes('next'), state?.etag ?? null), 'replaced');
});

test('a file in the way of the directory is an error with a next step', async () => {
  const root = newRoot();
  mkdirSync(join(root, '..'), { recursive: true });
  writeFileSync(root, 'a file');
  await rejectsWith('STORE_FAILED', new DirectorySnapshotStore(root).create('runs', 'a.json', bytes('x')));
});

test('a directory that may not be written is a denial that names it', {
  skip: process.platform !== 'linux' ? 'not Linux' : false,
}, async () => {
  // Not even root makes a folder in sysfs, whatever its mode.
  const root = process.getuid?.() === 0 ? '/sys' : newRoot();
  if (root !== '/sys') {
    mkdirSync(root, { recursive: true });
    chmodSync(root, 0o500);
  }
  const store = new DirectorySnapshotStore(root);
  await rejectsWith('STORE_DENIED', store.create('runs', 'a.json', bytes('x')));
  await assert.rejects(
    store.create('runs', 'a.json', bytes('x')),
    /STORE_DENIED: .*runs: .*; use a directory that you may write to/,
  );
});

test('a name longer than the file system takes is refused with its reason', async () => {
  const store = new DirectorySnapshotStore(newRoot());
  await rejectsWith('STORE_FAILED', store.create('runs', `${'x'.repeat(300)}.json`, bytes('x')));
});

test('a store below /proc, where no folder can be made, is an error and no endless loop', async () => {
  const store = new DirectorySnapshotStore('/proc/nobody/audit');
  await assert.rejects(store.create('baselines', 'vm/base', new Uint8Array()), { code: /^STORE_(DENIED|FAILED)$/ });
});
