import { excerpt, printable } from '../../core/diagnostics.ts';
import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import type { PlacedDiagnostic } from './diagnostics-text.ts';
import { CommandError } from './errors.ts';
import type { Input } from './read-input.ts';

/** What a JSON document says beside its ruleset. */
export interface RulesetDocument {
  readonly ruleset: JsonObject;
  /** The whole snapshot, where the ruleset lay in one. */
  readonly snapshot: JsonObject | null;
  /** Of the text that the document was made from. */
  readonly diagnostics: readonly PlacedDiagnostic[];
  /** Why the document does not hold everything; empty when it does. */
  readonly gaps: readonly string[];
  readonly notes: readonly string[];
}

/** JSON text of a document, and not of nft: it starts with a brace. */
export function startsLikeJson(text: string): boolean {
  return /^\s*[{[]/.test(text);
}

/** Errors: CommandError when it is no JSON object. */
export function parseObject(input: Input): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(input.text) as Json;
  } catch (error) {
    const reason = error instanceof Error ? excerpt(error.message) : '';
    throw new CommandError(`${input.name} starts like JSON, and is not: ${reason}`, {
      nextStep: 'is the file cut off?',
      cause: error,
    });
  }
  if (!isJsonObject(value)) {
    throw new CommandError(`${input.name} is a JSON list, not a document`, {
      nextStep: 'give the output of the firewall tool, or a document of these commands',
    });
  }
  return value;
}

/**
 * The ruleset of a document: of a parser command, or of a snapshot.
 *
 * @param key  the snapshot's ruleset: `ipv4`, `nft`, …
 * Errors: CommandError, which says what the document is instead
 */
export function findRuleset(input: Input, document: JsonObject, key: string): RulesetDocument {
  const { rulesets, tables } = document;
  const wrong = (what: string, nextStep: string): CommandError =>
    new CommandError(`${input.name} ${what}`, { nextStep });
  if (document['drift_by_family'] !== undefined || document['drift'] !== undefined) {
    throw wrong('is a drift document, not a ruleset', 'give the two snapshots that it compares');
  }
  if (isJsonObject(rulesets)) {
    const ruleset = rulesets[key];
    if (!isJsonObject(ruleset)) {
      const others = Object.keys(rulesets).filter((name) => isJsonObject(rulesets[name]));
      const held = others.length === 0 ? 'none' : others.map(printable).join(', ');
      throw wrong(`is a snapshot without a ruleset of ${key}: it was not captured`, `the snapshot holds: ${held}`);
    }
    const notes = input.isVerified
      ? []
      : [`${input.name} is a snapshot without its .sha256 companion beside it: not verified`];
    return { ruleset, snapshot: document, diagnostics: [], gaps: snapshotGaps(input, document), notes };
  }
  if (!isJsonObject(tables))
    throw wrong('is JSON, but no ruleset of these commands', 'it has neither "tables" nor "rulesets"');
  return { ruleset: document, snapshot: null, diagnostics: carriedDiagnostics(input, document), gaps: [], notes: [] };
}

function snapshotGaps(input: Input, snapshot: JsonObject): string[] {
  const { coverage } = snapshot;
  if (!isJsonObject(coverage) || coverage['status'] === 'complete') return [];
  const { reasons } = coverage;
  const listed = reasons !== undefined && isJsonArray(reasons) ? reasons.map(textOrNone) : [];
  return (listed.length === 0 ? ['no reason stated'] : listed).map(
    (reason) => `${input.name}: capture incomplete: ${excerpt(reason)}`,
  );
}

/** What was said of the text when the document was made: an error then is a gap now. */
function carriedDiagnostics(input: Input, document: JsonObject): PlacedDiagnostic[] {
  const warnings = document['parse_warnings'];
  if (warnings === undefined || !isJsonArray(warnings)) return [];
  const diagnostics: PlacedDiagnostic[] = [];
  for (const warning of warnings) {
    if (!isJsonObject(warning)) continue;
    const { code, severity, message, excerpt: text } = warning;
    if (severity !== 'error' && severity !== 'warning' && severity !== 'info') continue;
    diagnostics.push({
      input: input.name,
      diagnostic: {
        code: excerpt(textOrNone(code)),
        severity,
        // The line was one of another file.
        line: 0,
        column: 0,
        excerpt: excerpt(textOrNone(text)),
        message: excerpt(textOrNone(message)),
      },
    });
  }
  return diagnostics;
}

function textOrNone(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}

/** Reads members of a document whose shape is not sure, naming the place when it is wrong. */
export class DocumentReader {
  readonly #input: Input;

  constructor(input: Input) {
    this.#input = input;
  }

  object(value: Json | undefined, path: string): JsonObject {
    if (!isJsonObject(value)) throw this.fault(path, 'is no object');
    return value;
  }

  /** Members in order; none where it is absent. */
  entries(value: Json | undefined, path: string): [string, JsonObject][] {
    if (value === undefined || value === null) return [];
    return Object.entries(this.object(value, path)).map(([name, member]) => [
      name,
      this.object(member, `${path}.${name}`),
    ]);
  }

  list(value: Json | undefined, path: string): readonly Json[] {
    if (value === undefined || value === null) return [];
    if (!isJsonArray(value)) throw this.fault(path, 'is no list');
    return value;
  }

  text(value: Json | undefined, path: string): string {
    if (typeof value !== 'string') throw this.fault(path, 'is no text');
    return value;
  }

  fault(path: string, what: string): CommandError {
    return new CommandError(`${this.#input.name}: ${excerpt(path)} ${what}`, {
      nextStep: 'the document was changed or cut: make it anew from the tool’s output',
    });
  }
}
