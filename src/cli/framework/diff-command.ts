import { counted } from '../../core/counted.ts';
import { compareSeverity, SEVERITIES, type Severity, worstSeverity } from '../../core/drift/severity.ts';
import type { JsonObject } from '../../core/json.ts';
import { printDriftMarkdown } from '../../core/report/drift-markdown.ts';
import { buildDriftReport, type ReportedFamily, type ReportSection } from '../../core/report/drift-report.ts';
import { printDriftText } from '../../core/report/drift-text.ts';
import {
  diagnosticDocument,
  diagnosticLine,
  isIncomplete,
  noteDiagnostics,
  type PlacedDiagnostic,
} from './diagnostics-text.ts';
import { usageError } from './errors.ts';
import type { Findings } from './exit-codes.ts';
import { jsonText, type LazyJson } from './json-text.ts';
import type { Invocation, OptionSpec } from './options.ts';
import type { Output } from './output.ts';
import type { Input } from './read-input.ts';

/** The options that every diff command has. */
export const DIFF_OPTIONS: readonly OptionSpec[] = [
  {
    name: 'output',
    short: 'o',
    value: 'text|json|markdown',
    choices: ['text', 'json', 'markdown'],
    default: 'text',
    description: 'how the drift is written',
  },
  {
    name: 'color',
    value: 'auto|always|never',
    choices: ['auto', 'always', 'never'],
    default: 'auto',
    description: 'colour of the text output; auto: on a terminal, FORCE_COLOR and NO_COLOR honoured in this order',
  },
  {
    name: 'context',
    value: 'N',
    range: [0, 1_000_000],
    default: '2',
    description: 'unchanged rules shown on either side of a change',
  },
  { name: 'show-all', description: 'show folded churn and recreated rules one by one, and long lists in full' },
  {
    name: 'fail-on',
    value: 'SEVERITY',
    choices: SEVERITIES,
    description: `exit 3 when a change is this severe or worse: ${SEVERITIES.join(', ')}`,
  },
  { name: 'strict', description: 'exit 4 when a part of an input could not be read, or says that it is not all' },
];

/** Two rulesets compared, ready to be reported. */
export interface Comparison {
  /** `ipv4`, `ipv6`, `nft`. */
  readonly family: string;
  readonly baseline: ComparedInput;
  readonly current: ComparedInput;
  /** The family itself first; ipsets may follow. */
  readonly families: readonly ReportedFamily[];
  readonly diagnostics: readonly PlacedDiagnostic[];
  /** What was not compared though it should have been: coverage is partial. */
  readonly gaps: readonly string[];
  readonly notes: readonly string[];
  /** Drawn behind the changes. */
  readonly extraSections: readonly ReportSection[];
  /** Members of the JSON document beside those that every one has. */
  readonly extraMembers: { readonly [key: string]: LazyJson };
}

export interface ComparedInput {
  readonly input: Input;
  readonly ruleCount: number;
}

/** Before anything is read: who types at a terminal need not do so in vain. */
export function checkOneStdin(names: readonly string[]): void {
  if (names.filter((name) => name === '-').length > 1) {
    throw usageError('only one input can be - (standard input)', 'write the other to a file');
  }
}

const DIAGNOSTICS_MAX = 20;

/** Writes the comparison as asked, and says on standard error what a reader of the result has to know. */
export async function reportComparison(
  comparison: Comparison,
  invocation: Invocation,
  output: Output,
  decide: (findings: Findings) => void,
): Promise<void> {
  const { diagnostics, families, notes } = comparison;
  const lacks = [
    ...comparison.gaps,
    ...diagnostics.filter(({ diagnostic }) => isIncomplete(diagnostic)).map(diagnosticLine),
  ];
  const isDrift = families.some(({ drift }) => drift.drift_detected);
  const worst = isDrift ? worstSeverity(severitiesOf(families)) : null;
  const threshold = invocation.text('fail-on') as Severity | undefined;
  const isFailure = worst !== null && threshold !== undefined && compareSeverity(worst, threshold) <= 0;
  const isStrictFailure = invocation.has('strict') && lacks.length > 0;
  decide({ drift: isFailure, incomplete: isStrictFailure });

  const odd = diagnostics.filter(({ diagnostic }) => diagnostic.severity !== 'info');
  noteDiagnostics(odd, output, DIAGNOSTICS_MAX);
  for (const gap of comparison.gaps) output.note(`warning: ${gap}`);
  for (const note of notes) output.note(`note: ${note}`);
  const format = invocation.text('output') ?? 'text';
  await output.writeAll(
    format === 'json'
      ? jsonText(driftDocument(comparison, lacks), 2)
      : [formatReport(comparison, lacks, invocation, output)],
  );
  await output.flush();
  if (worst === null || isFailure || isStrictFailure) return;
  output.note(
    threshold === undefined
      ? `note: drift found, exit 0. Use --fail-on ${worst} to fail this command.`
      : `note: drift found, none of it ${threshold} or worse, exit 0. Use --fail-on ${worst} to fail this command.`,
  );
}

function severitiesOf(families: readonly ReportedFamily[]): Severity[] {
  return SEVERITIES.filter((severity) => families.some(({ drift }) => drift.severity_counts[severity] > 0));
}

function formatReport(
  comparison: Comparison,
  lacks: readonly string[],
  invocation: Invocation,
  output: Output,
): string {
  const { baseline, current, family, families, extraSections } = comparison;
  const report = buildDriftReport(families, {
    context: invocation.number('context', 2),
    showAll: invocation.has('show-all'),
  });
  const complete = { ...report, sections: [...report.sections, ...extraSections] };
  const title = `${family}  ${describeInput(baseline)} → ${describeInput(current)}`;
  const remark = `coverage partial: ${counted(lacks.length, 'reason')}`;
  if (invocation.text('output') === 'markdown') {
    const remarks = lacks.length === 0 ? [] : [remark];
    const options = { title: `Firewall drift: ${title}`, hint: '--show-all', remarks, reasons: lacks };
    return printDriftMarkdown(complete, options);
  }
  const remarks = lacks.length === 0 ? [] : [`${remark} on standard error`];
  const options = { title, hint: '--show-all', remarks };
  return printDriftText(complete, { ...options, paint: output.paint(invocation.text('color') ?? 'auto') });
}

function describeInput({ input, ruleCount }: ComparedInput): string {
  const verified = input.isVerified ? ', sha256 verified' : '';
  return `${input.given === '-' ? 'stdin' : input.given} (${counted(ruleCount, 'rule')}${verified})`;
}

function driftDocument(comparison: Comparison, lacks: readonly string[]): { readonly [key: string]: LazyJson } {
  const { families, family, diagnostics } = comparison;
  const [first] = families;
  return {
    schema_version: 1,
    family,
    baseline: comparison.baseline.input.given,
    current: comparison.current.input.given,
    drift_detected: families.some(({ drift }) => drift.drift_detected),
    has_critical_changes: families.some(({ drift }) => drift.has_critical_changes),
    severity_counts: Object.fromEntries(
      SEVERITIES.map((severity) => [
        severity,
        families.reduce((sum, { drift }) => sum + drift.severity_counts[severity], 0),
      ]),
    ),
    coverage: { status: lacks.length === 0 ? 'complete' : 'partial', reasons: lacks },
    drift: (first?.drift ?? null) as unknown as JsonObject,
    ...comparison.extraMembers,
    parse_warnings: diagnostics.map(diagnosticDocument),
  };
}
