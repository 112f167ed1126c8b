import { IntegrityError, OperationError } from '../core/errors.ts';
import type { HttpResponseInit } from './http.ts';
import { problem } from './problem.ts';

const STATUS: Readonly<Record<string, number>> = {
  STORE_CONFLICT: 409,
  STORE_MISSING: 404,
  CONFIG_SESSION_ID: 400,
  CONFIG_VM_ID: 400,
};

/** Runs a handler; what the world refused becomes a problem document. A bug is thrown on, to the trigger. */
export async function answering(handle: () => Promise<HttpResponseInit>): Promise<HttpResponseInit> {
  try {
    return await handle();
  } catch (error) {
    if (error instanceof IntegrityError) {
      return problem(409, error.code, 'Integrity check failed', `${error.subject}: ${error.what}`, {
        next_step: error.nextStep,
      });
    }
    if (error instanceof OperationError) {
      const status = STATUS[error.code] ?? (error.code.startsWith('CONFIG_') ? 500 : 503);
      return problem(status, error.code, 'Operation failed', `${error.subject}: ${error.what}`, {
        next_step: error.nextStep,
        retryable: error.retryable,
      });
    }
    throw error;
  }
}
