import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { align } from '../../../src/core/sequence/align.ts';

const keys = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'), { maxLength: 12 });

test('one item inserted at the top of a thousand is one addition and no move', () => {
  const baseline = Array.from({ length: 1000 }, (_, index) => `rule ${index}`);
  const { moved, added, removed } = align(baseline, ['new', ...baseline]);
  assert.deepEqual({ moved, added, removed }, { moved: [], added: [0], removed: [] });
});

test('the last item moved to the top is one move', () => {
  const { moved, added, removed } = align(['a', 'b', 'c', 'd'], ['d', 'a', 'b', 'c']);
  assert.deepEqual({ moved, added, removed }, { moved: [[3, 0]], added: [], removed: [] });
});

test('equal items are counted', () => {
  const { moved, added, removed } = align(['x', 'x', 'x'], ['x', 'x']);
  assert.equal(removed.length, 1);
  assert.deepEqual([moved, added], [[], []]);
});

test('every item of both lists is accounted for exactly once, and keys agree', () => {
  fc.assert(
    fc.property(keys, keys, (baseline, current) => {
      const { kept, moved, removed, added } = align(baseline, current);
      const pairs = [...kept, ...moved];
      const fromBaseline = [...pairs.map(([index]) => index), ...removed].sort((a, b) => a - b);
      const fromCurrent = [...pairs.map(([, index]) => index), ...added].sort((a, b) => a - b);
      assert.deepEqual(fromBaseline, [...baseline.keys()]);
      assert.deepEqual(fromCurrent, [...current.keys()]);
      for (const [from, to] of pairs) assert.equal(baseline[from], current[to]);
      const leftOver = new Set(removed.map((index) => baseline[index]));
      for (const index of added) assert.ok(!leftOver.has(current[index]), 'a key is never both added and removed');
    }),
  );
});

test('the kept items are a longest common subsequence', () => {
  fc.assert(
    fc.property(keys, keys, (baseline, current) => {
      assert.equal(align(baseline, current).kept.length, lengthByTable(baseline, current));
    }),
  );
});

test('a hundred thousand equal items do not cost their square', () => {
  const baseline = Array.from({ length: 100_000 }, () => 'same');
  const { added, removed, moved } = align(baseline, ['first', ...baseline.slice(1), 'last']);
  assert.deepEqual([added.length, removed.length, moved.length], [2, 1, 0]);
});

function lengthByTable(a: readonly string[], b: readonly string[]): number {
  let row = new Array<number>(b.length + 1).fill(0);
  for (const item of a) {
    const next = [0];
    for (let index = 0; index < b.length; index += 1) {
      const best =
        item === b[index] ? (row[index] as number) + 1 : Math.max(row[index + 1] as number, next[index] as number);
      next.push(best);
    }
    row = next;
  }
  return row[b.length] as number;
}
