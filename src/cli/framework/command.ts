import { IntegrityError, OperationError } from '../../core/errors.ts';
import { VERSION } from '../version.ts';
import { CommandError, usageError } from './errors.ts';
import { EXIT, EXIT_TABLE, exitCodeOf, type Findings } from './exit-codes.ts';
import { HELP_OPTIONS, type Invocation, type OptionSpec, readArguments } from './options.ts';
import { Output, OutputClosed } from './output.ts';

/** One command: what `--help` and docs/cli.md say of it, and what it does. */
export interface Command {
  readonly name: string;
  readonly summary: string;
  /** `[FILE]`, `BASELINE CURRENT`. */
  readonly operands: string;
  readonly operandsMin: number;
  readonly operandsMax: number;
  readonly options: readonly OptionSpec[];
  /** Name and what it does, of those that have a `--help` of their own. */
  readonly subcommands?: readonly (readonly [name: string, what: string])[];
  /** Paragraphs behind the options. */
  readonly notes: readonly string[];
  readonly examples: readonly string[];
  /**
   * @param decide  told as soon as the findings are known, before they are printed: a reader that goes away early does
   *                not change the exit code
   */
  run(invocation: Invocation, output: Output, decide: (findings: Findings) => void): Promise<void>;
}

/**
 * Runs a command as this process: sets the exit code and lets the process end by itself, its output written.
 *
 * @param args  without the program's name; a subcommand's, without its own
 */
export async function runCommand(command: Command, args: readonly string[] = process.argv.slice(2)): Promise<void> {
  const output = new Output(process.stdout, process.stderr, process.env);
  let code: number = EXIT.ok;
  try {
    await execute(command, args, output, (findings) => {
      code = exitCodeOf(findings);
    });
    await output.flush();
  } catch (error) {
    code = explainFailure(command, error, output, code);
  }
  process.exitCode = code;
}

async function execute(
  command: Command,
  args: readonly string[],
  output: Output,
  decide: (findings: Findings) => void,
): Promise<void> {
  const invocation = readArguments(args, [...command.options, ...HELP_OPTIONS]);
  if (invocation.has('help')) return output.write(helpText(command));
  if (invocation.has('version')) return output.write(`${command.name} ${VERSION}\n`);
  const { length } = invocation.operands;
  if (length < command.operandsMin || length > command.operandsMax) {
    const wanted = command.operandsMin === command.operandsMax ? command.operandsMin : `at most ${command.operandsMax}`;
    throw usageError(
      `${wanted} operand(s) wanted, ${length} given`,
      `write ${command.name} ${command.operands}`.trimEnd(),
    );
  }
  await command.run(invocation, output, decide);
}

function explainFailure(command: Command, error: unknown, output: Output, decided: number): number {
  if (error instanceof OutputClosed) return decided;
  if (error instanceof CommandError) {
    output.note(
      `${command.name}: ${error.kind}: ${error.message}${error.nextStep === '' ? '' : `; ${error.nextStep}`}`,
    );
    return EXIT.error;
  }
  if (error instanceof OperationError) {
    output.note(`${command.name}: error: ${error.message}`);
    return error instanceof IntegrityError ? EXIT.integrity : EXIT.error;
  }
  if (error instanceof Error && 'syscall' in error) {
    output.note(`${command.name}: error: the output could not be written: ${error.message}`);
    return EXIT.error;
  }
  output.note(`${command.name}: error: a bug in this program; please report it with what follows`);
  output.note(error instanceof Error ? (error.stack ?? error.message) : String(error));
  return EXIT.error;
}

/** What `--help` prints. */
export function helpText(command: Command): string {
  const options = [...command.options, ...HELP_OPTIONS].map((option): [string, string] => [
    optionSynopsis(option),
    optionDescription(option),
  ]);
  const blocks = [
    `Usage: ${command.name} [OPTIONS] ${command.operands}`.trimEnd(),
    wrap(command.summary, ''),
    ...(command.subcommands === undefined
      ? []
      : [`Subcommands, each with a --help of its own:\n${columns(command.subcommands)}`]),
    `Options:\n${columns(options)}`,
    ...command.notes.map((note) => wrap(note, '')),
    `Exit codes (several can hold: 1 before 2 before 3 before 4):\n${columns(
      EXIT_TABLE.map(([code, meaning]) => [String(code), meaning]),
    )}`,
    `Examples:\n${command.examples.map((example) => `  ${example}`).join('\n')}`,
  ];
  return `${blocks.join('\n\n')}\n`;
}

/** `-o, --output text|json|markdown`. */
export function optionSynopsis({ name, short, value }: OptionSpec): string {
  return `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`;
}

/** The description with the default behind it. */
export function optionDescription({ description, default: otherwise }: OptionSpec): string {
  return otherwise === undefined ? description : `${description} (default: ${otherwise})`;
}

const HELP_WIDTH = 100;

function columns(rows: readonly (readonly [string, string])[]): string {
  const width = rows.reduce((most, [left]) => Math.max(most, left.length), 0);
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${wrap(right, ' '.repeat(width + 4))}`).join('\n');
}

function wrap(text: string, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > HELP_WIDTH) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join(`\n${indent}`);
}
