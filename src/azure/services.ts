import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DefaultAzureCredential, type TokenCredential } from '@azure/identity';
import { BlobServiceClient } from '@azure/storage-blob';
import type { InspectionServices } from '../activities/services.ts';
import { OperationError } from '../core/errors.ts';
import { parseSettings, type Settings, type StorageSetting } from '../core/settings.ts';
import { BlobSnapshotStore } from './blob-store.ts';
import { ComputeClients } from './compute-clients.ts';
import { AzureRunCommandRunner } from './run-command-runner.ts';
import { AzureVmDirectory } from './vm-directory.ts';

export interface AppServices extends InspectionServices {
  readonly settings: Settings;
}

let made: AppServices | undefined;

/** The deployed app's services, made at first use: loading the app must not fail because a setting is missing. */
export function appServices(): AppServices {
  made ??= makeAzureServices(process.env);
  return made;
}

export function makeAzureServices(env: Readonly<Record<string, string | undefined>>): AppServices {
  const settings = parseSettings(env);
  const credential = new DefaultAzureCredential();
  const clients = new ComputeClients({ credential, endpoint: settings.armEndpoint });
  return {
    settings,
    store: new BlobSnapshotStore(blobService(settings.storage, credential)),
    directory: new AzureVmDirectory(clients),
    runner: new AzureRunCommandRunner(clients),
    probeText: readFileSync(join(packageRoot(), 'probe', 'probe.sh'), 'utf8'),
    now: () => new Date(),
  };
}

/** Errors: `CONFIG_SETTING`; what the SDK says of a setting may quote it, and a connection string holds a key. */
function blobService({ kind, value }: StorageSetting, credential: TokenCredential): BlobServiceClient {
  const connectionString = kind === 'connectionString';
  const fault = (): OperationError =>
    new OperationError(
      'CONFIG_SETTING',
      connectionString ? 'BASELINE_STORAGE' : 'BASELINE_STORAGE__blobServiceUri',
      connectionString ? 'not a connection string of a storage account' : 'not an https address',
    );
  if (!connectionString && URL.parse(value)?.protocol !== 'https:') throw fault();
  try {
    return connectionString ? BlobServiceClient.fromConnectionString(value) : new BlobServiceClient(value, credential);
  } catch {
    throw fault();
  }
}

/** The deployed package's root, from `src/` and from `dist/src/` alike. */
function packageRoot(): string {
  const aboveSource = dirname(dirname(import.meta.dirname));
  return aboveSource.endsWith('dist') ? dirname(aboveSource) : aboveSource;
}
