import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface LocalStorage {
  readonly connectionString: string;
  readonly blobEndpoint: string;
  stop(): Promise<void>;
}

// Azurite's well-known development account: not a secret, the same on every machine.
const ACCOUNT = 'devstoreaccount1';
const KEY = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';

interface BlobServer {
  start(): Promise<void>;
  close(): Promise<void>;
  getHttpServerAddress(): string;
}

/**
 * Azurite's blob service in this process, in memory, on a free port; it has no programming interface of its own, so this
 * uses its classes as its own command line does. The API version check is off: the SDK is always newer than Azurite.
 */
export async function startAzurite(port = 0): Promise<LocalStorage> {
  const require = createRequire(import.meta.url);
  const { default: Server } = require('azurite/dist/src/blob/BlobServer') as {
    default: new (configuration: unknown) => BlobServer;
  };
  const { default: Configuration } = require('azurite/dist/src/blob/BlobConfiguration') as {
    default: new (...values: unknown[]) => unknown;
  };
  const directory = mkdtempSync(join(tmpdir(), 'netfilter-inspector-azurite-'));
  const extents = [{ locationId: 'Default', locationPath: join(directory, 'extents'), maxConcurrency: 50 }];
  const configuration = new Configuration(
    '127.0.0.1',
    port,
    5,
    join(directory, 'meta.json'),
    join(directory, 'extents.json'),
    extents,
    false, // access log
    undefined,
    false, // debug log
    undefined,
    false, // loose
    true, // skip the API version check
    undefined,
    undefined,
    undefined,
    undefined,
    false,
    true, // in memory
  );
  const server = new Server(configuration);
  await server.start();
  const blobEndpoint = `${server.getHttpServerAddress()}/${ACCOUNT}`;
  return {
    blobEndpoint,
    connectionString: `DefaultEndpointsProtocol=http;AccountName=${ACCOUNT};AccountKey=${KEY};BlobEndpoint=${blobEndpoint};`,
    async stop() {
      await server.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
