/**
 * The world said no: code, subject, what happened with its numbers, what to do next. Retried only where that helps.
 * The message is `CODE: subject: what happened. next step` and never carries firewall contents or secrets.
 */
export class OperationError extends Error {
  readonly code: string;
  readonly subject: string;
  /** What happened, with its numbers: the message without code, subject and next step. */
  readonly what: string;
  /** What the reader can do about it; empty when there is nothing. */
  readonly nextStep: string;
  readonly retryable: boolean;
  /** When whoever refused said to ask again; null when nothing was said. */
  readonly retryAfterSeconds: number | null;

  constructor(
    code: string,
    subject: string,
    what: string,
    options: { nextStep?: string; retryable?: boolean; retryAfterSeconds?: number | null; cause?: unknown } = {},
  ) {
    const nextStep = options.nextStep ?? '';
    super(`${code}: ${subject}: ${what}${nextStep === '' ? '' : `; ${nextStep}`}`, { cause: options.cause });
    this.name = 'OperationError';
    this.code = code;
    this.subject = subject;
    this.what = what;
    this.nextStep = nextStep;
    this.retryable = options.retryable ?? false;
    this.retryAfterSeconds = options.retryAfterSeconds ?? null;
  }
}

/** The OperationError that a failed activity's or orchestration's text carries: its class does not survive the way. */
export function findOperationError(text: string): { readonly code: string; readonly message: string } | null {
  const found = /\b([A-Z]+(?:_[A-Z]+)+): [^\n]{1,400}/.exec(text);
  return found === null ? null : { code: found[1] ?? '', message: found[0].trim() };
}

/** A baseline that does not verify. No comparison is made, and nothing is written over it. */
export class IntegrityError extends OperationError {
  constructor(code: 'BASELINE_COMPANION_MISSING' | 'BASELINE_TAMPERED', subject: string, what: string) {
    super(code, subject, what, {
      nextStep: 'keep both files as evidence, find out who could write there, and record a new baseline',
    });
    this.name = 'IntegrityError';
  }
}

/** A bug in this program: nothing below a trigger catches it. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(message);
}
