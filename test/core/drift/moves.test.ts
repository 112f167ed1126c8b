import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assessIptablesDrift } from '../../../src/core/drift/iptables-drift.ts';
import { MoveJudge } from '../../../src/core/drift/moves.ts';
import { ACCEPTS, DENIES, MARKS, NAT, TURNS } from '../../../src/core/drift/verdict-bits.ts';
import { parseIptablesSave } from '../../../src/core/iptables/index.ts';

const NOTHING = 0;

/** The severity of a rule that moved from below another one to above it. */
function passing(moved: number, other: number): string {
  const moves = {
    lengthBefore: 2,
    weights: [moved, other],
    gone: new Set([1]),
    came: new Set([0]),
    movedWeight: moved,
  };
  return new MoveJudge(moves).judge('it', 1, 0).severity;
}

test('what a move means is what the two rules do', () => {
  const kinds = [NOTHING, ACCEPTS, DENIES, NAT, TURNS, MARKS];
  assert.deepEqual(
    kinds.map((moved) => kinds.map((other) => passing(moved, other))),
    [
      ['low', 'low', 'low', 'low', 'low', 'low'],
      ['low', 'low', 'critical', 'high', 'high', 'medium'],
      ['low', 'critical', 'low', 'low', 'high', 'medium'],
      ['low', 'high', 'low', 'high', 'high', 'medium'],
      ['low', 'high', 'high', 'high', 'high', 'medium'],
      ['low', 'medium', 'medium', 'medium', 'medium', 'medium'],
    ],
  );
});

test('only rules that stayed are passed, and all that moved may have passed each other', () => {
  // An accept goes from the end to the top; the drop between came only now.
  const moves = { lengthBefore: 2, weights: [ACCEPTS, DENIES, ACCEPTS], gone: new Set([1]), came: new Set([0, 1]) };
  const judge = (movedWeight: number) => new MoveJudge({ ...moves, movedWeight }).judge('it', 1, 0).severity;
  assert.deepEqual([judge(ACCEPTS), judge(ACCEPTS | DENIES)], ['low', 'high']);
});

test('iptables: exemptions from address translation, notrack and marks count as moved', () => {
  const severity = (table: string, chain: string, [first, second]: readonly [string, string]): string | undefined => {
    const ruleset = (...rules: string[]) =>
      parseIptablesSave(
        `*${table}\n:${chain} ACCEPT [0:0]\n${rules.map((rule) => `-A ${chain} ${rule}\n`).join('')}COMMIT\n`,
        { family: 'ipv4' },
      ).ruleset;
    const changes = assessIptablesDrift(ruleset(first, second), ruleset(second, first));
    assert.deepEqual(
      changes.map(({ kind }) => kind),
      ['rules_repositioned'],
    );
    return changes[0]?.severity;
  };
  assert.equal(severity('nat', 'POSTROUTING', ['-d 10.0.0.0/8 -j ACCEPT', '-o eth0 -j MASQUERADE']), 'high');
  assert.equal(severity('raw', 'PREROUTING', ['-p udp -j CT --notrack', '-s 10.0.0.0/8 -j DROP']), 'high');
  assert.equal(
    severity('mangle', 'PREROUTING', ['-p tcp -j MARK --set-xmark 0x1/0x1', '-p udp -j MARK --set-xmark 0x2/0x2']),
    'medium',
  );
});
