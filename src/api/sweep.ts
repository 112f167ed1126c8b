import { sessionIdAt } from '../core/baseline/session-id.ts';
import { ORCHESTRATIONS, type RunSettings, type SweepInput } from '../core/contracts.ts';
import { OperationError } from '../core/errors.ts';
import type { DurableClient } from './http.ts';
import { selectorSchema } from './run-schema.ts';

/** One instance id for all sweeps: while one lives, another cannot be started. The colon keeps it from being a run's. */
export const SWEEP_INSTANCE = 'sweep:drift';

export interface SweepServices {
  readonly settings: { readonly run: RunSettings; readonly sweepSelectorJson: string | null };
  readonly now: () => Date;
  readonly log: (message: string) => void;
}

/** Starts a drift run over the configured fleet, unless one is still going on. Answers what it did. */
export async function startSweep(
  client: DurableClient,
  services: SweepServices,
): Promise<'started' | 'running' | 'not_configured'> {
  const { sweepSelectorJson, run } = services.settings;
  if (sweepSelectorJson === null) {
    services.log('drift-sweep: DRIFT_SWEEP_SELECTOR is not set, nothing to sweep');
    return 'not_configured';
  }
  if (await isLive(client)) {
    services.log('drift-sweep: the sweep before this one is still going on, this one is left out');
    return 'running';
  }
  const now = services.now();
  // Schedulers like full hours: a run that somebody asks for in this very second has an id without the ending.
  const runId = `${sessionIdAt(now)}_sweep`;
  const input: SweepInput = {
    runId,
    settings: run,
    selector: parseSelector(sweepSelectorJson),
    requestedAt: now.toISOString(),
  };
  try {
    await client.startNew(ORCHESTRATIONS.sweepFleet, { instanceId: SWEEP_INSTANCE, input });
  } catch (error) {
    // Two timers at once: the extension refuses to start a live instance a second time.
    if (await isLive(client)) return 'running';
    throw error;
  }
  services.log(`drift-sweep: started run ${runId}`);
  return 'started';
}

async function isLive(client: DurableClient): Promise<boolean> {
  try {
    const { runtimeStatus } = await client.getStatus(SWEEP_INSTANCE);
    return ['Pending', 'Running', 'ContinuedAsNew', 'Suspended'].includes(runtimeStatus);
  } catch (error) {
    if (error instanceof Error && /\b404\b/.test(error.message)) return false;
    throw error;
  }
}

function parseSelector(text: string): SweepInput['selector'] {
  const invalid = (what: string) =>
    new OperationError('CONFIG_SETTING', 'DRIFT_SWEEP_SELECTOR', what, {
      nextStep: 'give a selector as in POST /api/v1/runs',
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw invalid('not JSON');
  }
  const result = selectorSchema.safeParse(value);
  if (!result.success) throw invalid('not a selector');
  return result.data;
}
