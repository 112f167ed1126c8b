import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { BlobServiceClient } from '@azure/storage-blob';
import { type LocalStorage, startAzurite } from '../../local/azurite.ts';
import { BlobSnapshotStore } from '../../src/azure/blob-store.ts';
import { OperationError } from '../../src/core/errors.ts';
import { describeSnapshotStore } from '../contract/snapshot-store.ts';

let storage: LocalStorage;

before(async () => {
  storage = await startAzurite();
});
after(() => storage.stop());

async function emptyStore(): Promise<BlobSnapshotStore> {
  const service = BlobServiceClient.fromConnectionString(storage.connectionString);
  for await (const { name } of service.listContainers()) await service.deleteContainer(name);
  const store = new BlobSnapshotStore(service);
  await store.createContainers();
  return store;
}

describeSnapshotStore('blob store on Azurite', emptyStore);

test('a missing container is an error that names it and says what to look at', async () => {
  const service = BlobServiceClient.fromConnectionString(storage.connectionString);
  for await (const { name } of service.listContainers()) await service.deleteContainer(name);
  const store = new BlobSnapshotStore(service);
  const asks: [string, () => Promise<unknown>][] = [
    ['baselines', () => store.create('baselines', 'vm/a.json', new Uint8Array(1))],
    // "There is no baseline" would be another answer.
    ['baselines', () => store.read('baselines', 'vm/a.json')],
    ['state', () => store.replace('state', 'vm/approved.json', new Uint8Array(1), null)],
  ];
  for (const [container, ask] of asks) {
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof OperationError);
      assert.equal(error.code, 'BLOB_FAILED');
      assert.match(error.message, new RegExp(`is the container "${container}" there`));
      return true;
    });
  }
});

test('a wrong account key is a denial, and the message carries no secret', async () => {
  const wrong = storage.connectionString.replace(
    /AccountKey=[^;]+/,
    `AccountKey=${Buffer.alloc(64).toString('base64')}`,
  );
  const store = new BlobSnapshotStore(BlobServiceClient.fromConnectionString(wrong));
  await assert.rejects(store.read('runs', 'a.json'), (error) => {
    assert.ok(error instanceof OperationError);
    assert.equal(error.code, 'BLOB_DENIED');
    assert.doesNotMatch(error.message, /AccountKey|sig=|SharedKey/);
    return true;
  });
});
