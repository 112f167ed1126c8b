import type { Snapshot } from '../src/core/baseline/snapshot.ts';
import type { RunCounts, RunReport } from '../src/core/contracts.ts';
import type { DriftDocument } from '../src/core/drift/drift-document.ts';

export interface OperationStatus {
  readonly id: string;
  readonly status: 'NotStarted' | 'Running' | 'Succeeded' | 'Failed' | 'Canceled';
  readonly progress: { readonly phase: string; readonly vms: number | null; readonly done?: number } | null;
  readonly result?: { readonly counts: RunCounts };
  readonly error?: { readonly message: string };
}

export interface StartedRun {
  readonly id: string;
  readonly session_id: string;
}

/** The app's HTTP API as any caller uses it: key in a header, polling as Retry-After says. */
export class ApiClient {
  readonly #base: () => string;
  readonly #key: string;
  readonly #pollMs: number;

  /** @param base  asked at every call: a restarted host may listen elsewhere */
  constructor(base: () => string, key: string, pollMs = 500) {
    this.#base = base;
    this.#key = key;
    this.#pollMs = pollMs;
  }

  async request(method: 'GET' | 'POST', path: string, body?: unknown): Promise<Response> {
    return fetch(`${this.#base()}/api/v1/${path}`, {
      method,
      headers: { 'x-functions-key': this.#key, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  }

  async #json<T>(method: 'GET' | 'POST', path: string, body?: unknown): Promise<T> {
    const response = await this.request(method, path, body);
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} /api/v1/${path}: HTTP ${response.status} ${text}`);
    return JSON.parse(text) as T;
  }

  startRun(body: unknown): Promise<StartedRun> {
    return this.#json('POST', 'runs', body);
  }

  operation(id: string): Promise<OperationStatus> {
    return this.#json('GET', `operations/${id}`);
  }

  report(sessionId: string): Promise<RunReport> {
    return this.#json('GET', `runs/${sessionId}`);
  }

  snapshot(vmKey: string, sessionId: string): Promise<Snapshot> {
    return this.#json('GET', `vms/${vmKey}/snapshots/${sessionId}`);
  }

  drift(vmKey: string, sessionId: string): Promise<DriftDocument> {
    return this.#json('GET', `vms/${vmKey}/drifts/${sessionId}`);
  }

  /** Starts a run and waits for its end. Errors: the run fails, or is not done in time. */
  async run(
    body: unknown,
    onProgress: (status: OperationStatus) => void = () => {},
    timeoutMs = 300_000,
  ): Promise<RunReport> {
    const { id } = await this.startRun(body);
    return this.finished(id, onProgress, timeoutMs);
  }

  async finished(
    id: string,
    onProgress: (status: OperationStatus) => void = () => {},
    timeoutMs = 300_000,
  ): Promise<RunReport> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const status = await this.operation(id);
      onProgress(status);
      if (status.status === 'Succeeded') return this.report(id);
      if (status.status === 'Failed' || status.status === 'Canceled') {
        throw new Error(`run ${id} ${status.status}: ${status.error?.message ?? 'no reason given'}`);
      }
      if (Date.now() > deadline) throw new Error(`run ${id} is ${status.status} after ${timeoutMs / 1000} s`);
      await new Promise((resolve) => setTimeout(resolve, this.#pollMs));
    }
  }
}
