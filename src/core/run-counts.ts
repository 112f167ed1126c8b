import type { OutcomeSummary, RunCounts } from './contracts.ts';

export const NO_COUNTS: RunCounts = {
  vms: 0,
  baselined: 0,
  in_sync: 0,
  drifted: 0,
  critical: 0,
  unrecorded: 0,
  partial: 0,
  not_readable: 0,
  integrity_failed: 0,
};

export function countOutcome(outcome: OutcomeSummary): RunCounts {
  return {
    vms: 1,
    baselined: Number(outcome.baselined),
    in_sync: Number(outcome.verdict === 'in_sync'),
    drifted: Number(outcome.verdict === 'drifted'),
    critical: Number(outcome.critical),
    unrecorded: Number(outcome.verdict === 'unrecorded'),
    partial: Number(outcome.coverage === 'partial'),
    not_readable: Number(outcome.coverage === 'failed'),
    integrity_failed: Number(outcome.integrity === 'failed'),
  };
}

export function addCounts(counts: readonly RunCounts[]): RunCounts {
  const keys = Object.keys(NO_COUNTS) as (keyof RunCounts)[];
  const sum = (key: keyof RunCounts) => counts.reduce((total, each) => total + each[key], 0);
  return Object.fromEntries(keys.map((key) => [key, sum(key)])) as unknown as RunCounts;
}
