import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  diffCounters,
  diffRulesets,
  parseNftRuleset,
  printNftJson,
  printRuleText,
} from '../../../src/core/nftables/index.ts';

// As nft 1.0.6 lists them of a real kernel.
const rule = (expr: string, handle = 2) =>
  `{"rule": {"family": "ip", "table": "t", "chain": "c", "handle": ${handle}, "expr": [${expr}]}}`;
const payload = (value: string) =>
  rule(`{"match": {"op": "==", "left": {"payload": {"base": "th", "offset": 0, "len": 64}}, "right": ${value}}}`);
const quota = (value: string) => rule(`{"quota": {"val": ${value}, "val_unit": "bytes", "inv": true}}, {"drop": null}`);
const named = (value: string) =>
  `{"quota": {"family": "ip", "name": "q", "table": "t", "handle": 9, "bytes": ${value}, "used": 0, "inv": false}}`;
const set = (value: string) =>
  `{"set": {"family": "ip", "name": "s", "table": "t", "type": "integer", "handle": 7, "elem": [${value}]}}`;
const counted = (value: string) => rule(`{"counter": {"packets": 1, "bytes": ${value}}}, {"drop": null}`);

const listing = (...items: string[]): string =>
  `{"nftables": [\n{"metainfo": {"version": "1.0.6", "json_schema_version": 1}},\n{"table": {"family": "ip", "name": "t", "handle": 1}},\n{"chain": {"family": "ip", "table": "t", "name": "c", "handle": 1}},\n${items.join(',\n')}\n]}\n`;
const read = (text: string) => {
  const { ruleset, diagnostics } = parseNftRuleset(text);
  assert.deepEqual(diagnostics, []);
  return ruleset;
};

// The same number to JavaScript.
const [A, B] = ['9007199254740992', '9007199254740993'];

test('What differs in the last of 64 bits differs', () => {
  for (const [make, kind] of [
    [payload, 'rule_modified'],
    [quota, 'rule_modified'],
    [named, 'object_changed'],
    [set, 'set_changed'],
  ] as const) {
    const { changes } = diffRulesets(read(listing(make(A))), read(listing(make(B))));
    assert.deepEqual(
      changes.map((change) => change.kind),
      [kind],
    );
    assert.deepEqual(diffRulesets(read(listing(make(B))), read(listing(make(B)))).changes, []);
  }
});

test('Counters beyond 2^53 are counters: no drift, and no digit is lost', () => {
  const [before, after] = [read(listing(counted(A))), read(listing(counted(B)))];
  assert.deepEqual(diffRulesets(before, after).changes, []);
  assert.deepEqual(
    diffCounters(before, after).map((change) => [change.before.bytes, change.after.bytes]),
    [[A, B]],
  );
});

test('A listing with large integers is printed as it was read', () => {
  const text = listing(named(B), counted(B), quota(`-${B}`));
  assert.equal(printNftJson(read(text)).replace(/\s/g, ''), text.replace(/\s/g, ''));
  const [shown] =
    read(listing(payload(B)))
      .tables.get('ip/t')
      ?.chains.get('c')?.rules ?? [];
  assert.ok(shown !== undefined);
  assert.equal(printRuleText(shown), '@th,0,64 0x20000000000001');
});

test('Digits in text stay text, and numbers that a number holds stay numbers', () => {
  const digits = fc.constantFrom('1234567890123456789', '\\"1234567890123456789', '\\\\', 'a');
  const value = fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true, noInteger: true }),
    fc.string(),
    digits,
  );
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.array(value)), (body) => {
      // The long number makes the text one that is looked through.
      const text = `{"nftables": [{"foo": ${JSON.stringify(body)}}, {"bar": [${B}]}]}`;
      assert.deepEqual(parseNftRuleset(text).ruleset.unparsed, [
        { foo: JSON.parse(JSON.stringify(body)) },
        { bar: [B] },
      ]);
    }),
  );
});
