import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Json } from '../../../src/core/json.ts';
import {
  applyDiff,
  diffRulesets,
  type NftRuleset,
  nftDocument,
  parseNftRuleset,
  printNftJson,
  printNftText,
} from '../../../src/core/nftables/index.ts';
import { fixturePath } from '../../support/environment.ts';
import { contentOf, listings } from './listings.ts';

const read = (text: string): NftRuleset => parseNftRuleset(text).ruleset;
const fixture = (...parts: string[]): string => readFileSync(fixturePath('nftables', ...parts), 'utf8');

test('A ruleset does not differ from itself', () => {
  fc.assert(
    fc.property(listings, (text) => {
      assert.deepEqual(diffRulesets(read(text), read(text)).changes, []);
    }),
    { numRuns: 300 },
  );
});

test('Printing and parsing again changes nothing', () => {
  fc.assert(
    fc.property(listings, (text) => {
      const ruleset = read(text);
      const again = read(printNftJson(ruleset));
      assert.deepEqual(contentOf(again), contentOf(ruleset));
      assert.deepEqual(diffRulesets(ruleset, again).changes, []);
    }),
    { numRuns: 300 },
  );
});

test('A diff applied to the baseline gives the current ruleset', () => {
  fc.assert(
    fc.property(listings, listings, (a, b) => {
      const [baseline, current] = [read(a), read(b)];
      const applied = applyDiff(baseline, diffRulesets(baseline, current));
      assert.deepEqual(contentOf(applied), contentOf(current));
      assert.deepEqual(diffRulesets(applied, current, { recreated: false }).changes, []);
    }),
    { numRuns: 1000 },
  );
});

test('Rulesets with the same content have no drift, and others have', () => {
  fc.assert(
    fc.property(listings, listings, (a, b) => {
      const [baseline, current] = [read(a), read(b)];
      const same = JSON.stringify(contentOf(baseline)) === JSON.stringify(contentOf(current));
      assert.equal(diffRulesets(baseline, current, { recreated: false }).changes.length === 0, same);
    }),
    { numRuns: 500 },
  );
});

test('Any text is parsed without an exception, and what is no listing is an error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.json()), (text) => {
      const { ruleset, diagnostics } = parseNftRuleset(text);
      if (ruleset.tables.size === 0) assert.ok(diagnostics.some(({ severity }) => severity === 'error'));
    }),
    { numRuns: 2000 },
  );
});

test('Any JSON in the place of items is parsed, compared and printed without an exception', () => {
  const body = fc.oneof(
    fc.jsonValue(),
    fc.record({ family: fc.jsonValue(), name: fc.jsonValue(), table: fc.jsonValue(), elem: fc.jsonValue() }),
    fc.record({
      family: fc.constant('ip'),
      table: fc.constant('t'),
      chain: fc.constant('c'),
      name: fc.constant('n'),
      handle: fc.jsonValue(),
      comment: fc.jsonValue(),
      flags: fc.jsonValue(),
      elem: fc.jsonValue(),
      expr: fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue())),
    }),
  );
  const kind = fc.constantFrom(
    'table',
    'chain',
    'rule',
    'set',
    'map',
    'element',
    'counter',
    'limit',
    'flowtable',
    'metainfo',
    'add',
    'x',
  );
  const item = fc.oneof(
    fc.jsonValue(),
    fc.tuple(kind, body).map(([key, value]) => ({ [key]: value })),
  );
  fc.assert(
    fc.property(fc.array(item, { maxLength: 6 }), (items) => {
      const text = JSON.stringify({ nftables: items });
      const ruleset = read(text);
      assert.deepEqual(diffRulesets(ruleset, read(text)).changes, []);
      assert.equal(
        diffRulesets(ruleset, read(printNftJson(ruleset))).changes.filter(
          ({ kind: one }) => !one.startsWith('unparsed'),
        ).length,
        0,
      );
      printNftText(ruleset);
      JSON.stringify(nftDocument(ruleset));
    }),
    { numRuns: 2000 },
  );
});

test('A listing cut off at any byte is told to be cut off, and what was whole is kept', () => {
  const text = fixture('vm', 'native-nft', 'a', 'nft.json').trimEnd();
  const whole = read(text);
  const rulesOf = (ruleset: NftRuleset): number =>
    [...ruleset.tables.values()].reduce(
      (sum, table) => sum + [...table.chains.values()].reduce((n, chain) => n + chain.rules.length, 0),
      0,
    );
  let rules = 0;
  for (let length = 0; length < text.length; length += 1) {
    const { ruleset, diagnostics } = parseNftRuleset(text.slice(0, length));
    const errors = diagnostics.filter(({ severity }) => severity === 'error');
    // Only the brace that closes the document may be missing unnoticed: then every item was read.
    if (length < text.length - 1) assert.ok(errors.length > 0, `cut at ${length}`);
    assert.ok(errors.every(({ line, column }) => line >= 1 && column >= 1));
    assert.ok(rulesOf(ruleset) >= rules, `cut at ${length}`);
    rules = rulesOf(ruleset);
  }
  assert.equal(rules, rulesOf(whole));
});

test('Nesting that no tool prints costs no stack', () => {
  const deep = `${'{"a":['.repeat(50_000)}1${']}'.repeat(50_000)}`;
  const place = '"family":"ip","table":"t","chain":"c"';
  const texts = [
    deep,
    `{"nftables":[${deep}]}`,
    `{"nftables":[{"rule":{${place},"expr":[${deep}]}}]}`,
    `{"nftables":[{"rule":{${place},"expr":[{"match":{"op":"==","left":${'{"|":['.repeat(20_000)}1${']}'.repeat(20_000)},"right":1}}]}}]}`,
    `{"nftables":[{"set":{"family":"ip","table":"t","name":"s","elem":[${'[['.repeat(20_000)}1${']]'.repeat(20_000)}]}}]}`,
    `{"nftables":[{"table":{"family":"ip","name":"t","flags":${deep}}}]}`,
    '['.repeat(200_000),
  ];
  for (const text of texts) {
    const ruleset = read(text);
    assert.deepEqual(diffRulesets(ruleset, read(text)).changes, []);
    printNftJson(ruleset);
    printNftText(ruleset);
    JSON.stringify(nftDocument(ruleset));
  }
});

/** Members whose values move by themselves, and what only says where an item stands. */
const NO_CONTENT: ReadonlySet<string> = new Set(['handle', 'packets', 'bytes', 'used', 'metainfo']);

/** Every listing that differs from this one in one leaf, one missing list member or one missing object member. */
function* mutants(document: Json): Generator<{ readonly text: string; readonly where: string }> {
  const root = structuredClone(document) as Json;
  function* within(node: Json, path: string): Generator<{ text: string; where: string }> {
    if (node === null || typeof node !== 'object') return;
    const container = node as Record<string, Json>;
    for (const key of Object.keys(container)) {
      if (NO_CONTENT.has(key)) continue;
      const value = container[key] as Json;
      const where = `${path}/${key}`;
      const other =
        typeof value === 'number'
          ? value + 1
          : typeof value === 'string'
            ? `${value}x`
            : typeof value === 'boolean'
              ? !value
              : value === null
                ? 'x'
                : undefined;
      if (other !== undefined) {
        container[key] = other;
        yield { text: JSON.stringify(root), where: `${where} := ${JSON.stringify(other)}` };
        container[key] = value;
      }
      // A table that is not listed is known from its chains, and metainfo is no rule.
      const isImplied = path === '' && ['table', 'metainfo'].some((kind) => Object.hasOwn(value as object, kind));
      if (Array.isArray(node) && !isImplied) {
        const list = node as Json[];
        const [gone] = list.splice(Number(key), 1);
        yield { text: JSON.stringify(root), where: `${where} removed` };
        list.splice(Number(key), 0, gone as Json);
      }
      yield* within(value, where);
    }
  }
  yield* within((root as { nftables: Json }).nftables, '');
}

for (const name of ['native-nft/a', 'fail2ban-nftables-allports/banned'] as const) {
  test(`Every single change of the listing ${name} is seen`, () => {
    const document = JSON.parse(fixture('vm', ...name.split('/'), 'nft.json')) as Json;
    const baseline = read(JSON.stringify(document));
    const unseen: string[] = [];
    let count = 0;
    for (const { text, where } of mutants(document)) {
      count += 1;
      if (diffRulesets(baseline, read(text), { recreated: false }).changes.length === 0) unseen.push(where);
    }
    assert.ok(count > 40);
    assert.deepEqual(unseen, []);
  });
}
