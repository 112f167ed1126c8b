import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { checkSessionId } from '../../core/baseline/session-id.ts';
import { printable } from '../../core/diagnostics.ts';
import { OperationError } from '../../core/errors.ts';
import { makeFolder } from '../../directory/make-folder.ts';

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/** One command that was run on or for a host. Its output is counted and never kept here. */
export interface CommandEntry {
  /** What was run, for people; holds no secret. */
  readonly command: string;
  /** Null where it is not known: Run Command does not report one. */
  readonly exitCode: number | null;
  readonly outputBytes: number;
}

export type LogCommand = (entry: CommandEntry) => void;

/**
 * `{session_id}_commands.log`: JSON lines of time, command, exit code, output bytes. Only ever appended to, a line with
 * one write, so that runs at once cannot mix theirs.
 *
 * Errors: `STORE_DENIED`, `STORE_NOT_PLAIN`.
 */
export function commandsLog(auditDir: string, sessionId: string, now: () => Date): LogCommand {
  const path = commandsLogPath(auditDir, sessionId);
  return ({ command, exitCode, outputBytes }) => {
    const line = { time: now().toISOString(), command, exit_code: exitCode, output_bytes: outputBytes };
    append(auditDir, path, `${JSON.stringify(line)}\n`, O_CREAT);
  };
}

/** Makes the log, empty, and says whether it was this call that made it: who makes it may use the session id. */
export function claimCommandsLog(auditDir: string, sessionId: string): boolean {
  return append(auditDir, commandsLogPath(auditDir, sessionId), '', O_CREAT | O_EXCL);
}

/** Makes the log unless it is there: that it cannot be written is found out before the host is asked. */
export function openCommandsLog(auditDir: string, sessionId: string): void {
  append(auditDir, commandsLogPath(auditDir, sessionId), '', O_CREAT);
}

export function commandsLogPath(auditDir: string, sessionId: string): string {
  return join(auditDir, `${checkSessionId(sessionId)}_commands.log`);
}

function append(auditDir: string, path: string, line: string, flags: number): boolean {
  try {
    makeFolder(resolve(auditDir));
    const file = openSync(path, O_WRONLY | O_APPEND | O_NOFOLLOW | flags, 0o600);
    try {
      writeSync(file, line);
    } finally {
      closeSync(file);
    }
    return true;
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code ?? 'an unknown error';
    if (code === 'EEXIST' && (flags & O_EXCL) !== 0) return false;
    const named = code === 'ELOOP' ? 'STORE_NOT_PLAIN' : 'STORE_DENIED';
    throw new OperationError(named, printable(path), `the log cannot be written: the file system said ${code}`, {
      nextStep: 'use a directory that you may write to',
      cause,
    });
  }
}
