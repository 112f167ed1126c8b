import { counted } from '../../core/counted.ts';
import { printable } from '../../core/diagnostics.ts';
import type { ComparedSide, DriftDocument } from '../../core/drift/drift-document.ts';
import { compareSeverity, SEVERITIES, type Severity } from '../../core/drift/severity.ts';
import type { HostFirewall } from '../../core/host-firewall.ts';
import type { Json } from '../../core/json.ts';
import { escapeMarkdown, printDriftMarkdown } from '../../core/report/drift-markdown.ts';
import { buildDriftReport, type ReportedFamily, type RuleSource } from '../../core/report/drift-report.ts';
import { type Paint, printDriftText } from '../../core/report/drift-text.ts';
import { summarizeRulesets } from '../../core/report/ruleset-summary.ts';
import { iptablesRuleSource } from '../iptables/rule-source.ts';
import { nftRuleSource } from '../nftables/rule-source.ts';

export type Format = 'text' | 'json' | 'markdown';

export interface ReportStyleOptions {
  readonly format: Exclude<Format, 'json'>;
  readonly showAll: boolean;
  readonly paint: Paint;
}

const CONTEXT = 2;
const REASONS_MAX = 5;

/** A comparison for people. */
export function printComparison(
  baseline: ComparedSide,
  current: ComparedSide,
  drift: DriftDocument,
  { format, showAll, paint }: ReportStyleOptions,
): string {
  const families = Object.entries(drift.drift_by_family).map(
    ([family, familyDrift]): ReportedFamily => ({
      family,
      drift: familyDrift,
      ...ruleSources(family, baseline.firewall, current.firewall),
    }),
  );
  const report = buildDriftReport(families, { context: CONTEXT, showAll });
  const verified = `baseline ${drift.baseline_session} (sha256 ${drift.baseline_sha256.slice(0, 8)}… verified)`;
  const title = [drift.vm_name, frameworkText(drift), verified].join('  ');
  const remarks = coverageRemark(drift);
  const options = { title, hint: '--show-all', remarks };
  return format === 'markdown'
    ? printDriftMarkdown(report, {
        ...options,
        title: `Firewall drift: ${title}`,
        reasons: drift.coverage.reasons,
      })
    : printDriftText(report, { ...options, paint });
}

/** The worst severity of what counts as drift; null without drift. */
export function worstOf(drift: DriftDocument): Severity | null {
  if (!drift.drift_detected) return null;
  return SEVERITIES.find((severity) => drift.severity_counts[severity] > 0) ?? null;
}

export function isAtLeast(worst: Severity | null, threshold: Severity | undefined): boolean {
  return worst !== null && threshold !== undefined && compareSeverity(worst, threshold) <= 0;
}

function frameworkText({ framework }: DriftDocument): string {
  const { baseline, current } = framework;
  return baseline === current ? current : `${baseline} → ${current}`;
}

function ruleSources(
  family: string,
  baseline: HostFirewall,
  current: HostFirewall,
): { baseline: RuleSource | null; current: RuleSource | null } {
  if (family === 'nft') return { baseline: nftSource(baseline), current: nftSource(current) };
  const now = current.iptables.find(({ key }) => key === family);
  const before =
    now === undefined
      ? baseline.iptables.find(({ key }) => key === family)
      : baseline.iptables.find((source) => source.family === now.family && source.backend === now.backend);
  return {
    baseline: before === undefined ? null : iptablesRuleSource(before.ruleset),
    current: now === undefined ? null : iptablesRuleSource(now.ruleset),
  };
}

function nftSource({ nft }: HostFirewall): RuleSource | null {
  return nft === null ? null : nftRuleSource(nft);
}

/** For the summary line; the reasons are a note each. */
export function coverageRemark({ coverage }: DriftDocument): string[] {
  const { length } = coverage.reasons;
  return coverage.status === 'complete' ? [] : [`coverage ${coverage.status} (${counted(length, 'reason')})`];
}

function coverageRemarks(status: string, reasons: readonly string[]): string[] {
  if (status === 'complete') return [];
  const shown = reasons.slice(0, REASONS_MAX).map((reason) => `coverage ${status}: ${reason}`);
  return reasons.length > shown.length ? [...shown, `… and ${reasons.length - shown.length} more reasons`] : shown;
}

const CLOSED_MAX = 6;

/** A snapshot for people: what was read, what is closed by default. */
export function printSnapshot(
  snapshot: { readonly [field: string]: unknown },
  sha256: string,
  remark: string,
  format: Exclude<Format, 'json'>,
): string {
  const title = `${text(snapshot['vm_name'])}  ${text(snapshot['framework'])}  ${text(snapshot['session_id'])}`;
  const coverage = asObject(snapshot['coverage']);
  const reasons = Array.isArray(coverage['reasons']) ? coverage['reasons'].map(text) : [];
  const lines = summarizeRulesets(snapshot).map(({ name, tables, chains, rules, closed }) => {
    const more = closed.length > CLOSED_MAX ? `, … ${closed.length - CLOSED_MAX} more` : '';
    const policies = closed.length === 0 ? '' : `; default: ${closed.slice(0, CLOSED_MAX).join(', ')}${more}`;
    return `${name}: ${counted(tables, 'table')}, ${counted(chains, 'chain')}, ${counted(rules, 'rule')}${policies}`;
  });
  lines.push(...coverageRemarks(text(coverage['status']) || 'complete', reasons));
  lines.push(`taken ${text(snapshot['snapshot_at'])}, sha256 ${sha256.slice(0, 16)}…`);
  if (remark !== '') lines.push(remark);
  if (format === 'markdown') {
    return `## Firewall snapshot: ${escapeMarkdown(title)}\n\n${lines.map((line) => `- ${escapeMarkdown(line)}`).join('\n')}\n`;
  }
  return `${[title, ...lines.map((line) => `  ${line}`)].map(printable).join('\n')}\n`;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function asObject(value: unknown): { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as { [key: string]: Json }) : {};
}
