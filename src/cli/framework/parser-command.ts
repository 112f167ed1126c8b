import type { Diagnostic } from '../../core/diagnostics.ts';
import { diagnosticDocument, isIncomplete, noteDiagnostics, type PlacedDiagnostic } from './diagnostics-text.ts';
import { usageError } from './errors.ts';
import type { Findings } from './exit-codes.ts';
import { jsonText, type LazyJson } from './json-text.ts';
import type { Invocation, OptionSpec } from './options.ts';
import { type Output, printableLines } from './output.ts';
import { type Input, InputReader } from './read-input.ts';

export const INDENT_OPTION: OptionSpec = {
  name: 'indent',
  value: 'N',
  range: [0, 10],
  default: '2',
  description: 'blanks per level of the JSON document; 0 writes one line',
};

export const PARSER_STRICT_OPTION: OptionSpec = {
  name: 'strict',
  description: 'exit 4 when a part of the input could not be read, or says that it is not all',
};

/** What a parser command can print of its input. */
export interface Printable {
  readonly diagnostics: readonly PlacedDiagnostic[];
  readonly gaps: readonly string[];
  readonly notes: readonly string[];
  /** The JSON document, without `schema_version` and `parse_warnings`, which every one gets. */
  document(): { readonly [key: string]: LazyJson };
  /** The forms in which the ruleset can be printed, by the option that asks for it. */
  readonly prints: Readonly<Record<string, () => string>>;
  /** Name and value. */
  stats(): readonly (readonly [string, string])[];
}

/** Prints the document, or what an option asks for instead; diagnostics go to standard error. */
export async function printParsed(
  parsed: Printable,
  invocation: Invocation,
  output: Output,
  decide: (findings: Findings) => void,
): Promise<void> {
  const { diagnostics, gaps, notes } = parsed;
  decide({
    incomplete:
      invocation.has('strict') && (gaps.length > 0 || diagnostics.some(({ diagnostic }) => isIncomplete(diagnostic))),
  });
  noteDiagnostics(diagnostics, output, Number.POSITIVE_INFINITY);
  for (const note of [...gaps, ...notes]) output.note(`note: ${note}`);
  const form = Object.keys(parsed.prints).find((name) => invocation.has(name));
  if (form !== undefined) {
    const text = parsed.prints[form]?.() ?? '';
    // Byte for byte where a program may read it; escaped where only a person can.
    await output.writeAll(lineChunks(output.isTerminal ? printableLines(text) : text));
  } else if (invocation.has('stats')) {
    await output.write(table([...parsed.stats(), ['diagnostics', diagnosticCounts(diagnostics)]]));
  } else {
    const document = { schema_version: 1, ...parsed.document(), parse_warnings: diagnostics.map(diagnosticDocument) };
    await output.writeAll(jsonText(document, invocation.number('indent', 2)));
  }
}

/** The one operand, or standard input. */
export function readParserInput(invocation: Invocation, output: Output): Promise<Input> {
  const [given = '-'] = invocation.operands;
  if (given === '-' && process.stdin.isTTY) output.note('note: reading standard input; end it with Ctrl-D');
  return new InputReader().read(given);
}

/** Errors: CommandError when more than one of these options is there. */
export function checkExclusive(invocation: Invocation, names: readonly string[]): void {
  const given = names.filter((name) => invocation.has(name)).map((name) => `--${name}`);
  if (given.length > 1) throw usageError(`${given.join(' and ')} exclude each other`, 'run the command once for each');
}

function* lineChunks(text: string): Generator<string> {
  for (let at = 0; at < text.length; at += CHUNK_CHARACTERS) yield text.slice(at, at + CHUNK_CHARACTERS);
}

const CHUNK_CHARACTERS = 1 << 16;

function diagnosticCounts(diagnostics: readonly PlacedDiagnostic[]): string {
  const count = (severity: Diagnostic['severity']): number =>
    diagnostics.filter(({ diagnostic }) => diagnostic.severity === severity).length;
  return `${diagnostics.length} (${count('error')} error, ${count('warning')} warning, ${count('info')} info)`;
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = rows.reduce((most, [name]) => Math.max(most, name.length), 0);
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}\n`).join('');
}

/** `511 of 512 (99.80 %)`. */
export function share(part: number, whole: number): string {
  return whole === 0 ? '0 of 0' : `${part} of ${whole} (${((100 * part) / whole).toFixed(2)} %)`;
}
