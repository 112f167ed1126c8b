import type { WriteStream } from 'node:tty';
import { styleText } from 'node:util';
import { printable } from '../../core/diagnostics.ts';
import { noPaint, type Paint } from '../../core/report/drift-text.ts';
import { REPORT_STYLES } from './report-styles.ts';

/** The reader of our output has gone (`| head`): nothing is left to be done, and nothing is wrong. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/** Standard output and error of one command: waits for slow readers, and notices when nobody reads any more. */
export class Output {
  readonly #stdout: NodeJS.WriteStream;
  readonly #stderr: NodeJS.WriteStream;
  readonly #env: NodeJS.ProcessEnv;
  #fault: Error | null = null;

  constructor(stdout: NodeJS.WriteStream, stderr: NodeJS.WriteStream, env: NodeJS.ProcessEnv) {
    this.#stdout = stdout;
    this.#stderr = stderr;
    this.#env = env;
    stdout.on('error', (error: NodeJS.ErrnoException) => {
      this.#fault ??= error.code === 'EPIPE' ? new OutputClosed() : error;
    });
    // Notes that nobody reads are lost on purpose.
    stderr.on('error', () => {});
  }

  get isTerminal(): boolean {
    return (this.#stdout as Partial<WriteStream>).isTTY === true;
  }

  /** Errors: OutputClosed when the reader has gone, else what the system says (a full disk). */
  async write(text: string): Promise<void> {
    if (this.#fault !== null) throw this.#fault;
    if (text === '') return;
    // Called after an error too; waiting for it keeps no more than this text in memory.
    await new Promise<void>((resolve) => this.#stdout.write(text, () => resolve()));
    if (this.#fault !== null) throw this.#fault;
  }

  async writeAll(chunks: Iterable<string>): Promise<void> {
    let waiting = '';
    for (const chunk of chunks) {
      waiting += chunk;
      if (waiting.length < CHUNK_CHARACTERS) continue;
      await this.write(waiting);
      waiting = '';
    }
    await this.write(waiting);
  }

  /** Everything that was written has left, or failed to. Errors: as `write`. */
  async flush(): Promise<void> {
    await new Promise<void>((resolve) => this.#stdout.write('', () => resolve()));
    if (this.#fault !== null) throw this.#fault;
  }

  /** A line on standard error. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`);
  }

  /** @param when  `auto`: on a terminal, unless NO_COLOR or FORCE_COLOR say otherwise */
  paint(when: string): Paint {
    return isColored(when, this.isTerminal, this.#env) ? colored : noPaint;
  }
}

const CHUNK_CHARACTERS = 1 << 16;

/** FORCE_COLOR before NO_COLOR before the terminal, as Node itself has it. */
export function isColored(when: string, isTerminal: boolean, env: NodeJS.ProcessEnv): boolean {
  if (when !== 'auto') return when === 'always';
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  if ((env['NO_COLOR'] ?? '') !== '') return false;
  return isTerminal && env['TERM'] !== 'dumb';
}

const colored: Paint = (style, text) => styleText(REPORT_STYLES[style], text, { validateStream: false });

/** Text for people, each line escaped, its leading tabs kept. */
export function printableLines(text: string): string {
  return text
    .split('\n')
    .map((line) => {
      const indent = /^\t*/.exec(line)?.[0] ?? '';
      return indent + printable(line.slice(indent.length));
    })
    .join('\n');
}
