import type { VmOutcome } from './contracts.ts';
import { SEVERITIES } from './drift/severity.ts';

/** Orders outcomes as a reader on call wants them: integrity, critical drift, drift, unreadable, unrecorded, the rest. */
export function worstOutcomeFirst(a: VmOutcome, b: VmOutcome): number {
  return rank(a) - rank(b) || severityRank(a) - severityRank(b) || (a.vm_id < b.vm_id ? -1 : a.vm_id > b.vm_id ? 1 : 0);
}

function rank(outcome: VmOutcome): number {
  if (outcome.integrity === 'failed') return 0;
  if (outcome.drift?.has_critical_changes === true) return 1;
  if (outcome.verdict === 'drifted') return 2;
  if (outcome.coverage === 'failed') return 3;
  if (outcome.verdict === 'unrecorded') return 4;
  return outcome.coverage === 'partial' ? 5 : 6;
}

function severityRank(outcome: VmOutcome): number {
  const counts = outcome.drift?.severity_counts;
  if (counts === undefined) return SEVERITIES.length;
  return SEVERITIES.findIndex((severity) => counts[severity] > 0);
}
