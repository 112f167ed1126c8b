import { printable } from '../diagnostics.ts';
import { type DriftReport, summaryLine } from './drift-report.ts';
import { drawLine, noPaint, positionWidthOf } from './drift-text.ts';

export interface DriftMarkdownOptions {
  /** The heading's text, unescaped. */
  readonly title: string;
  /** How to see folded churn; empty says nothing. */
  readonly hint: string;
  /** Said at the end of the summary. */
  readonly remarks?: readonly string[];
  /** Why coverage is not complete: a ticket has no standard error beside it. */
  readonly reasons?: readonly string[];
}

const REASONS_MAX = 20;

/**
 * A report for a ticket: a heading, the summary, a table of what changed, the rules in fenced blocks. What comes from a
 * firewall can neither end the table's row nor the fence, make links, or notify anybody.
 */
export function printDriftMarkdown(report: DriftReport, options: DriftMarkdownOptions): string {
  const blocks = [
    `## ${escapeMarkdown(options.title)}`,
    `**${escapeMarkdown(summaryLine(report, options.hint, options.remarks))}**`,
  ];
  const { reasons = [] } = options;
  if (reasons.length > 0) {
    const items = reasons.slice(0, REASONS_MAX).map((reason) => `- ${escapeMarkdown(reason)}`);
    if (reasons.length > REASONS_MAX) items.push(`- … and ${reasons.length - REASONS_MAX} more`);
    blocks.push(`Not compared, or not in full:\n\n${items.join('\n')}`);
  }
  if (report.findings.length > 0) {
    const rows = report.findings.map(
      ({ severity, place, reason }) => `| ${severity} | ${escapeMarkdown(place)} | ${escapeMarkdown(reason)} |`,
    );
    blocks.push(['| severity | where | change |', '| --- | --- | --- |', ...rows].join('\n'));
  }
  for (const { heading, lines } of report.sections) {
    if (lines.length === 0) continue;
    const width = positionWidthOf(lines);
    const drawn = lines.map((line) => drawLine(line, width, noPaint)).join('\n');
    blocks.push(`### ${escapeMarkdown(heading)}\n\n${fenced(drawn)}`);
  }
  return `${blocks.join('\n\n')}\n`;
}

/** A block whose fence is longer than any run of backticks in it. */
function fenced(text: string): string {
  const longest = (text.match(/`+/g) ?? []).reduce((most, run) => Math.max(most, run.length), 2);
  const fence = '`'.repeat(longest + 1);
  return `${fence}diff\n${text}\n${fence}`;
}

/**
 * Untrusted text as Markdown that shows just that text, on one line. Numeric entities, because by definition they never
 * are markup, and because backslashes before a pipe mean different things to different renderers of tables.
 */
export function escapeMarkdown(text: string): string {
  return printable(text)
    .replace(/[&<>|`*_~[\]\\#$!{}]/g, (character) => `&#${character.charCodeAt(0)};`)
    .replace(/@/g, NO_MENTION)
    .replace(/:\/\//g, '&#58;//')
    .replace(/\bwww\./gi, (start) => `${start.slice(0, -1)}&#46;`);
}

/** Names after an @ are looked for in the rendered text: the joiner that follows, invisible, keeps them from being found. */
const NO_MENTION = '&#64;&#8288;';
