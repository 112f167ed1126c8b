import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { assembleCapture, type Capture } from '../../src/core/capture/assemble.ts';
import { buildProbeScript, type ProbeMode } from '../../src/core/capture/probe-script.ts';
import { type CaptureContents, readCapture } from '../../src/core/capture/read-capture.ts';
import { decodeSlice, type Slice } from '../../src/core/capture/slice.ts';
import { repositoryRoot } from '../support/environment.ts';

export const probeText: string = readFileSync(join(repositoryRoot, 'probe', 'probe.sh'), 'utf8');

/** The shells that the probe promises to run in, as far as this machine has them. */
export const shells: readonly string[] = ['dash', 'bash', 'busybox sh'].filter((shell) =>
  isInstalled(shell.split(' ')[0] ?? ''),
);

export function isInstalled(program: string): boolean {
  return spawnSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin"; command -v ${program}`]).status === 0;
}

export const gunzip = (bytes: Uint8Array, bytesMax: number): Uint8Array =>
  gunzipSync(bytes, { maxOutputLength: Math.max(bytesMax, 1) });

export function newNonce(): string {
  return randomBytes(16).toString('hex');
}

export interface ProbeRun {
  readonly mode?: ProbeMode;
  readonly slice?: number;
  readonly nonce?: string;
  readonly shell?: string;
  /** Parameter lines to send instead of good ones. */
  readonly parameterLines?: readonly string[];
  /** A command that runs the shell: `ip netns exec …`. */
  readonly through?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the probe as a caller would, its script through standard input, and returns what it printed. */
export function runProbe(run: ProbeRun = {}): string {
  const nonce = run.nonce ?? newNonce();
  const lines =
    run.parameterLines === undefined
      ? buildProbeScript(probeText, { nonce, slice: run.slice ?? 1, mode: run.mode ?? 'auto' })
      : [...run.parameterLines, probeText];
  const [command = '', ...args] = [...(run.through ?? []), ...(run.shell ?? 'sh').split(' '), '-s'];
  const result = spawnSync(command, args, {
    input: `${lines.join('\n')}\n`,
    env: { PATH: process.env['PATH'] ?? '', ...run.env },
    encoding: 'latin1',
    maxBuffer: 256 * 1024 * 1024,
  });
  if (result.error !== undefined) throw result.error;
  if (result.stderr !== '') throw new Error(`the probe wrote to standard error: ${result.stderr}`);
  return result.stdout;
}

/** Runs the probe and decodes its one slice; throws with the refusal's code where it is none. */
export function probeSlice(run: ProbeRun = {}): Slice {
  const nonce = run.nonce ?? newNonce();
  const answer = decodeSlice(runProbe({ ...run, nonce }), { nonce, slice: run.slice ?? 1 });
  if (!answer.ok) throw new Error(`${answer.code}: ${answer.message}`);
  return answer.slice;
}

/** A whole capture, slice by slice, as the activities take it. */
export function probeCapture(run: ProbeRun = {}): { capture: Capture; contents: CaptureContents; slices: Slice[] } {
  const slices = [probeSlice(run)];
  for (let slice = 2; slice <= (slices[0]?.slices ?? 0); slice += 1) {
    slices.push(probeSlice({ ...run, mode: 'stable', slice }));
  }
  const assembled = assembleCapture(slices, gunzip);
  if (!assembled.ok) throw new Error(`${assembled.code}: ${assembled.message}`);
  return { capture: assembled.capture, contents: readCapture(assembled.capture.payload), slices };
}

export interface FakeTool {
  readonly stdout?: string | Uint8Array;
  readonly stderr?: string;
  readonly exit?: number;
  /** Answers `--version` with this, whatever else it prints. */
  readonly version?: string;
  /** Shell text to run instead. */
  readonly script?: string;
}

/** A directory for NFI_TOOLS: programs that print recorded output, byte for byte. */
export function writeTools(directory: string, tools: Readonly<Record<string, FakeTool>>): string {
  mkdirSync(directory, { recursive: true });
  for (const [name, { stdout = '', stderr = '', exit = 0, version, script }] of Object.entries(tools)) {
    const path = join(directory, name);
    writeFileSync(`${path}.out`, stdout);
    writeFileSync(`${path}.err`, stderr);
    const answer = version === undefined ? '' : `[ "$1" != --version ] || { echo '${version}'; exit 0; }\n`;
    writeFileSync(path, script ?? `#!/bin/sh\n${answer}cat '${path}.out'\ncat '${path}.err' >&2\nexit ${exit}\n`);
    chmodSync(path, 0o755);
  }
  return directory;
}

/** A directory for NFI_ROOT: files of /proc, /sys, /etc and /lib as they would be on the host. */
export function writeRoot(directory: string, files: Readonly<Record<string, string>>): string {
  for (const [path, text] of Object.entries(files)) {
    const full = join(directory, path);
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
  }
  return directory;
}
