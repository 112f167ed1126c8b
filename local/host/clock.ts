/** Where the host takes time from: durable timers, timer triggers and every timestamp. Times are UTC milliseconds. */
export interface Clock {
  nowMs(): number;
  /** Runs once at or after `dueMs`, never synchronously; the answer cancels it. */
  schedule(dueMs: number, run: () => void): () => void;
}

export interface SystemClockOptions {
  /** How many virtual seconds pass in a real one; default 1. */
  timeScale?: number;
  /** Virtual time starts no earlier than this, so that it never runs backwards over a restart. */
  notBeforeMs?: number;
}

const delayMaxMs = 2 ** 31 - 1;

export function systemClock({ timeScale = 1, notBeforeMs = 0 }: SystemClockOptions = {}): Clock {
  const realStartMs = Date.now();
  const startMs = Math.max(realStartMs, notBeforeMs);
  const nowMs = (): number => Math.floor(startMs + (Date.now() - realStartMs) * timeScale);
  return {
    nowMs,
    schedule(dueMs, run) {
      let timer: NodeJS.Timeout;
      const arm = (): void => {
        // A longer delay would overflow and fire at once, so it is taken in steps.
        const delayMs = Math.min(Math.max(0, Math.ceil((dueMs - nowMs()) / timeScale)), delayMaxMs);
        timer = setTimeout(() => (nowMs() >= dueMs ? run() : arm()), delayMs);
      };
      arm();
      return () => clearTimeout(timer);
    },
  };
}

interface Alarm {
  dueMs: number;
  run: () => void;
}

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #alarms = new Set<Alarm>();

  constructor(start: string | number | Date = '2026-01-01T00:00:00.000Z') {
    this.#nowMs = new Date(start).getTime();
  }

  nowMs(): number {
    return this.#nowMs;
  }

  schedule(dueMs: number, run: () => void): () => void {
    const alarm = { dueMs, run };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Moves to the next alarm and rings all that are due then; false where there is none (up to `untilMs`). */
  advanceToNext(untilMs: number = Number.POSITIVE_INFINITY): boolean {
    const nextMs = Math.min(...[...this.#alarms].map(({ dueMs }) => dueMs));
    if (!Number.isFinite(nextMs) || nextMs > untilMs) return false;
    this.advanceBy(Math.max(0, nextMs - this.#nowMs));
    return true;
  }

  advanceBy(ms: number): void {
    this.#nowMs += ms;
    const due = [...this.#alarms].filter(({ dueMs }) => dueMs <= this.#nowMs).sort((a, b) => a.dueMs - b.dueMs);
    for (const alarm of due) {
      if (this.#alarms.delete(alarm)) alarm.run();
    }
  }
}
