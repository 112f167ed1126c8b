/** A timer's schedule. Times are UTC milliseconds. */
export interface Schedule {
  /** The first occurrence after `afterMs`; null where there is none within eight years. */
  next(afterMs: number): number | null;
}

const monthNames = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC'];
const dayNames = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT'];
const dayMs = 86_400_000;
/** 29 February can be eight years away, over 2100. */
const daysAheadMax = 8 * 366 + 1;

/**
 * Reads an NCRONTAB expression (`second minute hour day month day-of-week`; with five fields the second is 0) or a
 * duration `hh:mm:ss`. Day and day of week must both match, as in NCrontab; cron proper takes either.
 *
 * Error: text that is neither.
 */
export function parseSchedule(text: string): Schedule {
  const duration = /^(\d+):([0-5]\d):([0-5]\d)$/.exec(text.trim());
  if (duration) {
    const [hours = 0, minutes = 0, seconds = 0] = duration.slice(1).map(Number);
    const everyMs = (hours * 3600 + minutes * 60 + seconds) * 1000;
    if (everyMs === 0) throw new Error(`the schedule "${text}" has no length`);
    return { next: (afterMs) => afterMs + everyMs };
  }
  const fields = text.trim().split(/\s+/);
  if (fields.length === 5) fields.unshift('0');
  if (fields.length !== 6) throw new Error(`the schedule "${text}" has ${fields.length} fields; 6 are needed`);
  const [second = '', minute = '', hour = '', day = '', month = '', weekday = ''] = fields;
  const seconds = parseField(second, 0, 59);
  const minutes = parseField(minute, 0, 59);
  const hours = parseField(hour, 0, 23);
  const days = new Set(parseField(day, 1, 31));
  const months = new Set(parseField(month, 1, 12, monthNames));
  const weekdays = new Set(parseField(weekday, 0, 6, dayNames));

  const firstInDay = (fromMs: number): number | null => {
    for (const h of hours) {
      for (const m of minutes) {
        // The last second of this minute is before the time asked for: skip all of its seconds.
        if ((h * 3600 + m * 60 + 59) * 1000 < fromMs) continue;
        for (const s of seconds) {
          const ms = (h * 3600 + m * 60 + s) * 1000;
          if (ms >= fromMs) return ms;
        }
      }
    }
    return null;
  };
  return {
    next(afterMs) {
      const fromMs = Math.floor(afterMs / 1000) * 1000 + 1000;
      const firstDayMs = Math.floor(fromMs / dayMs) * dayMs;
      for (let ahead = 0; ahead <= daysAheadMax; ahead++) {
        const midnightMs = firstDayMs + ahead * dayMs;
        const date = new Date(midnightMs);
        const isDay =
          months.has(date.getUTCMonth() + 1) && days.has(date.getUTCDate()) && weekdays.has(date.getUTCDay());
        const timeMs = isDay ? firstInDay(Math.max(0, fromMs - midnightMs)) : null;
        if (timeMs !== null) return midnightMs + timeMs;
      }
      return null;
    },
  };
}

/** `*`, `5`, `1-5`, steps (`0-59/10`), `1-30/5` and lists of these; names where the field has them (the first stands for `min`). */
function parseField(text: string, min: number, max: number, names: readonly string[] = []): number[] {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const [, range = '', step = '1'] = /^([^/]+)(?:\/(\d+))?$/.exec(part) ?? [];
    const hasStep = part.includes('/');
    const [from, to = hasStep ? String(max) : from] = range === '*' ? [String(min), String(max)] : range.split('-');
    const first = fieldValue(from, min, names);
    const last = fieldValue(to, min, names);
    const every = Number(step);
    if (!(first >= min && last <= max && first <= last && every > 0)) {
      throw new Error(`"${part}" is not valid in a schedule; the field goes from ${min} to ${max}`);
    }
    for (let value = first; value <= last; value += every) values.add(value);
  }
  return [...values].sort((a, b) => a - b);
}

function fieldValue(text: string | undefined, min: number, names: readonly string[]): number {
  const name = names.indexOf((text ?? '').toUpperCase().slice(0, 3));
  if (name >= 0) return name + min;
  return /^\d+$/.test(text ?? '') ? Number(text) : Number.NaN;
}
