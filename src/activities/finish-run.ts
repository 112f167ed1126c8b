import { artifactNames, type VmPlace } from '../core/artifact-names.ts';
import { documentBytes } from '../core/baseline/integrity.ts';
import type { FinishRunInput, RunCounts, RunReport, VmOutcome, VmTarget } from '../core/contracts.ts';
import { OperationError } from '../core/errors.ts';
import type { SnapshotStore } from '../core/ports.ts';
import { addCounts, countOutcome } from '../core/run-counts.ts';
import { worstOutcomeFirst } from '../core/run-report.ts';
import { readDocument, readOutcome, readRequest, readTargetsPage, summarize, type TargetsIndex } from './documents.ts';
import { failureOutcome } from './record-failure.ts';
import type { InspectionServices } from './services.ts';

const READS_AT_ONCE = 16;

/** Gathers the outcomes that were stored into the run's report. A VM without one is reported as a failure, not left out. */
export const makeFinishRun =
  ({ store }: Pick<InspectionServices, 'store'>) =>
  async ({ runId, vms, startedAt, finishedAt }: FinishRunInput): Promise<RunCounts> => {
    const request = await readRequest(store, runId);
    const outcomes: VmOutcome[] = [];
    const { pages } = await readDocument<TargetsIndex>(store, 'runs', artifactNames.targetsIndex(runId));
    for (let page = 0; page < pages; page += 1) {
      const targets = await readTargetsPage(store, runId, page);
      for (let from = 0; from < targets.length; from += READS_AT_ONCE) {
        const batch = targets.slice(from, from + READS_AT_ONCE).map(async (target, offset) => {
          return storedOutcome(store, runId, { page, index: from + offset }, target);
        });
        outcomes.push(...(await Promise.all(batch)));
      }
    }
    const counts = addCounts(outcomes.map((outcome) => countOutcome(summarize(outcome))));
    const report: RunReport = {
      schema_version: 1,
      run_id: runId,
      session_id: runId,
      mode: request.mode,
      trigger: request.trigger,
      baseline: request.baseline,
      started_at: startedAt,
      finished_at: finishedAt,
      counts: { ...counts, vms },
      outcomes: outcomes.sort(worstOutcomeFirst),
    };
    // Run again, this activity answers with the report that stands.
    const name = artifactNames.runReport(runId);
    if ((await store.create('runs', name, documentBytes(report))) === 'created') return report.counts;
    return (await readDocument<RunReport>(store, 'runs', name)).counts;
  };

async function storedOutcome(
  store: SnapshotStore,
  runId: string,
  place: VmPlace,
  target: VmTarget,
): Promise<VmOutcome> {
  try {
    return (await readOutcome(store, runId, place)) ?? failureOutcome(target, NOTHING_RECORDED);
  } catch (error) {
    if (!(error instanceof OperationError) || error.retryable) throw error;
    const { code, subject, what, nextStep } = error;
    return failureOutcome(target, { reason: 'internal_error', code, message: `${subject}: ${what}`, nextStep });
  }
}

const NOTHING_RECORDED = {
  reason: 'internal_error',
  code: 'RUN_OUTCOME_MISSING',
  message: 'nothing was recorded for this VM',
} as const;
