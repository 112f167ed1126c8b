import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationError } from '../../src/core/errors.ts';
import type { SnapshotStore } from '../../src/core/ports.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (stored: { bytes: Uint8Array } | null) =>
  stored === null ? null : new TextDecoder().decode(stored.bytes);

/** What every implementation of SnapshotStore keeps. `makeStore` gives an empty store for each test. */
export function describeSnapshotStore(name: string, makeStore: () => Promise<SnapshotStore>): void {
  test(`${name}: what was created is read back to the byte`, async () => {
    const store = await makeStore();
    const content = new Uint8Array(70_000).map((_, index) => index % 256);
    assert.equal(await store.create('baselines', 'vm/fw_1_snapshot.json', content), 'created');
    assert.deepEqual((await store.read('baselines', 'vm/fw_1_snapshot.json'))?.bytes, content);
  });

  test(`${name}: a second create changes nothing and says so`, async () => {
    const store = await makeStore();
    await store.create('baselines', 'vm/a.json', bytes('first'));
    assert.equal(await store.create('baselines', 'vm/a.json', bytes('second')), 'exists');
    assert.equal(text(await store.read('baselines', 'vm/a.json')), 'first');
  });

  test(`${name}: of many creators at once exactly one creates`, async () => {
    const store = await makeStore();
    const results = await Promise.all(
      Array.from({ length: 12 }, (_, index) => store.create('reports', 'vm/race.json', bytes(`writer ${index}`))),
    );
    assert.equal(results.filter((result) => result === 'created').length, 1);
    const winner = results.indexOf('created');
    assert.equal(text(await store.read('reports', 'vm/race.json')), `writer ${winner}`);
  });

  test(`${name}: whatever a session id may be, its artifacts have a name`, async () => {
    const store = await makeStore();
    for (const id of ['_nightly', '-x', '_', '-']) {
      assert.equal(await store.create('baselines', `vm/${id}_snapshot.json`, bytes(id)), 'created');
      assert.equal(text(await store.read('baselines', `vm/${id}_snapshot.json`)), id);
    }
  });

  test(`${name}: what is not there reads as null`, async () => {
    const store = await makeStore();
    assert.equal(await store.read('runs', 'nothing/here.json'), null);
  });

  test(`${name}: areas do not share names`, async () => {
    const store = await makeStore();
    await store.create('baselines', 'vm/same.json', bytes('baseline'));
    assert.equal(await store.create('reports', 'vm/same.json', bytes('report')), 'created');
    assert.equal(text(await store.read('baselines', 'vm/same.json')), 'baseline');
  });

  test(`${name}: state is replaced only by whoever read it last`, async () => {
    const store = await makeStore();
    assert.equal(await store.replace('state', 'vm/approved.json', bytes('one'), null), 'replaced');
    assert.equal(await store.replace('state', 'vm/approved.json', bytes('two'), null), 'conflict');
    const read = await store.read('state', 'vm/approved.json');
    assert.equal(await store.replace('state', 'vm/approved.json', bytes('two'), read?.etag ?? null), 'replaced');
    assert.equal(await store.replace('state', 'vm/approved.json', bytes('three'), read?.etag ?? null), 'conflict');
    assert.equal(text(await store.read('state', 'vm/approved.json')), 'two');
  });

  test(`${name}: lists names below a prefix, in order, and no others`, async () => {
    const store = await makeStore();
    for (const each of [
      'run/outcomes/0-2.json',
      'run/outcomes/0-1.json',
      'run/report.json',
      'runner/outcomes/0-0.json',
    ]) {
      await store.create('runs', each, bytes('{}'));
    }
    const names: string[] = [];
    for await (const each of store.list('runs', 'run/outcomes/')) names.push(each);
    assert.deepEqual(names, ['run/outcomes/0-1.json', 'run/outcomes/0-2.json']);
  });

  test(`${name}: names that could leave their area are refused before anything is written`, async () => {
    const store = await makeStore();
    for (const bad of ['../x', 'a/../b', '/absolute', 'a//b', '', 'a/.hidden', 'a\\b', 'a/b\u0000', 'x'.repeat(600)]) {
      await assert.rejects(store.create('runs', bad, bytes('x')), (error) => {
        assert.ok(error instanceof OperationError);
        assert.equal(error.code, 'STORE_NAME');
        return true;
      });
    }
  });
}
