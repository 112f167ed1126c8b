import { spawn } from 'node:child_process';
import type { ScriptResult } from '../arm/simulated-vm.ts';

/** More than any probe prints; a script that prints on and on is ended rather than kept in memory. */
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024;

export interface ScriptHost {
  /** The program and its arguments that read a script from stdin, such as `['sh', '-s']`. */
  readonly command: readonly [string, ...string[]];
  /** The whole environment: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  /** Whom to run as, where it is not this process's own user. */
  readonly user?: ScriptUser;
}

export interface ScriptUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Runs a script as the guest agent would: a minimal environment, no terminal, the root directory, stdin at its end after
 * the script. An abort kills the whole process group.
 *
 * Errors: rejects where the shell cannot be started, was killed, or printed more than 16 MiB.
 */
export function runScript(host: ScriptHost, lines: readonly string[], signal?: AbortSignal): Promise<ScriptResult> {
  const [program, ...args] = host.command;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { cwd: '/', env: { ...host.environment }, detached: true, ...host.user });
    const stdout: Buffer[] = [];
    const stderr: Buffer[] = [];
    let bytes = 0;
    let stoppedBecause: string | undefined;
    const stop = (reason: string): void => {
      stoppedBecause ??= reason;
      killGroup(child.pid);
    };
    const onAbort = (): void => stop('the script was ended with the machine');
    const collect = (chunks: Buffer[]) => (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > OUTPUT_BYTES_MAX) stop(`the script printed more than ${OUTPUT_BYTES_MAX} bytes`);
      else chunks.push(chunk);
    };
    child.stdout.on('data', collect(stdout));
    child.stderr.on('data', collect(stderr));
    child.stdin.on('error', () => undefined); // a script may end before it was read whole
    child.on('error', reject);
    child.on('close', (code, killedBy) => {
      signal?.removeEventListener('abort', onAbort);
      if (stoppedBecause !== undefined) reject(new Error(stoppedBecause));
      else if (code === null) reject(new Error(`the script was ended by ${killedBy}`));
      else resolve({ stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr), exitCode: code });
    });
    if (signal?.aborted === true) onAbort();
    signal?.addEventListener('abort', onAbort);
    child.stdin.end(`${lines.join('\n')}\n`);
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // it ended by itself in between
  }
}
