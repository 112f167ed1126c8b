import { randomBytes } from 'node:crypto';
import { printable } from '../core/diagnostics.ts';
import { invariant, OperationError } from '../core/errors.ts';
import { buildSecondLookArguments, buildSshArguments } from './arguments.ts';
import {
  endedOnce,
  explainConnection,
  explainRemote,
  type StandardError,
  separate,
  timedOut,
} from './explain-failure.ts';
import { runSsh, type SshRun } from './run-ssh.ts';
import { type CheckedTarget, checkKeyFiles, checkTarget, hopName, type SshTarget } from './target.ts';

export interface ProbeOverSshOptions {
  /** For everything: connecting, logging in, the probe and its output. */
  readonly deadlineMs: number;
  /** Told what is being done, in a few words without a full stop. */
  readonly onProgress?: ((what: string) => void) | undefined;
  /** Ends ssh when it is aborted; the error is `SSH_ABORTED`. */
  readonly signal?: AbortSignal | undefined;
  /** Where ssh finds `PATH`, `SSH_AUTH_SOCK` and the like; this process's own when left out. */
  readonly env?: NodeJS.ProcessEnv | undefined;
}

export interface ProbeOverSsh {
  /** One character a byte; `decodeSlice` reads it. */
  readonly stdout: string;
  /** The last lines of what ssh and the target wrote to standard error, safe for a terminal. */
  readonly stderrTail: string;
}

/** The largest payload in its encoding, and some. */
export const OUTPUT_BYTES_MAX: number = 64 * 1024 * 1024;
const STDERR_TAIL_CHARACTERS_MAX = 4_000;
const CONNECT_SECONDS_MAX = 15;
/** Connecting twice, through a bastion, and some. */
const SECOND_LOOK_CONNECTIONS = 3;
/** With status 255 ssh speaks of itself. */
const SSH_FAILED_STATUS = 255;

/**
 * Runs a script as root on a machine that the system's OpenSSH can log in to, and returns what it printed. Nothing is
 * written there: the script goes in through standard input.
 *
 * Errors: OperationError `SSH_…`, see docs/codes.md; in any of them ssh and all that it started has ended.
 *
 * @param script lines, as `buildProbeScript` makes them, in mode `full`
 */
export async function runProbeOverSsh(
  target: SshTarget,
  script: readonly string[],
  options: ProbeOverSshOptions,
): Promise<ProbeOverSsh> {
  const { deadlineMs, onProgress } = options;
  invariant(Number.isFinite(deadlineMs) && deadlineMs > 0, 'a deadline is a positive number of milliseconds');
  const checked = checkTarget(target);
  checkKeyFiles(checked);
  const bastionTag = `bastion${randomBytes(8).toString('hex')}`;
  const connectSeconds = Math.min(CONNECT_SECONDS_MAX, Math.max(1, Math.floor(deadlineMs / 3_000)));
  let received = false;

  onProgress?.(`connecting to ${hopName(checked)}${through(checked)}`);
  const limits = { connectSeconds, bastionTag };
  const world = {
    // ssh runs its ProxyCommand with $SHELL, and the command is written for a POSIX one.
    env: { ...(options.env ?? process.env), LC_ALL: 'C', SHELL: '/bin/sh' },
    outputBytesMax: OUTPUT_BYTES_MAX,
    signal: options.signal,
  };
  const run = await runSsh({
    ...world,
    args: buildSshArguments(checked, limits),
    input: `${script.join('\n')}\n`,
    deadlineMs,
    onFirstOutput() {
      received = true;
      onProgress?.('the probe answers');
    },
  });
  const stderr = separate(run.stderr, bastionTag);
  if (run.end === 'exited' && run.status === SSH_FAILED_STATUS && !received && isMute(stderr)) {
    onProgress?.('ssh failed without a word: asking it once more for the reason');
    const lookMs = connectSeconds * SECOND_LOOK_CONNECTIONS * 1_000;
    const look = await runSsh({
      ...world,
      args: buildSecondLookArguments(checked, limits),
      input: '',
      deadlineMs: lookMs,
    });
    if (look.end === 'exited' && look.status !== null && look.status !== SSH_FAILED_STATUS) throw endedOnce(checked);
    const told = separate(look.stderr, bastionTag);
    throw explainRun(checked, look, told, { deadlineMs: lookMs, received: false }) ?? endedOnce(checked);
  }
  const failure = explainRun(checked, run, stderr, { deadlineMs, received });
  if (failure !== null) throw failure;
  onProgress?.(`received ${run.stdout.length} bytes`);
  const tail = [stderr.bastion, stderr.target].filter((text) => text.trim() !== '').join('\n');
  return {
    stdout: run.stdout,
    stderrTail: tail.slice(-STDERR_TAIL_CHARACTERS_MAX).split('\n').map(printable).join('\n'),
  };
}

function isMute({ target, bastion }: StandardError): boolean {
  return target.trim() === '' && bastion.trim() === '';
}

function through({ bastion }: CheckedTarget): string {
  return bastion === null ? '' : ` through ${hopName(bastion)}`;
}

function explainRun(
  target: CheckedTarget,
  run: SshRun,
  stderr: ReturnType<typeof separate>,
  { deadlineMs, received }: { deadlineMs: number; received: boolean },
): OperationError | null {
  switch (run.end) {
    case 'not-started':
      return new OperationError('SSH_NOT_INSTALLED', 'ssh', `the program cannot be started: ${run.stderr}`, {
        nextStep: 'install OpenSSH (openssh-client) where this runs, and have it on PATH',
      });
    case 'aborted':
      return new OperationError('SSH_ABORTED', hopName(target), 'it was ended before it was done');
    case 'too-much-output':
      return new OperationError('SSH_OUTPUT_TOO_LARGE', hopName(target), `more than ${OUTPUT_BYTES_MAX} bytes came`, {
        nextStep: "is something in this user's login files printing? The probe's own output is far smaller",
      });
    case 'deadline': {
      const seconds = Math.round(deadlineMs / 1_000);
      const stage = received ? 'while its output came in' : 'without any output';
      return timedOut(target, `the time allowed, ${seconds} s, ran out ${stage}`);
    }
    case 'exited': {
      if (run.status === 0) return null;
      if (run.status === null || run.status === SSH_FAILED_STATUS) return explainConnection(target, stderr, run.status);
      // The probe's own refusals come with a status, and with their reason in the output.
      return /^NFI-/m.test(run.stdout)
        ? null
        : explainRemote(target, { stderr, stdout: run.stdout, status: run.status });
    }
  }
}
