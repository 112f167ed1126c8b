import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  diffRulesets,
  expressionHash,
  isIptablesOwnedTable,
  type NftRule,
  nftDocument,
  parseNftRuleset,
  printRuleText,
  ruleDocument,
  ruleIdentity,
  typeStatement,
  withoutTables,
} from '../../../src/core/nftables/index.ts';
import { listing } from './listings.ts';

const place = { family: 'inet', table: 't', chain: 'c' };
const field = (protocol: string, name: string) => ({ payload: { protocol, field: name } });
const is = (left: object, right: unknown, op = '==') => ({ match: { op, left, right } });
const mark = (value: unknown) => ({ mangle: { key: { meta: { key: 'mark' } }, value } });

function ruleOf(...expr: readonly unknown[]): NftRule {
  const { ruleset } = parseNftRuleset(
    listing([
      { table: { family: 'inet', name: 't' } },
      { chain: { ...place, name: 'c' } },
      { rule: { ...place, handle: 4, expr } },
    ]),
  );
  return ruleset.tables.get('inet/t')?.chains.get('c')?.rules[0] as NftRule;
}

const flags = field('tcp', 'flags');

/** Spellings of one rule. */
const SAME: readonly (readonly [what: string, a: readonly unknown[], b: readonly unknown[]])[] = [
  [
    'masks as a list and as an or',
    [is({ '&': [flags, ['fin', 'syn']] }, 'syn')],
    [is({ '&': [flags, { '|': ['fin', 'syn'] }] }, 'syn')],
  ],
  [
    'masks nested and flat',
    [is({ '&': [flags, { '|': [{ '|': ['fin', 'syn'] }, 'rst'] }] }, 'syn')],
    [is({ '&': [flags, { '|': ['fin', 'syn', 'rst'] }] }, 'syn')],
  ],
  [
    'the order of flags',
    [is({ ct: { key: 'state' } }, ['new', 'invalid'], 'in')],
    [is({ ct: { key: 'state' } }, ['invalid', 'new'], 'in')],
  ],
  [
    'the order of an anonymous set',
    [is(field('tcp', 'dport'), { set: [80, 22] })],
    [is(field('tcp', 'dport'), { set: [22, 80] })],
  ],
  ['counter values', [{ counter: { packets: 1, bytes: 60 } }], [{ counter: null }]],
  [
    'what a quota used',
    [{ quota: { val: 1, val_unit: 'bytes', used: 1, used_unit: 'bytes' } }],
    [{ quota: { val: 1, val_unit: 'bytes' } }],
  ],
  ['the order of members', [{ limit: { rate: 1, per: 'second' } }], [{ limit: { per: 'second', rate: 1 } }]],
  [
    'one flag with and without its list',
    [{ masquerade: { flags: 'random' } }],
    [{ masquerade: { flags: ['random'] } }],
  ],
  // From 1.1.0 on nft lists `a ^ b ^ c` as one operation of three; before, as two of two.
  ...['&', '^', '<<'].map((operator): [string, unknown[], unknown[]] => [
    `a chain of ${operator}, nested and flat`,
    [mark({ [operator]: [{ [operator]: [{ meta: { key: 'mark' } }, { ct: { key: 'mark' } }] }, 5] })],
    [mark({ [operator]: [{ meta: { key: 'mark' } }, { ct: { key: 'mark' } }, 5] })],
  ]),
  [
    'a statement printed as text',
    ['update @pinned { ip saddr . ct original proto-dst timeout 1m30s : ip daddr . tcp dport }'],
    [
      {
        map: {
          op: 'update',
          elem: {
            elem: {
              val: { concat: [field('ip', 'saddr'), { ct: { key: 'proto-dst', dir: 'original' } }] },
              timeout: 90,
            },
          },
          data: { concat: [field('ip', 'daddr'), field('tcp', 'dport')] },
          map: '@pinned',
        },
      },
    ],
  ],
];

for (const [what, a, b] of SAME) {
  test(`One identity: ${what}`, () => {
    assert.equal(ruleIdentity(ruleOf(...a)), ruleIdentity(ruleOf(...b)));
    assert.equal(expressionHash(ruleOf(...a)), expressionHash(ruleOf(...b)));
  });
}

/** Rules that look alike and are not. */
const DIFFERENT: readonly (readonly [what: string, a: readonly unknown[], b: readonly unknown[]])[] = [
  ['a jump and a goto', [{ jump: { target: 'x' } }], [{ goto: { target: 'x' } }]],
  ['flags any of and all of', [is(flags, ['syn', 'ack'], 'in')], [is(flags, ['syn', 'ack'], '==')]],
  ['a number and its text', [is(field('tcp', 'dport'), 22)], [is(field('tcp', 'dport'), '22')]],
  ['the order of statements', [{ counter: null }, { accept: null }], [{ accept: null }, { counter: null }]],
  [
    'a concatenation and its parts swapped',
    [is({ concat: [field('ip', 'saddr'), field('ip', 'daddr')] }, '@s')],
    [is({ concat: [field('ip', 'daddr'), field('ip', 'saddr')] }, '@s')],
  ],
  ['a chain of three and of two', [mark({ '^': [1, 2, 3] })], [mark({ '^': [1, 2] })]],
  ['shifts bracketed left and right', [mark({ '<<': [1, { '<<': [2, 3] }] })], [mark({ '<<': [{ '<<': [1, 2] }, 3] })]],
  ['a rule with and without a counter', [{ accept: null }], [{ counter: null }, { accept: null }]],
  [
    'a value that holds a separator',
    [{ log: { prefix: 'a;b' } }],
    [{ log: { prefix: 'a' } }, { log: { prefix: 'b' } }],
  ],
];

for (const [what, a, b] of DIFFERENT) {
  test(`Two identities: ${what}`, () => {
    assert.notEqual(ruleIdentity(ruleOf(...a)), ruleIdentity(ruleOf(...b)));
  });
}

test('The flat fields of a rule come from its statements, anonymous sets included', () => {
  const document = ruleDocument(
    ruleOf(
      is({ meta: { key: 'iifname' } }, 'eth0'),
      is(field('ip', 'saddr'), { prefix: { addr: '10.0.0.0', len: 8 } }, '!='),
      is(field('tcp', 'dport'), { set: [22, { range: [80, 90] }] }),
      is({ ct: { key: 'state' } }, ['new', 'related'], 'in'),
      is(field('ip', 'daddr'), '@servers'),
      { xt: { type: 'match', name: 'owner' } },
      { goto: { target: 'web' } },
    ),
    3,
  );
  const wanted = {
    position: 3,
    handle: 4,
    verdict: 'goto',
    jump_target: null,
    goto_target: 'web',
    protocol: 'tcp',
    src_addr: '10.0.0.0/8',
    src_addr_negated: true,
    dst_addr: '@servers',
    dst_port: '22,80-90',
    dst_port_negated: false,
    in_interface: 'eth0',
    out_interface: null,
    ct_state: 'new,related',
    set_references: ['servers'],
    opaque_expressions: [{ xt: { type: 'match', name: 'owner' } }],
  };
  assert.deepEqual(Object.fromEntries(Object.keys(wanted).map((key) => [key, document[key]])), wanted);
});

test('Two matches on one field are both told', () => {
  const document = ruleDocument(ruleOf(is(field('ip', 'saddr'), '@a'), is(field('ip', 'saddr'), '10.0.0.1', '!=')), 1);
  assert.deepEqual([document['src_addr'], document['src_addr_negated']], ['@a & !=10.0.0.1', false]);
  assert.equal(ruleDocument(ruleOf(is(field('udp', 'sport'), 1024, '>')), 1)['src_port'], '>1024');
});

test('The document of a ruleset has chains, sets, maps, flowtables and objects by table', () => {
  const { ruleset } = parseNftRuleset(
    listing([
      { table: { family: 'inet', name: 't', handle: 1, flags: ['dormant'] } },
      {
        chain: {
          ...place,
          name: '__proto__',
          handle: 2,
          type: 'filter',
          hook: 'ingress',
          dev: 'eth0',
          prio: -5,
          policy: 'drop',
        },
      },
      { set: { ...place, name: 's', type: 'ipv4_addr', elem: ['192.0.2.1'] } },
      { map: { ...place, name: 'm', type: 'inet_service', map: 'verdict', elem: [[22, { accept: null }]] } },
      { flowtable: { ...place, name: 'f', hook: 'ingress', prio: 0, dev: ['eth0', 'eth1'] } },
      { 'ct helper': { ...place, name: 'h', type: 'ftp', protocol: 'tcp', l3proto: 'inet' } },
    ]),
  );
  const table = JSON.parse(JSON.stringify(nftDocument(ruleset)['tables']))['inet/t'];
  assert.deepEqual(Object.keys(table.chains), ['__proto__']);
  const chain = Object.getOwnPropertyDescriptor(table.chains, '__proto__')?.value;
  assert.deepEqual(
    [chain.hook, chain.type, chain.priority, chain.policy, chain.is_base_chain, chain.device, chain.rules],
    ['ingress', 'filter', -5, 'drop', true, 'eth0', []],
  );
  assert.deepEqual([table.sets.s.elements, table.maps.m.elements], [['192.0.2.1'], [[22, { accept: null }]]]);
  assert.deepEqual([table.flowtables.f.dev, table.objects['ct helper/h'].helper], [['eth0', 'eth1'], 'ftp']);
});

test('What is no JSON is told with its place, and kept', () => {
  const text = `{"nftables": [{"metainfo": {"version": "1.0.6"}},\n {"table": {"family": "ip", "name": "t"}},\n  {"chain": oops},\n{"chain": {"family": "ip", "table": "t", "name": "c"}}]}`;
  const { ruleset, diagnostics } = parseNftRuleset(text);
  assert.deepEqual(
    diagnostics.map(({ code, severity, line, column }) => [code, severity, line, column]),
    [['NFT_JSON_ITEM', 'error', 3, 3]],
  );
  assert.deepEqual(ruleset.unparsed, ['{"chain": oops}']);
  assert.deepEqual([...(ruleset.tables.get('ip/t')?.chains.keys() ?? [])], ['c']);
});

test('Two listings in one file are not read as the first of them', () => {
  const first = listing([{ table: { family: 'ip', name: 't' } }]);
  const second = listing([{ table: { family: 'ip', name: 'u' } }]);
  const { ruleset, diagnostics } = parseNftRuleset(`${first}\n${second}`);
  assert.deepEqual(
    diagnostics.map(({ code, severity, line, column }) => [code, severity, line, column]),
    [['NFT_JSON', 'error', 2, 1]],
  );
  assert.deepEqual([[...ruleset.tables.keys()], ruleset.unparsed], [['ip/t'], [second]]);
  const { changes } = diffRulesets(parseNftRuleset(first).ruleset, ruleset);
  assert.deepEqual(changes, [{ kind: 'unparsed_added', item: second }]);
});

test('Codes of what is odd: each says its own', () => {
  const codes = (text: string): string[] => parseNftRuleset(text).diagnostics.map(({ code }) => code);
  const table = { table: { family: 'inet', name: 't' } };
  assert.deepEqual(codes(''), ['NFT_EMPTY']);
  assert.deepEqual(codes('Error: syntax error'), ['NFT_JSON']);
  assert.deepEqual(codes('{}'), ['NFT_NO_LISTING']);
  assert.deepEqual(codes('{"nftables": [{"metainfo": {}}'), ['NFT_JSON_TRUNCATED']);
  // What nft 1.0.6 prints of a dormant table when its garbage is no text: it stops there.
  const stopped = '{"nftables": [{"metainfo": {}}, {"table": {"family": "inet", "name": "t", "handle": 1, "flags": ';
  assert.deepEqual(codes(stopped), ['NFT_TABLE_FLAGS', 'NFT_JSON_TRUNCATED']);
  assert.match(
    parseNftRuleset(stopped).diagnostics[1]?.message ?? '',
    /^the listing ends at table inet t, whose flag nft garbled \(dormant, most likely/,
  );
  assert.deepEqual(codes(listing([{ table: { family: 'inet', name: 't', flags: 'http' } }])), ['NFT_TABLE_FLAGS']);
  assert.deepEqual(codes(listing([{ add: table }])), ['NFT_COMMAND']);
  assert.deepEqual(codes(listing([table, { rule: { ...place, expr: [] } }])), ['NFT_CHAIN_MISSING']);
  assert.deepEqual(codes(listing([{ chain: { ...place, name: 'c' } }])), ['NFT_TABLE_MISSING']);
  assert.deepEqual(codes(listing([table, { wormhole: {} }])), ['NFT_UNKNOWN_ITEM']);
  assert.deepEqual(
    codes(
      listing([
        { table: { family: 'inet', name: 't', handle: 1 } },
        { table: { family: 'inet', name: 't', handle: 2 } },
      ]),
    ),
    ['NFT_DUPLICATE'],
  );
  assert.deepEqual(codes('{"nftables":[{"metainfo":{"json_schema_version":2}}]}'), ['NFT_SCHEMA_VERSION']);
  assert.deepEqual(
    codes(listing([table, { chain: { ...place, name: 'c' } }, { rule: { ...place, expr: ['jump {\n\taccept\n}'] } }])),
    ['NFT_STATEMENT_TEXT'],
  );
  assert.deepEqual(codes(listing([table, { set: { ...place, name: 's', elem: 'x' } }])), ['NFT_ELEMENTS']);
});

test('A diagnostic carries no control characters of a stranger', () => {
  const { diagnostics } = parseNftRuleset(
    listing([
      { table: { family: 'inet', name: 'a\u001b[2Jb' } },
      { rule: { family: 'inet', table: 'a\u001b[2Jb', chain: 'c\u0007', expr: [{ x: '\u001b]' }] } },
    ]),
  );
  assert.ok(diagnostics.length > 0);
  for (const { message, excerpt } of diagnostics) assert.doesNotMatch(message + excerpt, /[\u0000-\u001f]/);
});

test('An element listed apart belongs to its set', () => {
  const { ruleset } = parseNftRuleset(
    listing([
      { table: { family: 'inet', name: 't' } },
      { set: { ...place, name: 's', type: 'ipv4_addr', elem: ['192.0.2.1'] } },
      { element: { ...place, name: 's', elem: ['192.0.2.2'] } },
    ]),
  );
  assert.deepEqual(ruleset.tables.get('inet/t')?.sets.get('s')?.elements, ['192.0.2.1', '192.0.2.2']);
});

test('A listing that has a value twice is compared by count, in any order', () => {
  const read = (...elem: readonly unknown[]) =>
    parseNftRuleset(
      listing([
        { table: { family: 'inet', name: 't' } },
        { set: { family: 'inet', table: 't', name: 's', type: 'ipv4_addr', elem } },
      ]),
    ).ruleset;
  const named = { elem: { val: '192.0.2.6', comment: 'known' } };
  const others = ['192.0.2.1', '192.0.2.3'];
  assert.deepEqual(diffRulesets(read(named, '192.0.2.6', ...others), read(...others, named, '192.0.2.6')).changes, []);
  const [change] = diffRulesets(read(named, '192.0.2.6', named), read('192.0.2.6', ...others, named)).changes;
  assert.ok(change?.kind === 'set_changed');
  assert.deepEqual([change.elementsAdded, change.elementsRemoved, change.elementsChanged], [others, [named], []]);
});

test('How many elements a set has is told by its elements, and by the count alone where they are not listed', () => {
  const changes = (before: object, after: object, version = '1.1.6') => {
    const read = (set: object, nft: string) =>
      parseNftRuleset(
        JSON.stringify({
          nftables: [
            { metainfo: { version: nft, json_schema_version: 1 } },
            { table: { family: 'inet', name: 't' } },
            { set: { family: 'inet', table: 't', name: 's', type: 'ipv4_addr', size: 9, ...set } },
          ],
        }),
      ).ruleset;
    return diffRulesets(read(before, version), read(after, '1.1.6')).changes;
  };
  const one = { count: 1, elem: ['192.0.2.1'] };
  const two = { count: 2, elem: ['192.0.2.1', '192.0.2.2'] };
  const [added, ...others] = changes(one, two);
  assert.deepEqual(others, []);
  assert.ok(added?.kind === 'set_changed');
  assert.deepEqual([added.attributes, added.elementsAdded], [[], ['192.0.2.2']]);
  assert.deepEqual(changes({ flags: ['dynamic'], ...one }, { flags: ['dynamic'], ...two }), []);
  assert.deepEqual(changes({ elem: one.elem }, one, '1.0.6'), []);
  assert.deepEqual(changes({ count: 1, flags: ['timeout'] }, { count: 2, flags: ['timeout'] }), []);
  const [terse] = changes({ count: 1 }, { count: 2 });
  assert.ok(terse?.kind === 'set_changed');
  assert.deepEqual(terse.attributes, [{ name: 'count', before: 1, after: 2 }]);
  assert.deepEqual(changes({}, { count: 2 }).length, 1);
  assert.deepEqual(changes({}, { count: 2 }, '1.0.6'), []);
});

test('Changes of an unreadable part are seen', () => {
  const cut = (tail: string) =>
    parseNftRuleset(`{"nftables": [{"table": {"family": "ip", "name": "t"}}, {"rule": ${tail}`).ruleset;
  assert.deepEqual(
    diffRulesets(cut('{"expr": [1'), cut('{"expr": [2')).changes.map(({ kind }) => kind),
    ['unparsed_added', 'unparsed_removed'],
  );
});

test('A rule prints in one line, with or without what its counters stand at', () => {
  const rule = ruleOf(is(field('tcp', 'dport'), 22), { counter: { packets: 5, bytes: 300 } }, { drop: null });
  assert.equal(printRuleText(rule), 'tcp dport 22 counter packets 5 bytes 300 drop');
  assert.equal(printRuleText(rule, { stateless: true }), 'tcp dport 22 counter drop');
  assert.equal(
    printRuleText(ruleOf('jump {\n\t\t\ttcp dport 80 accept\n\t\t\tdrop\n\t\t}')),
    'jump { tcp dport 80 accept; drop }',
  );
  for (const operator of ['&', '|', '^', '<<', '>>']) {
    assert.equal(
      printRuleText(ruleOf(mark({ [operator]: [{ meta: { key: 'mark' } }, { ct: { key: 'mark' } }, 5] }))),
      `meta mark set meta mark ${operator} ct mark ${operator} ${operator.length === 2 ? '5' : '0x00000005'}`,
    );
  }
  assert.equal(
    printRuleText(ruleOf(is({ '&': [{ payload: { protocol: 'tcp', field: 'flags' } }, ['syn', 'ack'], 3] }, 'syn'))),
    'tcp flags & (syn | ack) & 0x3 == syn',
  );
  assert.equal(printRuleText(ruleOf({ teleport: { to: 'moon' } })), '{"teleport":{"to":"moon"}}');
});

test('A statement with one member too many is kept as it is', () => {
  assert.equal(typeStatement({ accept: null, drop: null }).kind, 'opaque');
  assert.equal(typeStatement({ jump: { target: 'x', later: true } }).kind, 'opaque');
  assert.equal(
    typeStatement({ match: { op: '==', left: { meta: { key: 'mark' } }, right: { warp: 9 } } }).kind,
    'opaque',
  );
  assert.equal(typeStatement({ constructor: null }).kind, 'opaque');
});

test('Only a table that iptables could have written is left to iptables-save', () => {
  const counter = { counter: { packets: 0, bytes: 0 } };
  const owned = (chain: object, ...expr: readonly unknown[]): boolean => {
    const { ruleset } = parseNftRuleset(
      listing([
        { table: { family: 'ip', name: 'filter' } },
        {
          chain: {
            family: 'ip',
            table: 'filter',
            name: 'INPUT',
            type: 'filter',
            hook: 'input',
            prio: 0,
            policy: 'accept',
            ...chain,
          },
        },
        ...(expr.length === 0 ? [] : [{ rule: { family: 'ip', table: 'filter', chain: 'INPUT', expr } }]),
      ]),
    );
    assert.equal(
      withoutTables(ruleset, isIptablesOwnedTable).tables.size,
      [...ruleset.tables.values()].some(isIptablesOwnedTable) ? 0 : 1,
    );
    return [...ruleset.tables.values()].every(isIptablesOwnedTable);
  };
  assert.equal(owned({}), true);
  assert.equal(
    owned({}, is(field('tcp', 'dport'), 22), { xt: { type: 'match', name: 'comment' } }, counter, { accept: null }),
    true,
  );
  assert.equal(owned({ name: 'input' }), false);
  assert.equal(owned({ prio: 10 }), false);
  assert.equal(owned({ type: 'route' }), false);
  assert.equal(owned({}, is(field('tcp', 'dport'), 22), { accept: null }), false, 'no counter');
  assert.equal(owned({}, is(field('tcp', 'dport'), { set: [22, 80] }), counter, { accept: null }), false, 'a set');
  assert.equal(owned({}, is(field('ip', 'saddr'), '@s'), counter, { accept: null }), false, 'a named set');
  assert.equal(owned({}, is({ ct: { key: 'state' } }, 'new', 'in'), counter, { accept: null }), false, 'ct without xt');
  assert.equal(owned({}, { counter: 'web' }, { accept: null }), false, 'a named counter');
});
