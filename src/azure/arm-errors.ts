import type { Unavailable, UnavailableReason } from '../core/ports.ts';
import { readRetryAfter } from './retry-after.ts';

/** What an error of the ARM client says: HTTP status, service code, and whether and when to try again. */
export interface ArmFailure {
  readonly status: number | null;
  readonly code: string;
  readonly retryAfterSeconds: number | null;
}

const RETRY_AFTER_DEFAULT_SECONDS = 15;
const BUSY_RETRY_SECONDS = 20;

/**
 * Reads the parts that matter from whatever the SDK throws: a RestError (HTTP), a plain Error whose text carries the
 * code (a failed long-running operation), or a network error. URLs never get through: they are signed.
 */
export function readArmError(error: unknown): ArmFailure {
  const candidate = error as {
    statusCode?: number;
    code?: string;
    message?: string;
    response?: { headers?: { get(name: string): string | undefined } };
  };
  const message = typeof candidate?.message === 'string' ? candidate.message : '';
  const operationCode = /long-running operation has failed\.\s*([A-Za-z]+)\b/.exec(message)?.[1];
  return {
    status: typeof candidate?.statusCode === 'number' ? candidate.statusCode : null,
    code: operationCode ?? candidate?.code ?? (error as Error)?.name ?? 'Unknown',
    retryAfterSeconds: readRetryAfter(candidate?.response?.headers?.get('retry-after')),
  };
}

/** Whether no credential gave a token: the caller is nobody, or the identity endpoint has a bad minute. */
export function isLoginError(error: unknown): boolean {
  return error instanceof Error && LOGIN_ERRORS.has(error.name);
}

const LOGIN_ERRORS = new Set([
  'CredentialUnavailableError',
  'AuthenticationError',
  'AuthenticationRequiredError',
  'AggregateAuthenticationError',
]);

/** Maps an error of a Run Command call to an answer, or null when it is none: a bug, which the caller throws on. */
export function unavailableFrom(error: unknown): Unavailable | null {
  const failure = readArmError(error);
  const { status, code } = failure;
  const message = error instanceof Error ? error.message : '';
  const isCommand = OPERATION_FAILED.test(message);
  const answer = (reason: UnavailableReason, text: string, retryAfterSeconds: number | null): Unavailable => ({
    kind: 'unavailable',
    reason,
    atFault: isCommand ? 'command' : 'request',
    message: text,
    retryAfterSeconds,
  });
  if (isLoginError(error)) {
    return answer('denied', 'no credential gave a token', RETRY_AFTER_DEFAULT_SECONDS);
  }
  if (code === 'VMAgentStatusCommunicationError') {
    return answer('agent_not_ready', `${code}: the VM agent does not report`, null);
  }
  if (code === 'OperationNotAllowed' && /VM to be running/i.test(message)) {
    return answer('vm_stopped', `${code}: the VM is not running`, null);
  }
  if (status === 409 || code === 'Conflict') {
    return answer(
      'busy',
      `${code}: another operation or Run Command is in progress`,
      failure.retryAfterSeconds ?? BUSY_RETRY_SECONDS,
    );
  }
  if (status === 401 || status === 403) return answer('denied', `${code}: HTTP ${status}`, null);
  if (status === 404) return answer('vm_not_found', `${code}: HTTP 404`, null);
  if (status === 429)
    return answer('throttled', `${code}: HTTP 429`, failure.retryAfterSeconds ?? RETRY_AFTER_DEFAULT_SECONDS);
  if (status !== null && (status >= 500 || status === 408)) {
    return answer('service_error', `${code}: HTTP ${status}`, failure.retryAfterSeconds ?? RETRY_AFTER_DEFAULT_SECONDS);
  }
  if (code === 'PARSE_ERROR') return answer('service_error', `${code}: cut or not JSON`, RETRY_AFTER_DEFAULT_SECONDS);
  if (status !== null) return answer('service_error', `${code}: HTTP ${status}`, null);
  if (isCommand) {
    return answer('service_error', `${code}: the run command failed`, RETRY_AFTER_DEFAULT_SECONDS);
  }
  if (NETWORK_CODES.has(code) || isRestError(error))
    return answer('service_error', `${code}: no connection`, RETRY_AFTER_DEFAULT_SECONDS);
  return null;
}

const OPERATION_FAILED = /long-running operation has (failed|been canceled)/;

/** Without a status: the request did not get there, or its answer not back, under whatever code of the system. */
function isRestError(error: unknown): boolean {
  return error instanceof Error && error.name === 'RestError';
}

// Of errors that the SDK did not wrap.
const NETWORK_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'REQUEST_SEND_ERROR',
  'AbortError',
  'TimeoutError',
]);
