import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { BlobSnapshotStore } from '../src/azure/blob-store.ts';
import { type ArmSimulator, startArmSimulator } from './arm/arm-simulator.ts';
import { type LocalStorage, startAzurite } from './azurite.ts';
import { DEMO_SUBSCRIPTION_ID } from './fleet/demo-fleet.ts';
import { type Fleet, startFleet } from './fleet/fleet.ts';
import { type SpawnedHost, spawnFunctionsHost } from './host/spawn-host.ts';
import { type IdentityEndpoint, startIdentityEndpoint } from './identity-endpoint.ts';
import { repositoryRoot } from './repository-root.ts';

export interface EnvironmentOptions {
  readonly fleetMode?: 'kernel' | 'replay' | 'auto';
  /** Port of the Functions host; 0 takes a free one. */
  readonly port?: number;
  /** Told what is being started, for a progress line. */
  readonly progress?: (what: string) => void;
  /** One line of the host's log. */
  readonly log?: (line: string) => void;
  readonly settings?: Readonly<Record<string, string>>;
  /** How much faster than the clock durable timers run; the app's schedules are off then, and run by hand. */
  readonly timeScale?: number;
  /** Keeps the host's state when the host is restarted on it; by default a directory that goes with the environment. */
  readonly stateDirectory?: string;
}

/** Everything the app meets in Azure, on this machine: storage, an identity, ARM, VMs, and a host that runs it. */
export interface LocalEnvironment {
  readonly url: string;
  readonly functionKey: string;
  /** For `POST /admin/functions/{name}`, which runs a timer by hand. */
  readonly masterKey: string;
  readonly storage: LocalStorage;
  readonly store: BlobSnapshotStore;
  readonly blobs: BlobServiceClient;
  readonly arm: ArmSimulator;
  readonly fleet: Fleet;
  readonly subscriptionId: string;
  /** Ends the host's process as a crash would, and starts it again on the same state; the URL may change. */
  restartHost(signal?: NodeJS.Signals): Promise<void>;
  stop(): Promise<void>;
}

export async function startEnvironment(options: EnvironmentOptions = {}): Promise<LocalEnvironment> {
  const progress = options.progress ?? (() => {});
  const undo: (() => Promise<void> | void)[] = [];
  const stop = async () => {
    for (const step of undo.splice(0).reverse()) await step();
  };
  try {
    progress('storage (Azurite)');
    const storage = await startAzurite();
    undo.push(() => storage.stop());
    const blobs = BlobServiceClient.fromConnectionString(storage.connectionString);
    const store = new BlobSnapshotStore(blobs);
    await store.createContainers();

    progress('identity endpoint');
    const identity = await startIdentityEndpoint();
    undo.push(() => identity.stop());

    progress('fleet of Linux VMs');
    const fleet = await startFleet({ mode: options.fleetMode ?? 'auto' });
    undo.push(() => fleet.stop());

    progress('ARM simulator');
    const arm = await startArmSimulator({ vms: fleet.vms, executeScript: fleet.executeScript, minimumRunMs: 300 });
    undo.push(() => arm.stop());

    progress('Functions host');
    const stateDirectory = options.stateDirectory ?? mkdtempSync(join(tmpdir(), 'netfilter-inspector-state-'));
    if (options.stateDirectory === undefined) undo.push(() => rmSync(stateDirectory, { recursive: true, force: true }));
    const functionKey = newKey();
    const masterKey = newKey();
    const settings = appSettings(storage, identity, arm, options.settings ?? {});
    const args = [
      '--state',
      stateDirectory,
      '--port',
      String(options.port ?? 0),
      '--function-key',
      functionKey,
      '--master-key',
      masterKey,
    ];
    if (options.timeScale !== undefined) args.push('--time-scale', String(options.timeScale), '--no-timers');
    const start = () => startHost(settings, args, options.log ?? (() => {}));
    let host = await start();
    undo.push(() => host.stop());

    return {
      get url() {
        return host.url;
      },
      functionKey,
      masterKey,
      storage,
      store,
      blobs,
      arm,
      fleet,
      subscriptionId: DEMO_SUBSCRIPTION_ID,
      async restartHost(signal: NodeJS.Signals = 'SIGKILL') {
        await host.stop(signal);
        host = await start();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Hexadecimal: a key must never look like an option on the host's command line. */
function newKey(): string {
  return randomBytes(20).toString('hex');
}

function appSettings(
  storage: LocalStorage,
  identity: IdentityEndpoint,
  arm: ArmSimulator,
  more: Readonly<Record<string, string>>,
): Record<string, string> {
  return {
    AzureWebJobsStorage: storage.connectionString,
    FUNCTIONS_WORKER_RUNTIME: 'node',
    TASKHUB_NAME: 'NetfilterInspectorLocal',
    BASELINE_STORAGE: storage.connectionString,
    ARM_ENDPOINT: arm.url,
    AZURE_TOKEN_CREDENTIALS: 'ManagedIdentityCredential',
    DRIFT_SWEEP_SCHEDULE: '0 0 */6 * * *',
    ...identity.settings,
    ...more,
  };
}

/** The host runs in a process of its own, so that it can be killed like one. */
function startHost(
  settings: Record<string, string>,
  args: readonly string[],
  log: (line: string) => void,
): Promise<SpawnedHost> {
  return spawnFunctionsHost({
    appDirectory: repositoryRoot,
    args,
    env: settings,
    // What it says on stdout is for this process only: the ready line carries the keys.
    onLine: (stream, line) => {
      if (stream === 'stderr') log(line);
    },
  });
}
