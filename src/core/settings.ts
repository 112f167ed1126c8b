import { DEFAULT_RUN_SETTINGS, type RunSettings } from './contracts.ts';
import { OperationError } from './errors.ts';

/** The app's settings, read once from an environment object. Every name is listed in docs/settings.md. */
export interface Settings {
  readonly armEndpoint: string;
  readonly storage: StorageSetting;
  readonly run: RunSettings;
  /** What the timer sweeps: JSON of a selector; null when no sweep is configured. */
  readonly sweepSelectorJson: string | null;
  readonly historyDays: number;
}

export type StorageSetting =
  | { readonly kind: 'connectionString'; readonly value: string }
  | { readonly kind: 'serviceUri'; readonly value: string };

type Environment = Readonly<Record<string, string | undefined>>;

/** Errors: `CONFIG_SETTING`, naming the setting and never its value. */
export function parseSettings(env: Environment): Settings {
  return {
    armEndpoint: text(env, 'ARM_ENDPOINT') ?? 'https://management.azure.com',
    storage: storageSetting(env),
    run: parseRunSettings(env),
    sweepSelectorJson: text(env, 'DRIFT_SWEEP_SELECTOR'),
    historyDays: integer(env, 'HISTORY_DAYS', 30, 1, 3650),
  };
}

/** How a VM is read; the command line reads these without the rest. Errors: `CONFIG_SETTING`. */
export function parseRunSettings(env: Environment): RunSettings {
  return {
    lanes: integer(env, 'RUN_LANES', DEFAULT_RUN_SETTINGS.lanes, 1, 64),
    pageSize: integer(env, 'RUN_PAGE_SIZE', DEFAULT_RUN_SETTINGS.pageSize, 1, 50),
    pollSeconds: integer(env, 'RUN_POLL_SECONDS', DEFAULT_RUN_SETTINGS.pollSeconds, 1, 300),
    vmDeadlineSeconds: integer(env, 'RUN_VM_DEADLINE_SECONDS', DEFAULT_RUN_SETTINGS.vmDeadlineSeconds, 30, 21_600),
    slicesMax: integer(env, 'RUN_SLICES_MAX', DEFAULT_RUN_SETTINGS.slicesMax, 1, 400),
    recapturesMax: integer(env, 'RUN_RECAPTURES_MAX', DEFAULT_RUN_SETTINGS.recapturesMax, 0, 10),
    attemptsMax: integer(env, 'RUN_ATTEMPTS_MAX', DEFAULT_RUN_SETTINGS.attemptsMax, 1, 20),
  };
}

function storageSetting(env: Environment): StorageSetting {
  const connectionString = text(env, 'BASELINE_STORAGE');
  if (connectionString !== null) return { kind: 'connectionString', value: connectionString };
  const serviceUri = text(env, 'BASELINE_STORAGE__blobServiceUri');
  if (serviceUri !== null) return { kind: 'serviceUri', value: serviceUri };
  throw new OperationError('CONFIG_SETTING', 'BASELINE_STORAGE__blobServiceUri', 'not set', {
    nextStep: 'set it to https://<account>.blob.core.windows.net, or BASELINE_STORAGE to a connection string',
  });
}

function text(env: Environment, name: string): string | null {
  const value = env[name]?.trim() ?? '';
  return value === '' ? null : value;
}

function integer(env: Environment, name: string, fallback: number, min: number, max: number): number {
  const value = text(env, name);
  if (value === null) return fallback;
  const number = Number(value);
  if (Number.isInteger(number) && number >= min && number <= max) return number;
  throw new OperationError('CONFIG_SETTING', name, `not a whole number from ${min} to ${max}`);
}
