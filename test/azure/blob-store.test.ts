import assert from 'node:assert/strict';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { BlobServiceClient } from '@azure/storage-blob';
import { type LocalStorage, startAzurite } from '../../local/azurite.ts';
import { approveBaseline, readApproved } from '../../src/activities/approved-baseline.ts';
import { createOnce } from '../../src/activities/documents.ts';
import { BlobSnapshotStore } from '../../src/azure/blob-store.ts';
import type { Snapshot } from '../../src/core/baseline/snapshot.ts';
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

test('a write whose answer was lost is tried again by the SDK, and neither a conflict nor written twice', async () => {
  await emptyStore();
  const origin = new URL(storage.blobEndpoint);
  let lost = 0;
  const proxy = createServer((incoming, outgoing) => {
    const { method, url, headers } = incoming;
    const forwarded = request({ host: origin.hostname, port: origin.port, method, path: url, headers }, (answer) => {
      // The service did it, and the caller never hears of it; of every second write.
      if (method === 'PUT' && lost++ % 2 === 0) outgoing.destroy();
      else answer.pipe(outgoing.writeHead(answer.statusCode ?? 500, answer.headers));
    });
    incoming.pipe(forwarded);
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  const through = storage.connectionString.replaceAll(
    origin.host,
    `127.0.0.1:${(proxy.address() as AddressInfo).port}`,
  );
  const service = BlobServiceClient.fromConnectionString(through, { retryOptions: { retryDelayInMs: 5 } });
  const store = new BlobSnapshotStore(service);
  const bytes = new TextEncoder().encode('{}\n');
  await createOnce(store, 'baselines', 'vm/a.json', bytes);
  await assert.rejects(createOnce(store, 'baselines', 'vm/a.json', new Uint8Array(2)), /STORE_CONFLICT/);
  assert.deepEqual((await store.read('baselines', 'vm/a.json'))?.bytes, bytes);
  // The pointer: what was lost is found to stand when it is read again.
  const snapshot = { session_id: 'fw_1', snapshot_at: '2026-01-01T00:00:00.000Z' } as Snapshot;
  await approveBaseline(store, 'vm', snapshot, 'a'.repeat(64), new Date('2026-01-02'));
  const later = { session_id: 'fw_2', snapshot_at: '2026-01-02T00:00:00.000Z' } as Snapshot;
  await approveBaseline(store, 'vm', later, 'b'.repeat(64), new Date('2026-01-02'));
  const approved = await readApproved(store, 'vm');
  assert.deepEqual([approved?.session_id, approved?.previous], ['fw_2', 'fw_1']);
  assert.ok(lost >= 6, `${lost} writes`);
  proxy.closeAllConnections();
  await new Promise((resolve) => proxy.close(resolve));
});
