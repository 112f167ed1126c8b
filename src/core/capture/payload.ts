/** How a section came to be. `exit` is a command that ran to its end, whatever its status. */
export type SectionStatus = 'exit' | 'timeout' | 'absent' | 'skipped';

/** What one command of the probe printed. */
export interface Section {
  readonly name: string;
  readonly status: SectionStatus;
  /** The command's exit status; null unless it ran to its end. */
  readonly exitCode: number | null;
  /** Why the command was not asked; empty unless `skipped`. */
  readonly reason: string;
  readonly stdout: string;
  /** At most 2,000 bytes of it: never part of a ruleset. */
  readonly stderr: string;
  /** False: some bytes of `stdout` are not UTF-8, and stand as U+FFFD and two hexadecimal digits. */
  readonly isUtf8: boolean;
}

export interface Payload {
  readonly sections: readonly Section[];
  /** What is wrong with the framing; null when every byte is accounted for. Sections before it are good. */
  readonly fault: string | null;
}

const FIRST_LINE = 'NFI-PAYLOAD 1';
const SECTION_LINE =
  /^section ([a-z0-9_-]{1,40}) (?:exit:(\d{1,3})|(timeout|absent)|skipped:([a-z0-9_-]{1,60})) (\d{1,9}) (\d{1,9})$/;
const LINE_BYTES_MAX = 200;
const NEWLINE = 0x0a;

/**
 * The sections of a payload. Each is framed by its byte counts, so nothing inside one can look like another. Never
 * throws: a payload that verified can still come from a host that lies.
 */
export function readPayload(bytes: Uint8Array): Payload {
  const sections: Section[] = [];
  const names = new Set<string>();
  let at = 0;
  const line = (): string | null => {
    const end = bytes.indexOf(NEWLINE, at);
    if (end === -1 || end - at > LINE_BYTES_MAX) return null;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + at, end - at).toString('latin1');
    at = end + 1;
    return text;
  };
  const fault = (what: string): Payload => ({ sections, fault: `${what} at byte ${at} of ${bytes.length}` });

  if (line() !== FIRST_LINE) return fault(`no ${FIRST_LINE}`);
  for (;;) {
    const header = line();
    if (header === null) return fault('no section line');
    if (header === `end ${sections.length}`)
      return at === bytes.length ? { sections, fault: null } : fault('bytes left over');
    const frame = SECTION_LINE.exec(header);
    if (frame === null) return fault('no section line');
    const [, name = '', exitCode, otherStatus, reason = '', stdoutBytes, stderrBytes] = frame;
    if (names.has(name)) return fault(`a second section ${name}`);
    const stdoutEnd = at + Number(stdoutBytes);
    const stderrEnd = stdoutEnd + Number(stderrBytes);
    if (bytes[stderrEnd] !== NEWLINE) return fault(`section ${name} does not end where it says`);
    const stdout = decodeText(bytes.subarray(at, stdoutEnd));
    names.add(name);
    sections.push({
      name,
      status: exitCode !== undefined ? 'exit' : ((otherStatus as 'timeout' | 'absent' | undefined) ?? 'skipped'),
      exitCode: exitCode === undefined ? null : Number(exitCode),
      reason,
      stdout: stdout.text,
      stderr: decodeText(bytes.subarray(stdoutEnd, stderrEnd)).text,
      isUtf8: stdout.isUtf8,
    });
    at = stderrEnd + 1;
  }
}

/**
 * UTF-8 text in which different bytes stay different: a byte that is not UTF-8 becomes U+FFFD and its two hexadecimal
 * digits, which is also valid inside a JSON string. (Text that spells out exactly that reads the same; the exact bytes
 * stay in the capture.)
 */
function decodeText(bytes: Uint8Array): { text: string; isUtf8: boolean } {
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), isUtf8: true };
  } catch {
    // Only a TypeError for invalid UTF-8 can come from here; the bytes are then decoded one character at a time.
  }
  // One buffer, not a string for each bad byte: a hostile capture has nothing else.
  const decoded = Buffer.alloc(bytes.length + countBadBytes(bytes) * (BAD_BYTE_LENGTH - 1));
  let end = 0;
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] ?? 0;
    const length = utf8Length(bytes, at);
    if (length === 0) {
      decoded.set(REPLACEMENT, end);
      decoded[end + 3] = DIGITS.charCodeAt(byte >> 4);
      decoded[end + 4] = DIGITS.charCodeAt(byte & 15);
      end += BAD_BYTE_LENGTH;
    }
    for (let offset = 0; offset < length; offset += 1, end += 1) decoded[end] = bytes[at + offset] ?? 0;
    at += length === 0 ? 1 : length;
  }
  return { text: decoded.toString('utf8'), isUtf8: false };
}

/** U+FFFD in UTF-8. */
const REPLACEMENT = Uint8Array.of(0xef, 0xbf, 0xbd);
const DIGITS = '0123456789abcdef';
const BAD_BYTE_LENGTH = REPLACEMENT.length + 2;

function countBadBytes(bytes: Uint8Array): number {
  let count = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = utf8Length(bytes, at);
    if (length === 0) count += 1;
    at += length === 0 ? 1 : length;
  }
  return count;
}

/** Length of the well-formed UTF-8 character at `at` (Unicode, table 3-7), or 0. */
function utf8Length(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  const length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  const secondMin = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
  const secondMax = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
  for (let offset = 1; offset < length; offset += 1) {
    const byte = bytes[at + offset] ?? 0;
    if (byte < (offset === 1 ? secondMin : 0x80) || byte > (offset === 1 ? secondMax : 0xbf)) return 0;
  }
  return length;
}
