import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { CommandError } from '../../src/cli/framework/errors.ts';
import { readIptables } from '../../src/cli/iptables/input.ts';
import { readIpsets } from '../../src/cli/iptables/ipset-input.ts';
import { readNft } from '../../src/cli/nftables/input.ts';
import { fixturePath, repositoryRoot } from '../support/environment.ts';
import { type CommandName, inputChain, iptablesPair, nftPair, run, scratch } from './run-command.ts';

const [RULES] = iptablesPair('ipt-kube-churn');
const [LISTING] = nftPair('nft-map-add-element');

/** Every failure: exit 1, nothing on standard output, one line that says what it is, no stack. */
async function fails(command: CommandName, args: readonly string[], message: RegExp, input = ''): Promise<void> {
  const { code, stdout, stderr } = await run(command, args, { input });
  assert.equal(code, 1, `${command} ${args.join(' ')}: ${stderr}`);
  assert.equal(stdout, '');
  assert.match(stderr, message);
  assert.match(stderr, new RegExp(`^${command}: (usage|error): `));
  assert.equal(stderr.trimEnd().split('\n').length, 1, stderr);
}

test('wrong usage is said to be that, with what to do', async () => {
  await fails('iptables-diff', [], /usage: 2 operand\(s\) wanted, 0 given; write iptables-diff BASELINE CURRENT/);
  await fails('iptables-diff', ['a', 'b', 'c'], /usage: .*3 given/);
  await fails('nftables-parser', ['a', 'b'], /usage: at most 1 operand/);
  await fails('iptables-diff', ['--colour', 'a', 'b'], /usage: unknown option --colour; did you mean --color\?/);
  await fails(
    'iptables-diff',
    ['--nothing-like-it', 'a', 'b'],
    /usage: unknown option --nothing-like-it; --help lists/,
  );
  await fails('nftables-diff', ['--family', 'ipv4', 'a', 'b'], /usage: unknown option --family/);
  await fails('iptables-diff', ['--fail', 'high', 'a', 'b'], /usage: unknown option --fail; did you mean --fail-on\?/);
  await fails('iptables-diff', ['-x', 'a', 'b'], /usage: unknown option -x/);
  await fails('iptables-diff', ['--fail-on', 'bad', 'a', 'b'], /"bad"; use one of: critical, high, medium, low, noise/);
  await fails('iptables-diff', ['--fail-on', '--strict', 'a', 'b'], /--fail-on cannot be "--strict"/);
  await fails('iptables-diff', ['a', 'b', '--fail-on'], /--fail-on needs a value/);
  await fails('iptables-diff', ['--output=xml', 'a', 'b'], /use one of: text, json, markdown/);
  await fails('iptables-diff', ['--context', '-1', 'a', 'b'], /use a whole number from 0/);
  await fails('iptables-diff', ['--context', '1e3', 'a', 'b'], /use a whole number from 0/);
  await fails('iptables-diff', ['--strict=yes', 'a', 'b'], /--strict takes no value/);
  await fails('iptables-parser', ['--indent', '11', 'a'], /use a whole number from 0 to 10/);
  await fails('iptables-parser', ['--family', 'ip', 'a'], /use one of: ipv4, ipv6/);
  await fails('nftables-parser', ['--print', '--text', 'a'], /usage: --print and --text exclude each other/);
  await fails('iptables-diff', ['--baseline-ipset', 'a', RULES, RULES], /usage: .* belong together/);
});

test('only one input can be standard input, the sets included', async () => {
  await fails('iptables-diff', ['-', '-'], /usage: only one input can be -/, inputChain());
  await fails('nftables-diff', ['-', '-'], /usage: only one input can be -/);
  const sets = ['--baseline-ipset', '-', '--current-ipset', RULES];
  await fails('iptables-diff', [...sets, '-', RULES], /usage: only one input can be -/, inputChain());
});

test('a file that cannot be read is named with the reason', async (t) => {
  const directory = scratch(t);
  await fails('iptables-diff', [RULES, join(directory, 'missing')], /error: .*missing does not exist; check the path/);
  await fails('nftables-parser', [directory], /error: .* is a directory; give one file/);
  mkdirSync(join(directory, 'a'));
  writeFileSync(join(directory, 'file'), '');
  await fails('iptables-parser', [join(directory, 'file', 'below')], /error: .*cannot be read: ENOTDIR/);
  await fails('iptables-parser', ['no\u001b[2Jsuch'], /error: no\\x1b\[2Jsuch does not exist/);
});

const WRONG: readonly (readonly [name: string, text: string | Uint8Array, looksLike: RegExp])[] = [
  ['nothing', '', /is empty/],
  ['blanks', ' \n\t\n', /is empty/],
  ['a page', '<!DOCTYPE html>\n<html><head><title>Sign in</title>', /looks like an HTML or XML page/],
  [
    'an error of XML',
    '<?xml version="1.0"?><Error><Code>BlobNotFound</Code></Error>',
    /looks like an HTML or XML page/,
  ],
  ['compressed', gzipSync(inputChain()), /looks like gzip/],
  ['binary', Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0]), /looks like a binary file/],
  ["nft's text", 'table inet filter {\n\tchain input {\n\t}\n}\n', /looks like nft's own text/],
  ['iptables -L', 'Chain INPUT (policy ACCEPT)\ntarget     prot opt source\n', /looks like iptables -L/],
  ['ipset save', 'create a hash:net family inet\nadd a 192.0.2.1\n', /looks like ipset save/],
  ['ipset list', 'Name: a\nType: hash:ip\nRevision: 5\nMembers:\n192.0.2.1\n', /looks like ipset list.*use ipset save/],
  [
    "a tool's error",
    'iptables-save v1.8.9 (legacy): Permission denied (you must be root)\n',
    /looks like a tool's error/,
  ],
  ["the shell's error", 'sh: 1: nft: not found: command not found\n', /looks like a tool's error/],
  ['a list', '* one\n* two\n', /holds nothing that|looks like iptables-save/],
  ['prose', 'The firewall is fine.\n', /holds nothing that/],
  ['other JSON', '{"a":1}', /is JSON, but no ruleset/],
  ['a JSON list', '[1]', /is a JSON list, not a document; give the output of/],
  ['JSON cut off', '{"tables": {"filter": {', /starts like JSON, and is not/],
  ['a drift document', '{"drift_by_family": {}}', /is a drift document/],
  ['a snapshot without this family', '{"rulesets": {"ipv4": null, "nft": null}}', /is a snapshot without a ruleset of/],
  ['a listing without anything readable', '{"nftables": [', /nft JSON/],
];

test('an input of another kind is an error that says what it looks like, on either side and for every command', async (t) => {
  const directory = scratch(t);
  for (const [name, text, looksLike] of WRONG) {
    const file = join(directory, name);
    writeFileSync(file, text);
    await fails('iptables-diff', [file, RULES], looksLike);
    await fails('iptables-diff', [RULES, file], looksLike);
    await fails('nftables-diff', [LISTING, file], looksLike);
    await fails('iptables-parser', [file], looksLike);
    await fails('nftables-parser', [file], looksLike);
  }
});

test('a warning of the tool before its JSON is told as that', async (t) => {
  const file = join(scratch(t), 'listing');
  writeFileSync(file, `Warning: table ip filter is managed by iptables-nft\n${readFileSync(LISTING, 'utf8')}`);
  await fails('nftables-parser', [file], /has other text before the output of nft.*keep standard error apart/);
});

test('each language names the other one', async () => {
  await fails('iptables-diff', [RULES, LISTING], /looks like nft JSON.*use nftables-parser or nftables-diff/);
  await fails('nftables-diff', [RULES, LISTING], /looks like iptables-save.*use iptables-parser or iptables-diff/);
  const iptables = await run('iptables-parser', [RULES]);
  const nft = await run('nftables-parser', [LISTING]);
  await fails('nftables-parser', ['-'], /is an iptables document.*use iptables-parser/, iptables.stdout);
  await fails('iptables-parser', ['-'], /is an nftables document.*use nftables-parser/, nft.stdout);
});

test('an empty input is a firewall without rules only where that is said', async () => {
  const { code, stdout } = await run('iptables-diff', ['--allow-empty', '-', RULES], { input: '' });
  assert.equal(code, 0);
  assert.match(stdout, /stdin \(0 rules\)/);
  await fails('iptables-diff', ['--allow-empty', '-', RULES], /HTML/, '<html>');
});

test('an empty listing of nft is a ruleset without tables', async () => {
  const empty = '{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}]}';
  const { code, stdout } = await run('nftables-diff', ['-', LISTING], { input: empty });
  assert.equal(code, 0);
  assert.match(stdout, /^\d+ changes: /m);
});

test('the family comes from the option, else from the input, and two families are not compared', async () => {
  const text = `# Generated by ip6tables-save v1.8.9\n${inputChain('-s 2001:db8::/32 -j DROP')}`;
  const read = async (...args: string[]): Promise<string> => {
    const { stdout } = await run('iptables-parser', [...args, '-'], { input: text });
    return (JSON.parse(stdout) as { family: string }).family;
  };
  assert.equal(await read(), 'ipv6');
  assert.equal(await read('--family', 'ipv4'), 'ipv4');
  await fails('iptables-diff', ['-', RULES], /usage: stdin is ipv6, and .* is ipv4; .*--family/, text);
  const document = (await run('iptables-parser', ['-'], { input: text })).stdout;
  await fails('iptables-parser', ['--family', 'ipv4', '-'], /usage: --family ipv4, but stdin holds ipv6/, document);
});

test('the outputs of both families in one text are refused: their tables would be one', async () => {
  const both = `# Generated by iptables-save v1.8.9\n${inputChain()}# Generated by ip6tables-save v1.8.9\n${inputChain()}`;
  await fails(
    'iptables-parser',
    ['-'],
    /stdin holds the output of both iptables-save and ip6tables-save; .*one file/,
    both,
  );
  await fails('iptables-diff', ['--family', 'ipv6', RULES, '-'], /both iptables-save and ip6tables-save/, both);
});

const FILTER_S = '-P INPUT DROP\n-P FORWARD DROP\n-P OUTPUT ACCEPT\n-A INPUT -i lo -j ACCEPT\n';

test('iptables -S of a table that it does not name is refused, where it is not filter', async () => {
  const nat = '-P PREROUTING ACCEPT\n-P INPUT ACCEPT\n-P OUTPUT ACCEPT\n-P POSTROUTING ACCEPT\n';
  for (const command of ['iptables-parser', 'iptables-diff'] as const) {
    const others = command === 'iptables-diff' ? [RULES] : [];
    await fails(
      command,
      ['-', ...others],
      /stdin looks like iptables -S of another table than filter.*iptables-save -t/,
      nat,
    );
  }
  const filter = await run('iptables-parser', ['--print'], { input: FILTER_S });
  assert.match(filter.stdout, /^\*filter\n:INPUT DROP/);
});

test('beside a whole listing, iptables -S speaks of its own table, and coverage says so', async (t) => {
  const file = join(scratch(t), 'whole.rules');
  writeFileSync(
    file,
    `${inputChain('-i lo -j ACCEPT')}*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n`,
  );
  for (const inputs of [
    ['-', file],
    [file, '-'],
  ]) {
    const { code, stdout, stderr } = await run('iptables-diff', ['--strict', ...inputs], { input: FILTER_S });
    assert.match(stdout, /^no drift · coverage partial: 1 reason/m);
    assert.match(
      stderr,
      /warning: stdin is the output of iptables -S, of one table: nat of .*whole\.rules was not compared/,
    );
    assert.equal(code, 4);
  }
  // Of one chain it does not even tell the policies of its table: they would seem to change.
  const chain = '-P INPUT DROP\n-A INPUT -i lo -j ACCEPT\n';
  await fails('iptables-diff', [file, '-'], /stdin shows a part of table filter alone.*use iptables-save/, chain);
  writeFileSync(file, chain);
  assert.match((await run('iptables-diff', [file, '-'], { input: chain })).stdout, /^no drift$/m);
});

test('text in UTF-16, with a byte order mark, or with CRLF is the same ruleset', async () => {
  const text = inputChain('-p tcp -m tcp --dport 22 -m comment --comment "Büro" -j ACCEPT');
  const forms = [
    Buffer.from(`\ufeff${text}`, 'utf16le'),
    Buffer.from(`\ufeff${text}`, 'utf16le').swap16(),
    Buffer.from(`\ufeff${text}`, 'utf8'),
    Buffer.from(text.replaceAll('\n', '\r\n'), 'utf8'),
  ];
  const wanted = await run('iptables-parser', ['--print'], { input: text });
  assert.match(wanted.stdout, /Büro/);
  for (const form of forms) assert.deepEqual(await run('iptables-parser', ['--print'], { input: form }), wanted);
  const listing = (await run('nftables-parser', ['--print', LISTING])).stdout;
  const marked = await run('nftables-diff', ['-', LISTING], { input: `\ufeff${listing}` });
  assert.match(marked.stdout, /^no drift$/m);
});

test('two bytes that are not UTF-8 stay two different bytes', async (t) => {
  const before = join(scratch(t), 'before');
  writeFileSync(before, Buffer.from(inputChain('-m comment --comment "caf\u00e9" -j DROP'), 'latin1'));
  const after = Buffer.from(inputChain('-m comment --comment "caf\u00e8" -j DROP'), 'latin1');
  const { stdout } = await run('iptables-diff', [before, '-'], { input: after });
  assert.match(stdout, /^1 change: /m);
  assert.match(stdout, /caf\ufffde9/);
  assert.match(stdout, /caf\ufffde8/);
});

test('a parser command without an operand reads standard input', async () => {
  const listing = await run('nftables-parser', ['--stats', LISTING]);
  const { stdout } = await run('nftables-parser', ['--print', LISTING]);
  assert.deepEqual(await run('nftables-parser', ['--stats'], { input: stdout }), listing);
});

test('fixtures of real hosts go through every command', async () => {
  const listing = fixturePath('nftables', 'vm', 'native-nft', 'a', 'nft.json');
  const { code, stdout } = await run('nftables-parser', ['--text', listing]);
  assert.equal(code, 0);
  assert.match(stdout, /^table inet /m);
});

test('whatever an input holds, it is read or refused, and never a bug', async () => {
  const document = (await run('iptables-parser', ['--indent', '0', RULES])).stdout.slice(0, 20_000);
  const listing = readFileSync(join(repositoryRoot, 'examples/nftables/before.json'), 'utf8');
  const parsed = (await run('nftables-parser', ['--indent', '0'], { input: listing })).stdout;
  const whole = JSON.stringify({
    rulesets: { ipv4: { tables: {} }, nft: { tables: {} } },
    ipsets: { sets: { a: {} } },
  });
  const readers = [
    (text: string) => readIptables(inputOf(text), { family: null, allowEmpty: true }),
    (text: string) => readNft(inputOf(text)),
    (text: string) => readIpsets(inputOf(text), true),
  ];
  const check = (text: string): void => {
    for (const read of readers) {
      try {
        read(text);
      } catch (error) {
        assert.ok(error instanceof CommandError, `${String(error)} of ${text.slice(0, 200)}`);
      }
    }
  };
  const cut = fc
    .constantFrom(document, parsed, listing, whole)
    .chain((text) =>
      fc.tuple(fc.constant(text), fc.nat(text.length), fc.constantFrom('', 'null', '[]', '{}', '"x"', '1', ',')),
    );
  fc.assert(fc.property(cut, ([text, at, replacement]) => check(text.slice(0, at) + replacement + text.slice(at + 1))));
  fc.assert(fc.property(fc.oneof(fc.string(), fc.json()), check));
  const deep = `${'['.repeat(50_000)}${']'.repeat(50_000)}`;
  for (const text of [deep, `{"nftables":${deep}}`, `{"nftables":[{"rule":${deep}}]}`]) check(text);
  const rule = `{"handle":1,"raw_expressions":${deep}}`;
  check(`{"nft_version":"1","tables":{"ip/f":{"family":"ip","name":"f","chains":{"c":{"rules":[${rule}]}}}}}`);
  check(`{"tables":{},"parse_warnings":[{"severity":"error","code":${deep},"message":${deep}}],"unparsed":${deep}}`);
  check(
    `{"rulesets":{"ipv4":{"tables":{}}},"coverage":{"status":"x","reasons":${deep}},"ipsets":{"unparsed":${deep}}}`,
  );
  const member = fc.constantFrom(
    'tables',
    'rulesets',
    'chains',
    'rules',
    'ipv4',
    'nft',
    'sets',
    'nftables',
    'filter',
    '__proto__',
  );
  fc.assert(
    fc.property(fc.dictionary(member, fc.dictionary(member, fc.dictionary(member, fc.jsonValue()))), (value) =>
      check(JSON.stringify(value)),
    ),
  );
});

function inputOf(text: string) {
  return { given: 'x', name: 'x', text, isUtf8: true, isVerified: false };
}
