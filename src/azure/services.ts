import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DefaultAzureCredential } from '@azure/identity';
import { BlobServiceClient } from '@azure/storage-blob';
import type { InspectionServices } from '../activities/services.ts';
import { parseSettings, type Settings } from '../core/settings.ts';
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
  const blobs =
    settings.storage.kind === 'connectionString'
      ? BlobServiceClient.fromConnectionString(settings.storage.value)
      : new BlobServiceClient(settings.storage.value, credential);
  return {
    settings,
    store: new BlobSnapshotStore(blobs),
    directory: new AzureVmDirectory(clients),
    runner: new AzureRunCommandRunner(clients),
    probeText: readFileSync(join(packageRoot(), 'probe', 'probe.sh'), 'utf8'),
    now: () => new Date(),
  };
}

/** The deployed package's root, from `src/` and from `dist/src/` alike. */
function packageRoot(): string {
  const aboveSource = dirname(dirname(import.meta.dirname));
  return aboveSource.endsWith('dist') ? dirname(aboveSource) : aboveSource;
}
