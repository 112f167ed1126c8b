import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { readIptables } from '../../src/cli/iptables/input.ts';
import { iptablesParser } from '../../src/cli/iptables/parser.ts';
import { readNft } from '../../src/cli/nftables/input.ts';
import { ipsetDocument, parseIpsetSave } from '../../src/core/ipset/index.ts';
import {
  iptablesDocument,
  parseIptablesSave,
  printIptablesSave,
  rulesetIdentity,
} from '../../src/core/iptables/index.ts';
import { diffRulesets, nftDocument, parseNftRuleset } from '../../src/core/nftables/index.ts';
import { repositoryRoot } from '../support/environment.ts';
import { inputChain, iptablesPair, nftPair, run, scratch } from './run-command.ts';

const RULES = readFileSync(join(repositoryRoot, 'examples/iptables/before.rules'), 'utf8');
const LISTING = readFileSync(join(repositoryRoot, 'examples/nftables/before.json'), 'utf8');
const input = (text: string) => ({ given: 'x', name: 'x', text, isUtf8: true, isVerified: false });

test('an iptables document gives back the ruleset that it was made from, counters included', () => {
  const text = RULES.replace('[0:0]\n-A INPUT', '[7:420]\n[3:180] -A INPUT').concat('an odd line\n');
  const { ruleset } = parseIptablesSave(text, { family: 'ipv4' });
  const document = JSON.stringify(iptablesDocument(ruleset));
  const again = readIptables(input(document), { family: null, allowEmpty: false }).ruleset;
  assert.equal(rulesetIdentity(again), rulesetIdentity(ruleset));
  assert.equal(printIptablesSave(again, { counters: true }), printIptablesSave(ruleset, { counters: true }));
  assert.deepEqual(again.unparsed, ruleset.unparsed);
});

test('the parser command writes the document as a whole would be written, rule by rule', async () => {
  assert.equal(iptablesParser.name, 'iptables-parser');
  for (const indent of ['0', '2', '4']) {
    const { stdout } = await run('iptables-parser', ['--indent', indent], { input: RULES });
    const { ruleset } = parseIptablesSave(RULES, { family: 'ipv4' });
    const whole = { schema_version: 1, ...iptablesDocument(ruleset), parse_warnings: [] };
    assert.equal(stdout, `${JSON.stringify(whole, null, Number(indent))}\n`);
    const nft = await run('nftables-parser', ['--indent', indent], { input: LISTING });
    const listing = { schema_version: 1, ...nftDocument(parseNftRuleset(LISTING).ruleset), parse_warnings: [] };
    assert.equal(nft.stdout, `${JSON.stringify(listing, null, Number(indent))}\n`);
  }
});

test('an nft document gives back the ruleset that it was made from', () => {
  for (const name of [
    'nft-map-add-element',
    'nft-counter-object-added',
    'nft-ct-helper-added',
    'nft-set-timeout-changed',
    'nft-synproxy-added',
  ]) {
    for (const path of nftPair(name)) {
      const { ruleset } = parseNftRuleset(readFileSync(path, 'utf8'));
      const again = readNft(input(JSON.stringify(nftDocument(ruleset)))).ruleset;
      assert.deepEqual(diffRulesets(ruleset, again).changes, [], path);
      assert.deepEqual(diffRulesets(again, ruleset).changes, [], path);
      assert.equal(again.tables.size, ruleset.tables.size);
    }
  }
});

test('a document and the text it was made from show the same drift', async (t) => {
  const file = join(scratch(t), 'document.json');
  for (const [parser, diff, [baseline, current]] of [
    ['iptables-parser', 'iptables-diff', iptablesPair('ipt-docker-start')],
    ['nftables-parser', 'nftables-diff', nftPair('nft-natmap-retarget')],
  ] as const) {
    writeFileSync(file, (await run(parser, [current])).stdout);
    const [wanted, found] = await Promise.all([
      run(diff, ['-o', 'json', baseline, current]),
      run(diff, ['-o', 'json', baseline, file]),
    ]);
    assert.deepEqual({ ...JSON.parse(found.stdout), current }, JSON.parse(wanted.stdout));
  }
});

test('what the text lacked, a document made from it still lacks', async () => {
  const cut = inputChain('-j DROP').replace('COMMIT\n', '');
  const { stdout } = await run('iptables-parser', ['-'], { input: cut });
  const { code, stderr } = await run('iptables-parser', ['--strict', '-'], { input: stdout });
  assert.equal(code, 4);
  assert.match(stderr, /^stdin: error IPT_NO_COMMIT /m);
});

function snapshot(
  rules: string,
  sets: string,
  listing: string,
  coverage = { status: 'complete', reasons: [] as string[] },
): string {
  return JSON.stringify({
    schema_version: 1,
    coverage,
    rulesets: {
      ipv4: iptablesDocument(parseIptablesSave(rules, { family: 'ipv4' }).ruleset),
      ipv6: null,
      nft: nftDocument(parseNftRuleset(listing).ruleset),
    },
    ipsets: ipsetDocument(parseIpsetSave(sets).sets),
  });
}

test('two snapshots are compared with their ipsets, and members are tied to the rules that use the set', async (t) => {
  const directory = scratch(t);
  const set = (member: string): string => `create blocked hash:net family inet\nadd blocked ${member}\n`;
  const [before, after] = [join(directory, 'a.json'), join(directory, 'b.json')];
  writeFileSync(before, snapshot(RULES, set('203.0.113.66'), LISTING));
  writeFileSync(after, snapshot(RULES, set('203.0.113.67'), LISTING));
  const { code, stdout } = await run('iptables-diff', ['--strict', '--fail-on', 'critical', before, after]);
  assert.equal(code, 3);
  assert.match(stdout, /^ {2}CRITICAL {2}ipset blocked {2}/m);
  assert.match(stdout, /^ {2}- 203\.0\.113\.66$/m);
  assert.match(stdout, /^ {2}\+ 203\.0\.113\.67$/m);
  assert.match(stdout, /-A INPUT -m set --match-set blocked src -j DROP {2}\(used by filter\/INPUT\)$/m);
  assert.match((await run('nftables-diff', [before, after])).stdout, /^no drift$/m);
});

test('rules that look up ipsets without the sets are not fully compared', async () => {
  const example = 'examples/iptables/before.rules';
  const { code, stdout, stderr } = await run('iptables-diff', ['--strict', example, example]);
  assert.equal(code, 4);
  assert.match(stdout, /^no drift · coverage partial: 1 reason on standard error$/m);
  assert.match(stderr, /^warning: rules look up ipsets/m);
});

test('a snapshot whose capture was incomplete is not complete coverage', async (t) => {
  const file = join(scratch(t), 'a.json');
  const coverage = { status: 'partial', reasons: ['ipv6 could not be read'] };
  writeFileSync(file, snapshot(inputChain(), '', LISTING, coverage));
  const { code, stderr } = await run('iptables-diff', ['--strict', file, file]);
  assert.equal(code, 4);
  assert.match(stderr, /capture incomplete: ipv6 could not be read/);
});

test('tables of iptables-nft are no drift between a snapshot, which shows them elsewhere, and a whole listing', async (t) => {
  const place = { family: 'ip', table: 'filter' };
  const owned = [
    { table: { family: 'ip', name: 'filter', handle: 9 } },
    { chain: { ...place, name: 'INPUT', handle: 1, type: 'filter', hook: 'input', prio: 0, policy: 'accept' } },
  ];
  const { nftables } = JSON.parse(LISTING) as { nftables: unknown[] };
  const directory = scratch(t);
  writeFileSync(join(directory, 'a.json'), snapshot(RULES, '', LISTING));
  writeFileSync(join(directory, 'b.json'), JSON.stringify({ nftables: [...nftables, ...owned] }));
  const { stdout, stderr } = await run('nftables-diff', [join(directory, 'a.json'), join(directory, 'b.json')]);
  assert.match(stdout, /^no drift$/m);
  assert.match(stderr, /tables of iptables-nft are not compared \(ip\/filter\)/);
  const whole = await run('nftables-diff', [
    join(repositoryRoot, 'examples/nftables/before.json'),
    join(directory, 'b.json'),
  ]);
  assert.match(whole.stdout, /table ip\/filter/, 'two listings are compared whole');
});

test('a document that was changed by hand is refused with the place', async () => {
  const rule = (members: object): string =>
    JSON.stringify({ tables: { filter: { chains: { INPUT: { default_policy: 'DROP', rules: [members] } } } } });
  for (const [text, place] of [
    [rule({}), /tables\.filter\.chains\.INPUT\.rules\[0\]\.raw_rule is no text/],
    [rule({ raw_rule: '-A INPUT', packet_count: -1 }), /rules\[0\]\.packet_count is no counter/],
    ['{"tables":{"filter":[]}}', /tables\.filter is no object/],
    ['{"tables":{"filter":{"chains":{"INPUT":{"rules":{}}}}}}', /INPUT\.rules is no list/],
  ] as const) {
    const { code, stderr } = await run('iptables-parser', ['-'], { input: text });
    assert.equal(code, 1);
    assert.match(stderr, place);
  }
  const table = { family: 'inet', name: 'f', chains: { c: { rules: [{ handle: 1 }] } } };
  const nft = await run('nftables-parser', ['-'], {
    input: JSON.stringify({ nft_version: '1.0.6', tables: { 'inet/f': table } }),
  });
  assert.match(nft.stderr, /tables\.inet\/f\.chains\.c\.rules\[0\]\.raw_expressions is missing/);
});
