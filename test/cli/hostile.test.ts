import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { escapeMarkdown } from '../../src/core/report/drift-markdown.ts';
import { inputChain, run, scratch } from './run-command.ts';

/** Bytes that a terminal obeys: everything below blank but the line's end, DEL, C1, direction overrides. */
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;

const COMMENTS = [
  '\u001b[2J\u001b[H\u001b[31mno drift',
  'csi \u009b31m and osc \u009d0;title\u009c',
  'back\u0008\u0008\u0008spaces\u007f and \u0007 bells',
  'right to left \u202e\u2066 TPECCA',
  '``` ends a fence ```` and ````````',
  '| ends | a | cell \\| or \\\\| not',
  '</td></table><script>alert(1)</script> <img src=x onerror=alert(1)>',
  '[click](javascript:alert(1)) ![x](https://example.com/x.png) www.example.com @everyone #1',
  '**bold** _it_ ~~gone~~ $(id) `id`',
  '__proto__',
];

function rulesWith(comments: readonly string[]): string {
  const rules = comments.map(
    (comment) => `-s 192.0.2.1/32 -m comment --comment "${comment.replace(/["\\]/g, '\\$&')}" -j ACCEPT`,
  );
  return inputChain(...rules);
}

function listingWith(comments: readonly string[], chain: string): string {
  const place = { family: 'inet', table: 'filter' };
  const rules = comments.map((comment, index) => ({
    rule: { ...place, chain, handle: index + 10, comment, expr: [{ accept: null }] },
  }));
  return JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6', json_schema_version: 1 } },
      { table: { family: 'inet', name: 'filter', handle: 1 } },
      { chain: { ...place, name: chain, handle: 1, type: 'filter', hook: 'input', prio: 0, policy: 'drop' } },
      ...rules,
    ],
  });
}

test('comments and chain names reach a terminal escaped, in every output of the diff commands', async (t) => {
  const directory = scratch(t);
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text);
    return join(directory, name);
  };
  const iptables = [file('a.rules', rulesWith([])), file('b.rules', rulesWith(COMMENTS))];
  const nft = [
    file('a.json', listingWith([], 'in\u001b[1mput')),
    file('b.json', listingWith(COMMENTS, 'in\u001b[1mput')),
  ];
  for (const format of ['text', 'markdown', 'json']) {
    for (const [command, pair] of [
      ['iptables-diff', iptables],
      ['nftables-diff', nft],
    ] as const) {
      const { code, stdout, stderr } = await run(command, ['-o', format, ...pair]);
      assert.equal(code, 0, stderr);
      assert.doesNotMatch(stdout, OBEYED, `${command} ${format}`);
      assert.doesNotMatch(stderr, OBEYED);
      if (format === 'text') assert.ok(stdout.includes(String.raw`\x1b[2J\x1b[H\x1b[31mno drift`), stdout);
    }
  }
});

test('a comment can end neither the fence nor the row of a ticket', async (t) => {
  const directory = scratch(t);
  writeFileSync(join(directory, 'a'), rulesWith([]));
  writeFileSync(join(directory, 'b'), rulesWith(COMMENTS));
  const { stdout } = await run('iptables-diff', ['-o', 'markdown', join(directory, 'a'), join(directory, 'b')]);
  const lines = stdout.split('\n');
  const fences = lines.filter((line) => /^`{3,}/.test(line));
  assert.equal(fences.length, 2, 'one block, opened and closed');
  assert.equal(fences[0], '`````````diff', 'longer than the longest run of eight');
  const rows = lines.filter((line) => line.startsWith('| '));
  assert.equal(rows.length, COMMENTS.length + 2);
  for (const row of rows) assert.equal(row.split('|').length, 5, row);
  for (const line of lines.filter((one) => !one.startsWith('+'))) assert.doesNotMatch(line, /<(script|img|\/td)/);
});

test('text in Markdown is shown and never obeyed', () => {
  assert.equal(escapeMarkdown('a|b'), 'a&#124;b');
  assert.equal(escapeMarkdown('\\|'), '&#92;&#124;');
  assert.equal(escapeMarkdown('@ops'), '&#64;&#8288;ops');
  assert.equal(escapeMarkdown('http://x.example www.x.example'), 'http&#58;//x.example www&#46;x.example');
  assert.doesNotMatch(escapeMarkdown(COMMENTS.join(' ')), /[<>|`*_~[\]\\@\u0000-\u001f]/);
});

test('names that every object has are names like others', async (t) => {
  const directory = scratch(t);
  const rules = (tail: string): string =>
    `*filter\n:INPUT ACCEPT [0:0]\n:__proto__ - [0:0]\n:constructor - [0:0]\n-A INPUT -j __proto__\n${tail}COMMIT\n`;
  writeFileSync(join(directory, 'a'), rules('-A constructor -j DROP\n'));
  writeFileSync(join(directory, 'b'), rules('-A __proto__ -j DROP\n'));
  const parsed = await run('iptables-parser', [join(directory, 'b')]);
  const { stdout } = await run('iptables-diff', [join(directory, 'a'), '-'], { input: parsed.stdout });
  assert.match(stdout, /^ {2}\+ 1 {5}-A __proto__ -j DROP$/m);
  assert.match(stdout, /^ {2}- 1 {5}-A constructor -j DROP$/m);
  assert.match(stdout, /^2 changes: /m);
});

test('a document cannot smuggle a second rule into what is printed from it', async () => {
  const rule = { raw_rule: '-A INPUT -j DROP\n-A INPUT -j ACCEPT' };
  const document = {
    family: 'ipv4',
    tables: { filter: { chains: { INPUT: { default_policy: 'DROP', rules: [rule] } } } },
  };
  const { code, stdout, stderr } = await run('iptables-parser', ['--print'], { input: JSON.stringify(document) });
  assert.deepEqual([code, stdout], [1, '']);
  assert.match(stderr, /tables\.filter\.chains\.INPUT\.rules\[0\]\.raw_rule is not one line of iptables-save/);
});
