import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffRulesets, parseNftRuleset } from '../../../src/core/nftables/index.ts';

const listing = (...items: readonly object[]): string => JSON.stringify({ nftables: items });
const metainfo = { metainfo: { version: '1.0.6', release_name: 'Lester Gooch #5', json_schema_version: 1 } };
const table = { table: { family: 'inet', name: 'filter', handle: 1 } };
const chain = {
  chain: {
    family: 'inet',
    table: 'filter',
    name: 'input',
    handle: 1,
    type: 'filter',
    hook: 'input',
    prio: 0,
    policy: 'drop',
  },
};
const rule = (handle: number, ...expr: readonly unknown[]) => ({
  rule: { family: 'inet', table: 'filter', chain: 'input', handle, expr },
});

test('A listing becomes tables, chains and rules in their order', () => {
  const { ruleset, diagnostics } = parseNftRuleset(
    listing(metainfo, table, chain, rule(2, { accept: null }), rule(3, { drop: null })),
  );
  assert.deepEqual(diagnostics, []);
  assert.equal(ruleset.version, '1.0.6');
  const input = ruleset.tables.get('inet/filter')?.chains.get('input');
  assert.deepEqual([input?.hook, input?.priority, input?.policy, input?.isBaseChain], ['input', 0, 'drop', true]);
  assert.deepEqual(
    input?.rules.map((one) => one.handle),
    [2, 3],
  );
});

test('A statement that nobody knows is kept, with a warning', () => {
  const { ruleset, diagnostics } = parseNftRuleset(
    listing(metainfo, table, chain, rule(2, { teleport: { to: 'moon' } })),
  );
  assert.deepEqual(
    diagnostics.map(({ code, severity }) => [code, severity]),
    [['NFT_UNKNOWN_STATEMENT', 'warning']],
  );
  const [kept] = ruleset.tables.get('inet/filter')?.chains.get('input')?.rules ?? [];
  assert.deepEqual(kept?.expr, [{ teleport: { to: 'moon' } }]);
});

test('Names from the kernel cannot reach the prototype', () => {
  const { ruleset } = parseNftRuleset(
    `{"nftables":[{"table":{"family":"ip","name":"__proto__"}},{"chain":{"family":"ip","table":"__proto__","name":"__proto__"}}]}`,
  );
  assert.deepEqual([...(ruleset.tables.get('ip/__proto__')?.chains.keys() ?? [])], ['__proto__']);
});

test('A garbled table full of blanks is given up as fast as any other item', () => {
  // Of a few hundred blanks one expression took a second, of some thousand it took hours.
  const item = `{"table":{"name":"a"${' '.repeat(1900)}"flags":1${' '.repeat(1900)}{}}}`;
  const { ruleset, diagnostics } = parseNftRuleset(`{"nftables":[${item}]}`);
  assert.deepEqual(
    diagnostics.map(({ code }) => code),
    ['NFT_JSON_ITEM'],
  );
  assert.deepEqual(ruleset.unparsed, [item]);
});

test('A chain of hundreds of thousands of rules can change as a whole', () => {
  const rules = (count: number, verdict: string): string => {
    const items = Array.from({ length: count }, () => rule(0, { [verdict]: null }));
    return JSON.stringify({ nftables: [metainfo, table, chain, ...items] });
  };
  const before = parseNftRuleset(rules(200_000, 'accept')).ruleset;
  const after = parseNftRuleset(rules(2, 'drop')).ruleset;
  assert.equal(diffRulesets(before, after).changes.length, 200_002);
});

test('Of a listing that is garbage, a thousand items are told apart and the rest is kept as one', () => {
  const { ruleset, diagnostics } = parseNftRuleset(`{"nftables":[${'x,'.repeat(1_000_000)}x]}`);
  assert.equal(ruleset.unparsed.length, 1001);
  assert.equal(ruleset.unparsed.join('').length, 1000 + 2_000_001 - 2000 + 2);
  assert.equal(diagnostics.length, 1001);
  assert.equal(diagnostics.at(-1)?.severity, 'error');
});

test('Elements listed one by one are read in linear time', () => {
  const set = { set: { family: 'inet', table: 'filter', name: 'blocked', type: 'ipv4_addr', elem: [0] } };
  const elements = Array.from({ length: 200_000 }, (_, index) => ({
    element: { family: 'inet', table: 'filter', name: 'blocked', elem: [index + 1] },
  }));
  const { ruleset } = parseNftRuleset(JSON.stringify({ nftables: [metainfo, table, set, ...elements] }));
  assert.equal(ruleset.tables.get('inet/filter')?.sets.get('blocked')?.elements.length, 200_001);
});
