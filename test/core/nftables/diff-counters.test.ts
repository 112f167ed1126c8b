import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffCounters, diffRulesets, type NftRuleset, parseNftRuleset } from '../../../src/core/nftables/index.ts';
import { listing } from './listings.ts';

const place = { family: 'inet', table: 't' };

/** One chain of rules for TCP ports with their packets (of 60 bytes), and the named counter `web`. */
function read(
  table: number,
  web: number,
  ...rules: readonly (readonly [port: number, packets: number | null])[]
): NftRuleset {
  return parseNftRuleset(
    listing([
      { table: { family: 'inet', name: 't', handle: table } },
      { chain: { ...place, name: 'c', handle: 1 } },
      { counter: { ...place, name: 'web', handle: 2, packets: web, bytes: web * 60 } },
      ...rules.map(([right, packets], index) => ({
        rule: {
          ...place,
          chain: 'c',
          handle: 3 + index,
          expr: [
            { match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right } },
            { counter: packets === null ? null : { packets, bytes: packets * 60 } },
          ],
        },
      })),
    ]),
  ).ruleset;
}

function moved(baseline: NftRuleset, current: NftRuleset): unknown[] {
  return diffCounters(baseline, current).map(({ chain, counter, position, before, after }) => [
    chain ?? counter,
    position,
    before.packets,
    after.packets,
    after.bytes,
  ]);
}

test('Counters of rules that stayed and of named counters are compared, and are no drift', () => {
  const [before, after] = [read(1, 5, [22, 1], [80, 2]), read(1, 6, [22, 1], [80, 9])];
  assert.deepEqual(moved(before, after), [
    ['c', 1, 2, 9, 540],
    ['web', null, 5, 6, 360],
  ]);
  assert.deepEqual(diffRulesets(before, after).changes, []);
});

test('Counters follow their rule to another place, also after a reload; those of other rules do not count', () => {
  assert.deepEqual(moved(read(1, 5, [22, 1], [80, 2]), read(9, 5, [443, 7], [22, 1], [80, 3])), [['c', 2, 2, 3, 180]]);
});

test('A listing without state has none', () => {
  assert.deepEqual(moved(read(1, 5, [22, 1]), read(1, 5, [22, null])), [['c', 0, 1, null, null]]);
});
