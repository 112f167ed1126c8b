import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { diffIpsets, isEmptyIpsetDiff, parseIpsetSave, printIpsetSave } from '../../../src/core/ipset/index.ts';

const SAVED =
  'create g hash:net counters comment timeout 0\nadd g 10.1.0.0/16 nomatch comment "no" timeout 5\nadd g 10.0.0.0/8\n';

test('no cut and no bytes make reading, comparing or printing throw', () => {
  const whole = parseIpsetSave(SAVED).sets;
  for (let cut = 0; cut <= SAVED.length; cut += 1) {
    const { sets } = parseIpsetSave(SAVED.slice(0, cut));
    printIpsetSave(sets);
    diffIpsets(sets, whole);
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const { sets } = parseIpsetSave(`create a hash:ip\nadd a ${Buffer.from(bytes).toString('latin1')}`);
      assert.ok(isEmptyIpsetDiff(diffIpsets(sets, sets)));
      printIpsetSave(sets);
    }),
  );
});

test('every member that comes, goes or changes is exactly one change', () => {
  const member = fc.integer({ min: 0, max: 255 }).map((octet) => `10.0.0.${octet}`);
  fc.assert(
    fc.property(fc.uniqueArray(member), fc.uniqueArray(member), (before, after) => {
      const save = (members: readonly string[]): string =>
        `create a hash:ip\n${members.map((one) => `add a ${one}\n`).join('')}`;
      const [change] = diffIpsets(parseIpsetSave(save(before)).sets, parseIpsetSave(save(after)).sets).setsChanged;
      const gone = before.filter((one) => !after.includes(one));
      const came = after.filter((one) => !before.includes(one));
      assert.deepEqual(change?.entriesRemoved.map((entry) => entry.member) ?? [], gone);
      assert.deepEqual(change?.entriesAdded.map((entry) => entry.member) ?? [], came);
    }),
  );
});
