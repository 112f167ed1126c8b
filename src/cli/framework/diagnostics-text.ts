import type { Diagnostic } from '../../core/diagnostics.ts';
import type { JsonObject } from '../../core/json.ts';
import type { Output } from './output.ts';

/** A diagnostic and the input that it is about. */
export interface PlacedDiagnostic {
  /** The input's name, escaped. */
  readonly input: string;
  readonly diagnostic: Diagnostic;
}

/** Codes of diagnostics that are no errors of the text, and say that rules exist which it does not show. */
const HIDDEN_RULES: ReadonlySet<string> = new Set(['IPT_LEGACY_TABLES_PRESENT', 'IPT_INCOMPATIBLE_TABLE']);

/** The input does not hold all that it should: coverage is partial. */
export function isIncomplete({ severity, code }: Diagnostic): boolean {
  return severity === 'error' || HIDDEN_RULES.has(code);
}

/** `before.rules:12:5: warning IPT_UNKNOWN_OPTION not an option of tcp [--dprot 22]`. */
export function diagnosticLine({ input, diagnostic }: PlacedDiagnostic): string {
  const { code, severity, line, column, message, excerpt } = diagnostic;
  const place = line === 0 ? input : column === 0 ? `${input}:${line}` : `${input}:${line}:${column}`;
  return `${place}: ${severity} ${code} ${message}${excerpt === '' ? '' : ` [${excerpt}]`}`;
}

export function diagnosticDocument({ input, diagnostic }: PlacedDiagnostic): JsonObject {
  return { input, ...diagnostic };
}

/**
 * One line each on standard error.
 *
 * @param max  lines; the rest is counted
 */
export function noteDiagnostics(diagnostics: readonly PlacedDiagnostic[], output: Output, max: number): void {
  for (const one of diagnostics.slice(0, max)) output.note(diagnosticLine(one));
  if (diagnostics.length > max) output.note(`… and ${diagnostics.length - max} more; the parser command lists all`);
}
