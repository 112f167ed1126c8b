import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { excerpt, printable } from '../../src/core/diagnostics.ts';

test('An excerpt is the beginning of the printable text', () => {
  const piece = fc.constantFrom('a', 'é', '😀', '\u{e0041}', '\u0001', '\u202e', 'x'.repeat(40));
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 130 }), (pieces) => {
      const whole = printable(pieces.join(''));
      assert.equal(excerpt(pieces.join('')), whole.length <= 120 ? whole : `${whole.slice(0, 119)}…`);
    }),
  );
});

test('An excerpt of megabytes is made without printing them', () => {
  // A hostile capture may say nothing else on standard error: printed, 30 MB were nine seconds and a gigabyte.
  const before = process.memoryUsage().rss;
  assert.equal(excerpt('\u0001'.repeat(30_000_000)).length, 120);
  assert.ok(process.memoryUsage().rss - before < 500e6);
});
