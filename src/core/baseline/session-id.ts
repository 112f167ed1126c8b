import { OperationError } from '../errors.ts';

/** What a session id may be: it becomes part of file and blob names, so it is checked before anything else is done. */
export const SESSION_ID = /^[a-zA-Z0-9_-]{1,64}$/;

/** Errors: `CONFIG_SESSION_ID`. */
export function checkSessionId(sessionId: string): string {
  if (!SESSION_ID.test(sessionId)) {
    throw new OperationError(
      'CONFIG_SESSION_ID',
      'session id',
      'has characters outside [a-zA-Z0-9_-] or is not 1 to 64 long',
      {
        nextStep: 'use letters, digits, underscores and hyphens',
      },
    );
  }
  return sessionId;
}

/** `fw_YYYYMMDD_HHMMSS` in UTC. */
export function sessionIdAt(time: Date): string {
  const digits = time.toISOString().replace(/[-:]/g, '');
  return `fw_${digits.slice(0, 8)}_${digits.slice(9, 15)}`;
}
