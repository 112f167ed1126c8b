import { AsyncLocalStorage } from 'node:async_hooks';
import type { ComputeManagementClient } from '@azure/arm-compute';

const MAX_SECONDS = 300;

/** A Retry-After header, seconds or an HTTP date, as whole seconds from 1 to 300; null when it says nothing. */
export function readRetryAfter(header: string | undefined, nowMs = Date.now()): number | null {
  const text = header?.trim() ?? '';
  const seconds = /^\d+$/.test(text) ? Number(text) : (parseHttpDate(text) - nowMs) / 1000;
  return Number.isNaN(seconds) ? null : Math.ceil(Math.min(Math.max(seconds, 1), MAX_SECONDS));
}

/** Only what begins with a weekday: `Date.parse` takes nearly anything for a date. */
function parseHttpDate(text: string): number {
  return /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
}

interface Heard {
  retryAfterSeconds: number | null;
}

const listeners = new AsyncLocalStorage<Heard>();

/** Lets `hearRetryAfter` hear answers that are no errors: the SDK keeps their headers to itself. */
export const retryAfterPolicy: Parameters<ComputeManagementClient['pipeline']['addPolicy']>[0] = {
  name: 'retryAfterPolicy',
  async sendRequest(request, next) {
    const response = await next(request);
    const heard = listeners.getStore();
    if (heard !== undefined) heard.retryAfterSeconds = readRetryAfter(response.headers.get('retry-after'));
    return response;
  },
};

/** What a call answers, and the Retry-After of its last response. */
export function hearRetryAfter<T>(ask: (heard: Readonly<Heard>) => Promise<T>): Promise<T> {
  const heard: Heard = { retryAfterSeconds: null };
  return listeners.run(heard, () => ask(heard));
}
