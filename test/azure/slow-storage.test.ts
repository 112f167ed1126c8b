import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { BlobServiceClient } from '@azure/storage-blob';
import { BlobSnapshotStore } from '../../src/azure/blob-store.ts';
import { OperationError } from '../../src/core/errors.ts';

test('storage that takes the connection and never answers is an error that may be tried again, in time', async () => {
  let stall: 'head' | 'body' = 'head';
  const server = createServer((_request, response) => {
    if (stall === 'body') response.writeHead(200, { 'content-length': '100', etag: '"1"' }).write('{');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const store = new BlobSnapshotStore(new BlobServiceClient(`http://127.0.0.1:${port}/account`), { timeoutMs: 200 });
  const listed = async () => {
    for await (const _name of store.list('runs', ''));
  };
  const asks: (() => Promise<unknown>)[] = [
    () => store.create('baselines', 'vm/a.json', new Uint8Array(1)),
    () => store.read('baselines', 'vm/a.json'),
    () => store.replace('state', 'vm/approved.json', new Uint8Array(1), null),
    listed,
  ];
  for (const ask of asks) {
    await assert.rejects(ask, (error) => {
      assert.ok(error instanceof OperationError, String(error));
      assert.deepEqual([error.code, error.retryable], ['BLOB_FAILED', true]);
      return true;
    });
  }
  stall = 'body';
  await assert.rejects(store.read('baselines', 'vm/a.json'), /BLOB_FAILED/);
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});
