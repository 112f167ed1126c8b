/**
 * What can be made to go wrong with the next calls on one VM.
 *
 * - `http`: the request is answered with this status and nothing is done. `on` says which request; `post` is the default.
 * - `acceptedThenHttp`: the POST is accepted and runs, yet is answered with this status, so that a client's own retry
 *   meets its first try as a 409.
 * - `dropped`: the connection is closed without an answer; with `accepted` the POST was accepted first.
 * - `operationFails`: the POST is accepted and the operation fails when it would have finished.
 * - `neverFinishes`: the POST is accepted and stays `InProgress`, which keeps the VM busy until `finishAll`.
 * - `slow`: the run takes at least this long.
 * - `output`: these bytes instead of the script's; the script is not run.
 * - `builtInSample`: the service's sample script ran instead of the caller's.
 * - `cachedOutput`: the previous run's output again; the script is not run. Without a previous run, empty output.
 */
export type Fault =
  | HttpFault
  | { readonly kind: 'acceptedThenHttp'; readonly status: number; readonly retryAfterSeconds?: number }
  | { readonly kind: 'dropped'; readonly on?: FaultPoint; readonly accepted?: boolean }
  | { readonly kind: 'operationFails'; readonly code: string; readonly message: string }
  | { readonly kind: 'neverFinishes' }
  | { readonly kind: 'slow'; readonly runMs: number }
  | { readonly kind: 'output'; readonly stdout: string; readonly stderr?: string }
  | { readonly kind: 'builtInSample' }
  | { readonly kind: 'cachedOutput' };

export interface HttpFault {
  readonly kind?: 'http';
  readonly on?: FaultPoint;
  readonly status: number;
  /** ARM's error code; by default the usual one of the status. */
  readonly code?: string;
  readonly message?: string;
  readonly retryAfterSeconds?: number;
}

/** `get`: the VM or its instance view; `list`: any list (target `list`); `post`: runCommand; `poll`; `result`: final GET. */
export type FaultPoint = 'get' | 'list' | 'post' | 'poll' | 'result';

/** A fault's place in the order of calls: the run itself is decided when the POST is accepted. */
export function faultPoint(fault: Fault): FaultPoint {
  return fault.kind === undefined || fault.kind === 'http' || fault.kind === 'dropped' ? (fault.on ?? 'post') : 'post';
}

/** Faults wait here per target (a VM's name, or `list`), in order; each is used up by one call it fits. */
export class FaultQueue {
  readonly #waiting = new Map<string, Fault[]>();

  add(target: string, fault: Fault, times: number): void {
    const key = target.toLowerCase();
    const queue = this.#waiting.get(key) ?? [];
    for (let count = 0; count < times; count += 1) queue.push(fault);
    this.#waiting.set(key, queue);
  }

  take(target: string, point: FaultPoint): Fault | undefined {
    const queue = this.#waiting.get(target.toLowerCase());
    const index = queue?.findIndex((fault) => faultPoint(fault) === point) ?? -1;
    return index === -1 ? undefined : queue?.splice(index, 1)[0];
  }

  /** How many faults were asked for and not met yet; a test that expects all of them to bite asserts 0. */
  get pending(): number {
    return [...this.#waiting.values()].reduce((sum, queue) => sum + queue.length, 0);
  }
}
