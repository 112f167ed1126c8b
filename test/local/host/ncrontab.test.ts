import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseSchedule } from '../../../local/host/ncrontab.ts';

/** schedule; after; next occurrence */
const rows: [string, string, string | null][] = [
  ['0 0 2 * * *', '2026-03-01T01:59:59.999Z', '2026-03-01T02:00:00.000Z'],
  ['0 0 2 * * *', '2026-03-01T02:00:00.000Z', '2026-03-02T02:00:00.000Z'],
  ['0 */5 * * * *', '2026-03-01T10:04:00.000Z', '2026-03-01T10:05:00.000Z'],
  ['*/5 * * * *', '2026-03-01T10:04:59.500Z', '2026-03-01T10:05:00.000Z'],
  ['*/20 * * * * *', '2026-03-01T10:00:41.000Z', '2026-03-01T10:01:00.000Z'],
  ['0 30 9-17/4 * * MON-FRI', '2026-03-06T13:30:00.000Z', '2026-03-06T17:30:00.000Z'],
  ['0 30 9-17/4 * * MON-FRI', '2026-03-06T17:30:00.000Z', '2026-03-09T09:30:00.000Z'],
  ['0 0 0 1 JAN,JUL *', '2026-01-01T00:00:00.000Z', '2026-07-01T00:00:00.000Z'],
  ['0 0 0 29 2 *', '2097-01-01T00:00:00.000Z', '2104-02-29T00:00:00.000Z'],
  ['0 0 0 13 * FRI', '2026-03-14T00:00:00.000Z', '2026-11-13T00:00:00.000Z'],
  ['0 0 0 31 2 *', '2026-01-01T00:00:00.000Z', null],
  ['59 59 23 31 12 *', '2026-12-31T23:59:58.001Z', '2026-12-31T23:59:59.000Z'],
  ['5/15 * * * * *', '2026-01-01T00:00:21.000Z', '2026-01-01T00:00:35.000Z'],
  ['01:30:00', '2026-01-01T00:00:21.000Z', '2026-01-01T01:30:21.000Z'],
];
for (const [schedule, after, next] of rows) {
  test(`"${schedule}" after ${after} is ${next ?? 'never'}`, () => {
    const ms = parseSchedule(schedule).next(Date.parse(after));
    assert.equal(ms === null ? null : new Date(ms).toISOString(), next);
  });
}

for (const text of [
  '',
  '* * *',
  '60 * * * * *',
  '0 0 24 * * *',
  '0 0 0 0 * *',
  '5-1 * * * * *',
  '*/0 * * * * *',
  'x * * * * *',
  '0:00:00',
]) {
  test(`"${text}" is refused as a schedule`, () => {
    assert.throws(() => parseSchedule(text), /schedule/);
  });
}
