import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { documentFamilyDrift } from '../../../src/core/drift/family-drift.ts';
import { assessNftablesDrift } from '../../../src/core/drift/nftables-drift.ts';
import {
  diffRulesets,
  type NftChange,
  type NftRuleset,
  parseNftRuleset,
  printNftJson,
  printNftText,
  printRuleText,
} from '../../../src/core/nftables/index.ts';
import { fixturePath, kernelSkipReason, sharedPath, sharedTest } from '../../support/environment.ts';

const skip = kernelSkipReason(['ip', 'nft']);
const BETWEEN = '=====';

/** What each step's `nft` printed in one fresh network namespace; a step that fails throws. */
function inNamespace(files: Readonly<Record<string, string>>, ...steps: readonly string[]): string[] {
  const folder = mkdtempSync(join(tmpdir(), 'nft-kernel-'));
  try {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    const script = steps.map((step) => `${step}\necho; echo ${BETWEEN}`).join('\n');
    const output = execFileSync('unshare', ['--net', 'sh', '-euc', script], {
      cwd: folder,
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return output.split(`\n${BETWEEN}\n`).slice(0, steps.length);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const LIST = 'nft --json list ruleset';
const read = (text: string | undefined): NftRuleset => parseNftRuleset(text ?? '').ruleset;
const everything = (): string => readFileSync(fixturePath('nftables', 'everything.nft'), 'utf8');

test('What is printed as JSON loads, and lists back equal', { skip }, () => {
  // The JSON input of nft 1.0.6 takes no synproxy and no ct expectation objects, and half of a ct timeout.
  const text = everything().replace(/^.*(shield|later|patient).*$/gm, '');
  const [listed] = inNamespace({ 'ruleset.nft': text }, `nft -f ruleset.nft; ${LIST}`);
  const { ruleset, diagnostics } = parseNftRuleset(listed ?? '');
  assert.deepEqual(diagnostics, []);
  const [again] = inNamespace({ 'ruleset.json': printNftJson(ruleset) }, `nft -j -f ruleset.json; ${LIST}`);
  assert.deepEqual(
    diffRulesets(ruleset, read(again), { recreated: false }).changes.filter((one) => !isLostByNft(one)),
    [],
  );
});

test('What is printed as text is what nft prints', { skip }, () => {
  const [json, text] = inNamespace({ 'ruleset.nft': everything() }, `nft -f ruleset.nft; ${LIST}`, 'nft list ruleset');
  // Long lists of elements are wrapped by nft; the comment of a table is not in its JSON.
  const lines = (printed: string): string[] =>
    printed
      .replace(/,\n\s+/g, ', ')
      .replace(/^\tcomment "the host.*\n/m, '')
      .split('\n')
      .map((line) => line.replace(/ expires \w+/g, '').trimEnd())
      .filter((line) => line !== '');
  assert.deepEqual(lines(printNftText(read(json))), lines(text ?? ''));
});

test('What a netdev rule sends to another device prints as nft prints it', { skip }, () => {
  const rules = ['dup to "lo"', 'dup to iifname map { "a" : "lo" }', 'fwd to meta mark map { 0x00000001 : "lo" }'];
  const chain = 'type filter hook ingress device "lo" priority filter; policy accept;';
  const text = `table netdev t {\n chain c {\n ${[chain, ...rules].join('\n ')}\n }\n}\n`;
  const [json] = inNamespace({ 'ruleset.nft': text }, `nft -f ruleset.nft; ${LIST}`);
  const printed = read(json)
    .tables.get('netdev/t')
    ?.chains.get('c')
    ?.rules.map((rule) => printRuleText(rule));
  assert.deepEqual(printed, rules);
});

test('Sets by typeof, as nft lists them from 1.1.0 on, print as text that loads', { skip }, () => {
  const place = { family: 'ip', table: 't' };
  const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
  const numgen = { numgen: { mode: 'inc', mod: 2, offset: 0 } };
  const items = [
    { table: { family: 'ip', name: 't' } },
    { map: { ...place, name: 'a', type: { typeof: payload('ip', 'daddr') }, map: 'mark' } },
    { map: { ...place, name: 'b', type: { typeof: numgen }, map: ['ipv4_addr', 'inet_service'] } },
    { map: { ...place, name: 'c', type: { typeof: payload('ip', 'saddr') }, map: 'verdict' } },
    {
      set: {
        ...place,
        name: 'd',
        type: { typeof: { concat: [payload('ip', 'saddr'), { meta: { key: 'iifname' } }] } },
        elem: [{ concat: ['192.0.2.1', 'lo'] }],
      },
    },
  ];
  const printed = printNftText(read(JSON.stringify({ nftables: items })));
  const [text] = inNamespace({ 'ruleset.nft': printed }, 'nft -f ruleset.nft; nft list ruleset');
  assert.deepEqual(text?.match(/(type|elements).*/g), [
    'typeof ip daddr : meta mark',
    'typeof numgen inc mod 2 : ip daddr . tcp dport',
    'typeof ip saddr : verdict',
    'typeof ip saddr . iifname',
    'elements = { 192.0.2.1 . "lo" }',
  ]);
  assert.deepEqual(printed.match(/(typeof?|elements) .*/g), text?.match(/(typeof?|elements) .*/g));
});

test('The printed text loads, and lists back equal', { skip }, () => {
  const [json] = inNamespace({ 'ruleset.nft': everything() }, `nft -f ruleset.nft; ${LIST}`);
  const [again] = inNamespace({ 'ruleset.nft': printNftText(read(json)) }, `nft -f ruleset.nft; ${LIST}`);
  assert.deepEqual(
    diffRulesets(read(json), read(again), { recreated: false }).changes.filter((one) => !isLostByNft(one)),
    [],
  );
});

/** nft 1.0.6 reads JSON without comments of tables and sets, and without flags of tables; `expires` starts anew. */
function isLostByNft(change: NftChange): boolean {
  if (change.kind === 'table_changed')
    return change.attributes.every(({ name }) => name === 'comment' || name === 'flags');
  return (
    change.kind === 'set_changed' &&
    change.attributes.every(({ name }) => name === 'comment') &&
    change.elementsAdded.length === 0
  );
}

/** Why nft 1.0.6 cannot load what a listing of its own says; null when it must. */
function unloadable(text: string, path: string): string | null {
  if (text.includes('"xt"')) return 'xt statements have no parameters';
  if (/"hook": "(in|e)gress"/.test(text)) return 'the device of an ingress chain is not listed';
  if (/"(type|map)": (\[[^\]]*)?"integer"/.test(text)) return 'a type that only typeof can name is listed as integer';
  if (/"expr": \[[^\]]*"(jump \{|(add|update|delete) @)/.test(text) || /"(jump \{\\n|(add|update|delete) @)/.test(text))
    return 'a statement is listed as text';
  if (/"meta": \{"key": "(i|o)if"\}/.test(text) && !/"right": "lo"/.test(text))
    return 'an interface by index that is not there';
  if (/\{"(synproxy|ct expectation)": \{"family"/.test(text)) return 'the JSON input of nft 1.0.6 takes no such object';
  if (/connlimit|0054-|nat_interval|typeof_maps_concat_update|osquery|0269-egberts/.test(path)) return 'see the file';
  return null;
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? filesBelow(path) : [path];
  });
}

sharedTest('corpus', 'nft-json')('Listings of nft 1.0.6 load after printing, and list back equal', { skip }, (t) => {
  const version = execFileSync('nft', ['--version'], { encoding: 'utf8' });
  const files = [...filesBelow(sharedPath('corpus', 'nft-json')), ...filesBelow(sharedPath('corpus', 'vm'))].filter(
    (path) => /\.106\.json$|\/nft\.json$/.test(path) && existsSync(path),
  );
  const failed: string[] = [];
  let loaded = 0;
  let skipped = 0;
  for (const path of files) {
    const text = readFileSync(path, 'utf8');
    const ruleset = read(text);
    if (ruleset.tables.size === 0 || unloadable(text, path) !== null) {
      skipped += 1;
      continue;
    }
    let again: string | undefined;
    try {
      [again] = inNamespace(
        { 'ruleset.json': printNftJson(ruleset) },
        `ip link set lo up; nft -j -f ruleset.json; ${LIST}`,
      );
    } catch (error) {
      failed.push(`${path}: ${String((error as { stderr?: unknown }).stderr).slice(0, 200)}`);
      continue;
    }
    loaded += 1;
    const changes = diffRulesets(ruleset, read(again), { recreated: false }).changes.filter((one) => !isLostByNft(one));
    if (changes.length > 0) failed.push(`${path}: ${changes.map(({ kind }) => kind).join()}`);
  }
  t.diagnostic(
    `${version.trim()}: ${loaded} loaded and equal but for ${failed.length}, ${skipped} that no nft can load`,
  );
  assert.ok(loaded > 250);
  assert.deepEqual(failed, []);
});

const HUNDRED = [
  'table inet f {',
  '  chain c { type filter hook input priority 0; policy drop;',
  ...Array.from({ length: 100 }, (_, index) => `    tcp dport ${1000 + index} accept`),
  '  }',
  '}',
].join('\n');

const TWICE = `table inet f {
  chain c { type filter hook input priority 0; policy drop;
    tcp dport 22 accept
    tcp dport 22 accept
    tcp dport 22 drop
  }
}`;

const SMALL = `table inet f {
  set bl { type ipv4_addr; elements = { 192.0.2.1, 192.0.2.2 } }
  set hits { type ipv4_addr; size 100; flags dynamic; }
  map verdicts { type inet_service : verdict; elements = { 8080 : accept, 9090 : drop } }
  quota upload { over 10 mbytes }
  chain d { counter; }
  chain c { type filter hook input priority 0; policy drop;
    ct state established accept
    tcp dport 22 accept
    ip saddr @bl drop comment "blocklist"
    tcp dport vmap @verdicts
    udp dport 53 add @hits { ip saddr limit rate 5/second } accept
    tcp dport 443 accept
    jump d
  }
}
table ip nat {
  chain post { type nat hook postrouting priority 100; policy accept;
    oifname "eth0" masquerade
  }
}`;

const handleOf = (pattern: string): string => `$(nft -a list ruleset | grep '${pattern}' | sed 's/.*handle //')`;

/** What is done to a ruleset, and all that must be reported: kind, place, severity; none where it is no drift. */
const ACTS: readonly (readonly [what: string, ruleset: string, act: string, wanted: readonly string[]])[] = [
  ['nothing is done', SMALL, 'true', []],
  ['the ruleset is saved, flushed and loaded', SMALL, 'nft list ruleset > save; nft flush ruleset; nft -f save', []],
  [
    'a rule is inserted at the top of 100',
    HUNDRED,
    'nft insert rule inet f c tcp dport 22 accept',
    ['rules_added inet/f c critical'],
  ],
  [
    'the first of 100 rules is deleted',
    HUNDRED,
    `nft delete rule inet f c handle ${handleOf('dport 1000 ')}`,
    ['rules_removed inet/f c critical'],
  ],
  [
    'the last of 100 rules is moved to the top',
    HUNDRED,
    `nft delete rule inet f c handle ${handleOf('dport 1099 ')}; nft insert rule inet f c tcp dport 1099 accept`,
    ['rules_repositioned inet/f c low'],
  ],
  [
    'a rule is deleted and added again in its place',
    HUNDRED,
    `nft insert rule inet f c position ${handleOf('dport 1050 ')} tcp dport 1050 accept; nft delete rule inet f c handle $(nft -a list ruleset | grep 'dport 1050 ' | tail -1 | sed 's/.*handle //')`,
    ['rules_recreated inet/f c low informational'],
  ],
  [
    'the second of two equal rules is deleted and added before the first',
    TWICE,
    `h=${handleOf('accept')}; nft insert rule inet f c tcp dport 22 accept; nft delete rule inet f c handle $(echo $h | cut -d" " -f2)`,
    ['rules_recreated inet/f c low informational', 'rules_recreated inet/f c low informational'],
  ],
  ['everything is accepted first', SMALL, 'nft insert rule inet f c accept', ['rules_added inet/f c critical']],
  ['the policy changes', SMALL, "nft 'chain inet f c { policy accept; }'", ['policy_changes inet/f c critical']],
  [
    'an address leaves the blocklist',
    SMALL,
    "nft 'delete element inet f bl { 192.0.2.1 }'",
    ['sets_changed inet/f bl critical'],
  ],
  [
    'a verdict of a map changes',
    SMALL,
    "nft 'delete element inet f verdicts { 9090 }; add element inet f verdicts { 9090 : accept }'",
    ['sets_changed inet/f verdicts critical'],
  ],
  ['traffic fills a meter', SMALL, "nft 'add element inet f hits { 192.0.2.77 }'", []],
  [
    'a quota is raised',
    SMALL,
    "nft 'delete quota inet f upload; add quota inet f upload { over 20 mbytes }'",
    ['objects_changed inet/f quota/upload medium'],
  ],
  [
    'a jump becomes a goto',
    SMALL,
    `nft replace rule inet f c handle ${handleOf('jump d')} goto d`,
    ['rules_modified inet/f c critical'],
  ],
  [
    'only a comment changes',
    SMALL,
    `nft replace rule inet f c handle ${handleOf('blocklist')} ip saddr @bl drop comment '"known bad"'`,
    ['rules_modified inet/f c low'],
  ],
  ['masquerading ends', SMALL, 'nft flush chain ip nat post', ['rules_removed ip/nat post high']],
  ['the table is set dormant', SMALL, "nft 'add table inet f { flags dormant; }'", ['tables_changed inet/f critical']],
  [
    'the table is deleted',
    SMALL,
    'nft delete table inet f',
    ['tables_removed inet/f critical', 'chains_removed inet/f d low', 'chains_removed inet/f c critical'],
  ],
  [
    'the WireServer is blocked',
    SMALL,
    "nft 'add chain inet f out { type filter hook output priority 0; }'; nft add rule inet f out ip daddr 168.63.129.0/24 drop",
    ['chains_added inet/f out critical'],
  ],
  [
    'a chain that nothing leads to is added',
    SMALL,
    'nft add chain inet f spare; nft add rule inet f spare accept',
    ['chains_added inet/f spare low'],
  ],
];

for (const [what, ruleset, act, wanted] of ACTS) {
  test(`On the kernel, ${what}: ${wanted.length === 0 ? 'no drift' : wanted.join(', ')}`, { skip }, () => {
    const [before, after] = inNamespace({ 'ruleset.nft': ruleset }, `nft -f ruleset.nft; ${LIST}`, `${act}; ${LIST}`);
    const changes = assessNftablesDrift(read(before), read(after));
    const reported = changes.map(({ kind, table, chain, subject, severity, informational }) => {
      const place = kind.startsWith('sets') || kind.startsWith('objects') ? subject : chain;
      return [kind, table, place, severity, informational === true ? 'informational' : null]
        .filter((part) => part !== null)
        .join(' ');
    });
    assert.deepEqual(reported, wanted);
    const drift = documentFamilyDrift('nft', changes);
    assert.equal(
      drift.drift_detected,
      wanted.some((one) => !one.endsWith('informational')),
    );
  });
}

test('On the kernel, a reboot into the saved ruleset is no drift, though handles start anew', { skip }, () => {
  const saved = "nft insert rule inet f c tcp dport 8443 accept; nft 'add rule ip nat post counter'";
  const [before, text] = inNamespace(
    { 'ruleset.nft': SMALL },
    `nft -f ruleset.nft; ${saved}; ${LIST}`,
    'nft list ruleset',
  );
  const [after] = inNamespace({ 'ruleset.nft': text ?? '' }, `nft -f ruleset.nft; ${LIST}`);
  const handles = (ruleset: NftRuleset): (number | null)[] =>
    [...(ruleset.tables.get('inet/f')?.chains.get('c')?.rules ?? [])].map(({ handle }) => handle);
  assert.notDeepEqual(handles(read(before)), handles(read(after)));
  assert.deepEqual(assessNftablesDrift(read(before), read(after)), []);
});

test('On the kernel, a listing with handles and without state is the same ruleset', { skip }, () => {
  const [plain, stateless] = inNamespace(
    { 'ruleset.nft': everything() },
    `nft -f ruleset.nft; ${LIST}`,
    'nft --json --handle --stateless list ruleset',
  );
  assert.deepEqual(assessNftablesDrift(read(plain), read(stateless)), []);
});
