import { spawn } from 'node:child_process';

/** How one run of ssh ended. */
export interface SshRun {
  readonly end: 'exited' | 'not-started' | 'deadline' | 'aborted' | 'too-much-output';
  /** ssh's exit status; null when it was ended by a signal, or never started. */
  readonly status: number | null;
  /** One character a byte: the envelope is ASCII, and a greeting before it need not be UTF-8. */
  readonly stdout: string;
  /** The last part of it; why ssh could not be started, if so. */
  readonly stderr: string;
}

export interface SshRunOptions {
  readonly args: readonly string[];
  readonly input: string;
  readonly env: NodeJS.ProcessEnv;
  readonly deadlineMs: number;
  readonly outputBytesMax: number;
  readonly signal?: AbortSignal | undefined;
  readonly onFirstOutput?: (() => void) | undefined;
}

const STDERR_CHARACTERS_MAX = 65_536;
const TERM_GRACE_MS = 1_000;
/** After ssh has ended, for what it started to say its last words. */
const DRAIN_MS = 500;
const LOOK_MS = 10;
/** After SIGKILL, until what is still there is taken for a zombie that nobody reaps. */
const KILLED_LOOKS_MAX = 10;

/** Runs ssh in a process group of its own, all of which has ended when this returns. Never rejects. */
export function runSsh(options: SshRunOptions): Promise<SshRun> {
  const { signal } = options;
  return new Promise((resolve) => {
    if (signal?.aborted === true) {
      resolve({ end: 'aborted', status: null, stdout: '', stderr: '' });
      return;
    }
    // A session of its own: no terminal to ask for a passphrase on, and one process group to end.
    const child = spawn('ssh', options.args, { env: options.env, detached: true, stdio: 'pipe' });
    const chunks: Buffer[] = [];
    let bytes = 0;
    let stderr = '';
    let end: SshRun['end'] = 'exited';
    const timers: NodeJS.Timeout[] = [];

    const killGroup = (name: NodeJS.Signals): void => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, name);
      } catch {
        // The group is gone, which is what was wanted.
      }
    };
    const isGroupAlive = (): boolean => {
      try {
        return child.pid !== undefined && process.kill(-child.pid, 0);
      } catch (error) {
        return (error as NodeJS.ErrnoException).code !== 'ESRCH';
      }
    };
    const stop = (why: SshRun['end']): void => {
      if (end !== 'exited') return;
      end = why;
      killGroup('SIGTERM');
      timers.push(setTimeout(killGroup, TERM_GRACE_MS, 'SIGKILL'));
    };
    const onAbort = (): void => stop('aborted');
    const onProcessExit = (): void => killGroup('SIGKILL');
    timers.push(setTimeout(stop, options.deadlineMs, 'deadline'));
    signal?.addEventListener('abort', onAbort, { once: true });
    process.once('exit', onProcessExit);
    const release = (): void => {
      for (const timer of timers) clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
      process.removeListener('exit', onProcessExit);
    };

    child.once('error', (error: NodeJS.ErrnoException) => {
      if (child.pid !== undefined) return;
      release();
      resolve({ end: 'not-started', status: null, stdout: '', stderr: error.code ?? '' });
    });
    child.stdout.on('data', (chunk: Buffer) => {
      if (bytes === 0) options.onFirstOutput?.();
      bytes += chunk.length;
      if (bytes > options.outputBytesMax) {
        chunks.length = 0;
        stop('too-much-output');
      } else if (end === 'exited') chunks.push(chunk);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr = (stderr + text).slice(-STDERR_CHARACTERS_MAX);
    });
    // A login that fails closes the pipe before the script is through: ssh's own status says what happened.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input);

    child.once('exit', (status) => {
      for (const timer of timers) clearTimeout(timer);
      let isKilled = false;
      // A bastion's ssh can outlive the ssh it was made for, and may or may not keep these pipes open.
      timers.push(
        setTimeout(killGroup, DRAIN_MS, 'SIGTERM'),
        setTimeout(() => {
          isKilled = true;
          killGroup('SIGKILL');
          child.stdout.destroy();
          child.stderr.destroy();
        }, DRAIN_MS + TERM_GRACE_MS),
      );
      signal?.removeEventListener('abort', onAbort);
      const resolveOnceGone = (looksLeft: number): void => {
        if (looksLeft > 0 && isGroupAlive()) {
          setTimeout(resolveOnceGone, LOOK_MS, isKilled ? looksLeft - 1 : looksLeft);
          return;
        }
        release();
        resolve({ end, status, stdout: Buffer.concat(chunks).toString('latin1'), stderr });
      };
      child.once('close', () => resolveOnceGone(KILLED_LOOKS_MAX));
    });
  });
}
