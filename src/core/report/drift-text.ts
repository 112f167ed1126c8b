import { printable } from '../diagnostics.ts';
import type { Severity } from '../drift/severity.ts';
import type { LineKind, ReportLine } from './chain-view.ts';
import { type DriftReport, summaryLine } from './drift-report.ts';

/** What a piece of a report is, for who paints it. */
export type ReportStyle = Severity | 'heading' | 'added' | 'removed' | 'changed' | 'moved' | 'dim';

/** Colours a piece of text, or gives it back as it is. */
export type Paint = (style: ReportStyle, text: string) => string;

export const noPaint: Paint = (_style, text) => text;

export interface DriftTextOptions {
  /** The first line, unescaped; empty prints none. */
  readonly title: string;
  readonly paint: Paint;
  /** How to see folded churn, for the summary: `--show-all`. */
  readonly hint: string;
  /** Said at the end of the summary. */
  readonly remarks?: readonly string[];
}

const SIGNS: Readonly<Record<LineKind, string>> = {
  unchanged: ' ',
  added: '+',
  removed: '-',
  changed: '~',
  moved: '>',
  gap: ' ',
};

const STYLES: Readonly<Record<LineKind, ReportStyle | null>> = {
  unchanged: null,
  added: 'added',
  removed: 'removed',
  changed: 'changed',
  moved: 'moved',
  gap: 'dim',
};

const PLACE_WIDTH_MAX = 32;
const SEVERITY_WIDTH = 'CRITICAL'.length;
const POSITION_WIDTH_MIN = 5;

/**
 * A report as text for a terminal: severity and sentence first, then each place drawn with the signs `+ - ~ >`, the
 * summary as the last line. Everything that comes from a firewall is escaped; the signs say all that the colours do.
 */
export function printDriftText(report: DriftReport, options: DriftTextOptions): string {
  const { paint } = options;
  const lines: string[] = [];
  if (options.title !== '') lines.push(paint('heading', printable(options.title)));
  const places = report.findings.map(({ place }) => printable(place));
  const width = Math.min(
    PLACE_WIDTH_MAX,
    places.reduce((most, place) => Math.max(most, place.length), 0),
  );
  for (const [index, { severity, reason }] of report.findings.entries()) {
    const label = paint(severity, severity.toUpperCase().padEnd(SEVERITY_WIDTH));
    lines.push(`  ${label}  ${(places[index] ?? '').padEnd(width)}  ${printable(reason)}`);
  }
  for (const { heading, lines: drawn } of report.sections) {
    if (drawn.length === 0) continue;
    if (lines.length > 0) lines.push('');
    lines.push(`  ${paint('heading', printable(heading))}`);
    const positionWidth = positionWidthOf(drawn);
    for (const one of drawn) lines.push(`  ${drawLine(one, positionWidth, paint)}`);
  }
  if (report.findings.length + report.sections.length > 0) lines.push('');
  lines.push(printable(summaryLine(report, options.hint, options.remarks)));
  return `${lines.join('\n')}\n`;
}

export function positionWidthOf(lines: readonly ReportLine[]): number {
  return lines.reduce((most, { position }) => Math.max(most, position.length), POSITION_WIDTH_MIN);
}

/** `+ 13    -A INPUT …`, escaped; a gap as `  …     9 unchanged`. */
export function drawLine({ kind, position, text, note }: ReportLine, positionWidth: number, paint: Paint): string {
  const column = (kind === 'gap' ? '…' : position).padEnd(positionWidth);
  // Blank positions come with members and attributes, which need no column.
  const place = kind !== 'gap' && position === '' ? '' : `${column} `;
  const said = note === '' ? '' : `  (${printable(note)})`;
  const drawn = `${SIGNS[kind]} ${place}${printable(text)}`;
  const style = STYLES[kind];
  return `${style === null ? drawn : paint(style, drawn)}${said === '' ? '' : paint('dim', said)}`.trimEnd();
}
