/** Ends a command with exit code 1: what is wrong, and what to do next. */
export class CommandError extends Error {
  readonly kind: 'usage' | 'error';
  /** Empty when there is nothing to advise. */
  readonly nextStep: string;

  constructor(what: string, options: { kind?: 'usage' | 'error'; nextStep?: string; cause?: unknown } = {}) {
    super(what, { cause: options.cause });
    this.name = 'CommandError';
    this.kind = options.kind ?? 'error';
    this.nextStep = options.nextStep ?? '';
  }
}

export function usageError(what: string, nextStep = ''): CommandError {
  return new CommandError(what, { kind: 'usage', nextStep });
}
