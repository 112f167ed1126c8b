import { parseArgs } from 'node:util';
import { printable } from '../../core/diagnostics.ts';
import { usageError } from './errors.ts';

/** One option, as it is parsed, helped with and documented. */
export interface OptionSpec {
  /** Without dashes. */
  readonly name: string;
  readonly short?: string;
  /** What its value is called in help; absent for a flag. */
  readonly value?: string;
  /** The only values there are. */
  readonly choices?: readonly string[];
  /** A whole number from `min` to `max`. */
  readonly range?: readonly [min: number, max: number];
  /** Stated in help. */
  readonly default?: string;
  readonly description: string;
}

/** The options and operands of one call, checked against the specs. */
export class Invocation {
  readonly operands: readonly string[];
  readonly #values: ReadonlyMap<string, string | true>;

  constructor(operands: readonly string[], values: ReadonlyMap<string, string | true>) {
    this.operands = operands;
    this.#values = values;
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The value given, else undefined. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return typeof value === 'string' ? value : undefined;
  }

  number(name: string, otherwise: number): number {
    const value = this.text(name);
    return value === undefined ? otherwise : Number(value);
  }
}

export const HELP_OPTIONS: readonly OptionSpec[] = [
  { name: 'help', short: 'h', description: 'print this help and exit' },
  { name: 'version', short: 'V', description: 'print the version and exit' },
];

/**
 * Reads the arguments of a command. Where an option is given twice, the last one counts; `--` ends the options.
 *
 * Errors: CommandError of kind `usage` for an unknown option, a missing, superfluous or impossible value
 */
export function readArguments(args: readonly string[], specs: readonly OptionSpec[]): Invocation {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      specs.map(({ name, short, value }) => [
        name,
        { type: value === undefined ? 'boolean' : 'string', ...(short === undefined ? {} : { short }) } as const,
      ]),
    ),
    strict: false,
    tokens: true,
    allowPositionals: true,
  });
  const operands: string[] = [];
  const values = new Map<string, string | true>();
  for (const token of tokens) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const spec = specs.find(({ name }) => name === token.name);
    if (spec === undefined) throw unknownOption(token.rawName, specs);
    values.set(spec.name, checkValue(spec, token.rawName, token.value));
  }
  return new Invocation(operands, values);
}

function checkValue(spec: OptionSpec, given: string, value: string | undefined): string | true {
  if (spec.value === undefined) {
    if (value !== undefined) throw usageError(`${given} takes no value, but "${printable(value)}" was given`);
    return true;
  }
  if (value === undefined) throw usageError(`${given} needs a value`, valueHint(spec));
  if (spec.choices !== undefined && !spec.choices.includes(value)) {
    throw usageError(`${given} cannot be "${printable(value)}"`, valueHint(spec));
  }
  if (spec.range !== undefined) {
    const [min, max] = spec.range;
    if (!/^[0-9]{1,9}$/.test(value) || Number(value) < min || Number(value) > max) {
      throw usageError(`${given} cannot be "${printable(value)}"`, valueHint(spec));
    }
  }
  return value;
}

function valueHint(spec: OptionSpec): string {
  if (spec.choices !== undefined) return `use one of: ${spec.choices.join(', ')}`;
  if (spec.range !== undefined) return `use a whole number from ${spec.range[0]} to ${spec.range[1]}`;
  return `write --${spec.name} ${spec.value}`;
}

function unknownOption(given: string, specs: readonly OptionSpec[]): Error {
  // Half an option is what people type most; of the rest, the one that differs least.
  const begun = specs.find(({ name }) => given.length > 3 && `--${name}`.startsWith(given));
  if (begun !== undefined) return usageError(`unknown option ${printable(given)}`, `did you mean --${begun.name}?`);
  const near = specs
    .map(({ name }) => ({ name: `--${name}`, distance: editDistance(`--${name}`, given) }))
    .sort((a, b) => a.distance - b.distance)[0];
  const hint = near !== undefined && near.distance <= 3 ? `did you mean ${near.name}?` : '--help lists the options';
  return usageError(`unknown option ${printable(given)}`, hint);
}

/** Insertions, deletions and replacements from one word to the other; of a long word only the start is looked at. */
function editDistance(a: string, b: string): number {
  const [from, to] = [a.slice(0, 40), b.slice(0, 40)];
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
