import { styleText } from 'node:util';
import { REPORT_STYLES } from '../src/cli/framework/report-styles.ts';
import type { RunReport, VmOutcome } from '../src/core/contracts.ts';
import { printable } from '../src/core/diagnostics.ts';
import type { DriftDocument } from '../src/core/drift/drift-document.ts';
import { buildDriftReport } from '../src/core/report/drift-report.ts';
import { type Paint, printDriftText } from '../src/core/report/drift-text.ts';

const paint = (format: Parameters<typeof styleText>[0], text: string) =>
  styleText(format, text, { stream: process.stdout });

/** A fleet run as a table: one line a VM, what needs a person first. */
export function reportText(report: RunReport): string {
  const rows = report.outcomes.map((outcome) => [
    printable(outcome.vm_name),
    status(outcome),
    outcome.framework ?? '-',
    outcome.slices === null ? '-' : String(outcome.slices),
    note(outcome),
  ]);
  return table([['vm', 'result', 'framework', 'slices', ''], ...rows]);
}

function status(outcome: VmOutcome): string {
  if (outcome.integrity === 'failed') return 'INTEGRITY FAILED';
  if (outcome.coverage === 'failed') return 'not readable';
  if (outcome.verdict === 'drifted')
    return outcome.drift?.has_critical_changes === true ? 'DRIFTED, critical' : 'drifted';
  if (outcome.verdict === 'in_sync') return 'in sync';
  if (outcome.verdict === 'unrecorded') return 'no baseline';
  return 'baselined';
}

function note(outcome: VmOutcome): string {
  if (outcome.problem !== null) return printable(`${outcome.problem.message}`);
  if (outcome.drift !== null) return printable(outcome.drift.top[0] ?? '');
  return outcome.coverage === 'partial' ? printable(`partial: ${outcome.coverage_reasons[0] ?? ''}`) : '';
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '),
    )
    .map((line, index) => (index === 0 ? paint('dim', line.trimEnd()) : line.trimEnd()))
    .join('\n');
}

/** A drift document for people: severity and reason first, then the rules, churn folded with its count. */
export function driftText(drift: DriftDocument): string {
  const families = Object.entries(drift.drift_by_family).map(([family, one]) => ({
    family,
    drift: one,
    baseline: null,
    current: null,
  }));
  const title = `${drift.vm_name}  ${drift.framework.current}  baseline ${drift.baseline_session} (sha256 ${drift.baseline_sha256.slice(0, 8)}… verified)`;
  const report = buildDriftReport(families, { context: 0, showAll: false });
  return printDriftText(report, { title, paint: paintReport, hint: '' }).trimEnd();
}

const paintReport: Paint = (style, text) => paint(REPORT_STYLES[style], text);
