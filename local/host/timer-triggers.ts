import { replaceSettings } from './app.ts';
import type { Clock } from './clock.ts';
import type { RegisteredFunction } from './functions-core.ts';
import type { TimerSchedule } from './instances.ts';
import type { Invoker } from './invoke.ts';
import type { Journal } from './journal.ts';
import { errorText, type Log } from './log.ts';
import { parseSchedule, type Schedule } from './ncrontab.ts';

export interface TimerTriggers {
  /** Arms every timer; one that was due while the host was down runs at once, as past due. */
  start(): void;
  /** Runs one now, out of its schedule. */
  runByHand(fn: RegisteredFunction): Promise<void>;
  stop(): void;
}

/** Azure keeps no record of timers that are due more often than once a minute. */
const monitoredFromMs = 60_000;
const never = new Date(0).toISOString();

export function makeTimerTriggers(
  functions: readonly RegisteredFunction[],
  { clock, journal, invoker, log }: { clock: Clock; journal: Journal; invoker: Invoker; log: Log },
): TimerTriggers {
  const timers = functions
    .filter(({ trigger }) => trigger.type === 'timerTrigger')
    .map((fn) => ({ fn, schedule: scheduleOf(fn) }));
  const armed = new Map<RegisteredFunction, () => void>();
  let isStopped = false;

  const run = async (fn: RegisteredFunction, isPastDue: boolean): Promise<void> => {
    const status = journal.state.timers.get(fn.name);
    const input = {
      Schedule: { AdjustForDST: true },
      ScheduleStatus: status ? { Last: status.last, Next: status.next, LastUpdated: status.lastUpdated } : null,
      IsPastDue: isPastDue,
    };
    try {
      await invoker.invoke(fn, { trigger: { string: JSON.stringify(input) } });
    } catch (error) {
      log({
        level: 'error',
        category: 'host',
        functionName: fn.name,
        message: `${fn.name} failed: ${errorText(error)}`,
      });
    }
  };

  /** Singleton: the next occurrence is looked for after a run has ended, so two never overlap. */
  const arm = (fn: RegisteredFunction, schedule: Schedule): void => {
    const dueMs = schedule.next(clock.nowMs());
    if (isStopped || dueMs === null) return;
    record(fn, schedule, { next: iso(dueMs) });
    const cancel = clock.schedule(dueMs, () => {
      const startedMs = clock.nowMs();
      void run(fn, false).then(() => {
        record(fn, schedule, { last: iso(startedMs) });
        arm(fn, schedule);
      });
    });
    armed.set(fn, cancel);
  };

  const record = (fn: RegisteredFunction, schedule: Schedule, change: Partial<TimerSchedule>): void => {
    const nowMs = clock.nowMs();
    const firstMs = schedule.next(nowMs);
    const secondMs = firstMs === null ? null : schedule.next(firstMs);
    if (isStopped || firstMs === null || secondMs === null || secondMs - firstMs < monitoredFromMs) return;
    const before = journal.state.timers.get(fn.name) ?? { last: never, next: never, lastUpdated: never };
    journal.commit([{ change: 'timer', name: fn.name, schedule: { ...before, lastUpdated: iso(nowMs), ...change } }]);
  };

  return {
    start() {
      for (const { fn, schedule } of timers) {
        const missed = journal.state.timers.get(fn.name);
        const isPastDue = missed !== undefined && Date.parse(missed.next) < clock.nowMs();
        if (isPastDue || fn.trigger['runOnStartup'] === true) {
          void run(fn, isPastDue).then(() => {
            record(fn, schedule, { last: iso(clock.nowMs()) });
            arm(fn, schedule);
          });
        } else arm(fn, schedule);
      }
    },
    runByHand: (fn) => run(fn, false),
    stop() {
      isStopped = true;
      for (const cancel of armed.values()) cancel();
    },
  };
}

/** Error: a schedule that cannot be read, or an app setting in it that is not set. */
export function scheduleOf(fn: RegisteredFunction): Schedule {
  try {
    return parseSchedule(replaceSettings(String(fn.trigger['schedule'] ?? '')));
  } catch (error) {
    throw new Error(`the timer ${fn.name} cannot be scheduled: ${errorText(error)}`, { cause: error });
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
