import { styleText } from 'node:util';
import type { RunReport, VmOutcome } from '../src/core/contracts.ts';
import { printable } from '../src/core/diagnostics.ts';
import { type DriftDocument, listedChanges } from '../src/core/drift/drift-document.ts';
import type { DocumentedChange } from '../src/core/drift/family-drift.ts';
import type { Severity } from '../src/core/drift/severity.ts';

const paint = (format: Parameters<typeof styleText>[0], text: string) =>
  styleText(format, text, { stream: process.stdout });

const SEVERITY_STYLE: Record<Severity, Parameters<typeof styleText>[0]> = {
  critical: ['bold', 'red'],
  high: 'red',
  medium: 'yellow',
  low: 'cyan',
  noise: 'gray',
};

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
  const lines = [
    `${paint('bold', printable(drift.vm_name))}  ${drift.framework.current}  baseline ${drift.baseline_session} (sha256 ${drift.baseline_sha256.slice(0, 8)}… verified)`,
  ];
  for (const { family, kind, change } of listedChanges(drift.drift_by_family)) {
    const place = [family, change.table, change.chain]
      .filter((part) => part !== null)
      .map((part) => printable(String(part)));
    lines.push(
      `  ${paint(SEVERITY_STYLE[change.severity], change.severity.toUpperCase())}  ${place.join(' ')}  ${printable(change.reason)}`,
    );
    for (const line of changeLines(kind, change)) lines.push(`    ${line}`);
  }
  for (const [family, { ephemeral_summary }] of Object.entries(drift.drift_by_family)) {
    for (const [owner, places] of Object.entries(ephemeral_summary)) {
      const count = Object.values(places).reduce((sum, each) => sum + each, 0);
      lines.push(
        paint(
          'gray',
          `  folded: ${count} in ${family} by ${printable(owner)} (${Object.keys(places).map(printable).join(', ')})`,
        ),
      );
    }
  }
  return lines.join('\n');
}

function changeLines(kind: string, change: DocumentedChange): string[] {
  const text = (value: unknown) => printable(typeof value === 'string' ? value : JSON.stringify(value));
  const removed = (value: unknown) => paint('red', `- ${text(value)}`);
  const added = (value: unknown) => paint('green', `+ ${text(value)}`);
  const { rule, before, after, baseline_policy, current_policy, baseline_position, current_position } = change;
  if (kind === 'rules_modified') return [removed(before), added(after)];
  if (kind === 'policy_changes') return [removed(`policy ${baseline_policy}`), added(`policy ${current_policy}`)];
  if (kind === 'rules_repositioned') return [`> ${baseline_position}→${current_position} ${text(rule)}`];
  if (rule === undefined) return [];
  if (kind === 'rules_added') return [added(rule)];
  if (kind === 'rules_removed') return [removed(rule)];
  return [`~ ${text(rule)}`];
}
