import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { fleetFiles } from '../repository-root.ts';

/** Everything one VM's tools answered in one state. Texts are kept as lines, so that a new recording reads as a diff. */
export interface Recording {
  readonly commands: readonly RecordedCommand[];
  /** Files below `/proc/net` that the probe reads, by name. A file the VM had not is not here. */
  readonly procNet: Readonly<Record<string, readonly string[]>>;
}

export interface RecordedCommand {
  /** The tool's name and its arguments; none of them holds a slash or a line feed. */
  readonly argv: readonly string[];
  readonly exit: number;
  readonly stdout: readonly string[];
  readonly stderr: readonly string[];
}

/** The state a VM starts in; the others have the name of the change that led to them. */
export const BASELINE_STATE = 'baseline';

export const PROC_NET_FILES = ['ip_tables_names', 'ip6_tables_names'];

/** Recordings longer than this are kept compressed. */
const PLAIN_BYTES_MAX = 128 * 1024;

const DIRECTORY = join(fleetFiles, 'recordings');

export function readRecording(vmName: string, state: string): Recording {
  const path = join(DIRECTORY, `${vmName}.${state}.json`);
  const text = existsSync(path) ? readFileSync(path) : gunzipSync(readFileSync(`${path}.gz`));
  return JSON.parse(text.toString('utf8')) as Recording;
}

export function writeRecording(vmName: string, state: string, recording: Recording): void {
  const text = `${JSON.stringify(recording, null, 1)}\n`;
  const path = join(DIRECTORY, `${vmName}.${state}.json`);
  if (text.length <= PLAIN_BYTES_MAX) writeFileSync(path, text);
  else writeFileSync(`${path}.gz`, gzipSync(text, { level: 9 }));
}

/** Lays a recording out as `shims/replay.sh` and the probe read it: `commands/{call}.out`, with `.err` and `.exit` where they say something, and `net/`. */
export function unpackRecording(directory: string, recording: Recording): void {
  mkdirSync(join(directory, 'commands'), { recursive: true });
  mkdirSync(join(directory, 'net'), { recursive: true });
  for (const { argv, exit, stdout, stderr } of recording.commands) {
    const answer = join(directory, 'commands', argv.join('_'));
    writeFileSync(`${answer}.out`, stdout.join('\n'));
    if (stderr.join('') !== '') writeFileSync(`${answer}.err`, stderr.join('\n'));
    if (exit !== 0) writeFileSync(`${answer}.exit`, String(exit));
  }
  for (const [name, lines] of Object.entries(recording.procNet)) {
    writeFileSync(join(directory, 'net', name), lines.join('\n'));
  }
}
