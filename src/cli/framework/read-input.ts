import { constants } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { verifySnapshotBytes } from '../../core/baseline/integrity.ts';
import { printable } from '../../core/diagnostics.ts';
import { CommandError, usageError } from './errors.ts';

/** One input as it was given and read. */
export interface Input {
  /** As given: a path, or `-`. */
  readonly given: string;
  /** For messages: the path, escaped, or `stdin`. */
  readonly name: string;
  readonly text: string;
  /** False when bytes that are not UTF-8 were met; each stands as U+FFFD and two hexadecimal digits. */
  readonly isUtf8: boolean;
  /** True when a SHA-256 companion lies beside the file, and agrees. */
  readonly isVerified: boolean;
}

/** Reads of one command: standard input can be read once. */
export class InputReader {
  #stdinTaken = false;

  /**
   * @param given  a path, or `-` for standard input
   * Errors: CommandError when it cannot be read; IntegrityError when `{given}.sha256` lies beside it and says otherwise
   */
  async read(given: string): Promise<Input> {
    if (given === '-') {
      if (this.#stdinTaken) throw usageError('only one input can be - (standard input)', 'write the other to a file');
      this.#stdinTaken = true;
      const chunks: Buffer[] = [];
      for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
      const bytes = Buffer.concat(chunks);
      return { given, name: 'stdin', ...decode('stdin', bytes), isVerified: false };
    }
    const name = printable(given);
    const bytes = await readBytes(given, name);
    const companion = await readCompanion(given);
    if (companion !== null) verifySnapshotBytes(name, bytes, companion);
    return { given, name, ...decode(name, bytes), isVerified: companion !== null };
  }
}

async function readBytes(path: string, name: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const [what, nextStep] = READ_ERRORS[code ?? ''] ?? [`cannot be read: ${printable(message)}`, ''];
    throw new CommandError(`${name} ${what}`, { nextStep, cause: error });
  }
}

const READ_ERRORS: Readonly<Record<string, readonly [what: string, nextStep: string]>> = {
  ENOENT: ['does not exist', 'check the path; - reads standard input'],
  EACCES: ['may not be read by this user', 'run the command as a user who may, or pipe the file in and give -'],
  EPERM: ['may not be read by this user', 'run the command as a user who may, or pipe the file in and give -'],
  EISDIR: ['is a directory', 'give one file'],
  ERR_FS_FILE_TOO_LARGE: ['is larger than 2 GiB', 'is it a ruleset?'],
};

/** Only a snapshot has one; a file that lies there by chance would not hold this file's digest. */
async function readCompanion(path: string): Promise<Buffer | null> {
  if (!path.endsWith('.json')) return null;
  try {
    return await readFile(`${path}.sha256`);
  } catch {
    // No companion: an ordinary file, or a snapshot copied without it, which the notes of the snapshot say.
    return null;
  }
}

/** Text in which different bytes stay different, whatever wrote them. */
function decode(name: string, bytes: Buffer): { text: string; isUtf8: boolean } {
  if (bytes.length > constants.MAX_STRING_LENGTH) {
    throw new CommandError(`${name} is ${bytes.length} bytes, more than ${constants.MAX_STRING_LENGTH} can be read`);
  }
  // What PowerShell's `>` writes.
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return { text: bytes.subarray(2).toString('utf16le'), isUtf8: true };
  if (bytes[0] === 0xfe && bytes[1] === 0xff) {
    return { text: new TextDecoder('utf-16be').decode(bytes.subarray(2)), isUtf8: true };
  }
  try {
    return { text: new TextDecoder('utf-8', { fatal: true }).decode(bytes), isUtf8: true };
  } catch {
    // Not UTF-8: decoded below, character by character.
  }
  const text = bytes
    .toString('latin1')
    .replace(UTF8_OR_BYTE, (_found, wellFormed: string | undefined, byte: string | undefined) =>
      byte === undefined
        ? Buffer.from(wellFormed ?? '', 'latin1').toString('utf8')
        : `\ufffd${byte.charCodeAt(0).toString(16)}`,
    );
  return { text, isUtf8: false };
}

/** Well-formed characters of more than one byte (Unicode, table 3-7), or one byte that belongs to none. */
const UTF8_OR_BYTE =
  /((?:[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})+)|([\x80-\xff])/g;
