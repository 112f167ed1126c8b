import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assembleCapture } from '../../../src/core/capture/assemble.ts';
import { reasonTexts } from '../../../src/core/capture/coverage.ts';
import { detectFramework, frameworkEvidence } from '../../../src/core/capture/framework.ts';
import { readPayload } from '../../../src/core/capture/payload.ts';
import { type CaptureContents, readCapture } from '../../../src/core/capture/read-capture.ts';
import { decodeSlice } from '../../../src/core/capture/slice.ts';
import { gunzip, payloadOf, RECORDED_NONCE, recorded } from './envelopes.ts';

type SectionText = { stdout?: string; stderr?: string; status?: string };

/** A host with iptables-nft, nft and no rules at all, where everything could be read. */
const CLEAN: Record<string, SectionText> = {
  probe: { stdout: 'uid 0\ntime-limit 25s' },
  kernel: { stdout: 'Linux web-01 6.1.0-18-cloud-amd64 x86_64\n' },
  'os-release': { stdout: 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\n' },
  'boot-id': { stdout: '00000000-1111-2222-3333-444444444444\n' },
  subsystems: { stdout: 'nf_tables loaded\nnft_compat loaded\nip_set not-loaded' },
  alternatives: { stdout: 'Name: iptables\nValue: /usr/sbin/iptables-nft\n' },
  ip_tables_names: { status: 'skipped:not-loaded' },
  'iptables-version': { stdout: 'iptables-save v1.8.9 (nf_tables)\n' },
  'iptables-backend': { stdout: 'nft' },
  'iptables-save': {},
  'iptables-legacy-save': { status: 'skipped:legacy-not-loaded' },
  ip6_tables_names: { status: 'skipped:not-loaded' },
  'ip6tables-version': { stdout: 'ip6tables-save v1.8.9 (nf_tables)\n' },
  'ip6tables-backend': { stdout: 'nft' },
  'ip6tables-save': {},
  'ip6tables-legacy-save': { status: 'skipped:legacy-not-loaded' },
  'nft-version': { stdout: 'nftables v1.0.6 (Lester Gooch #5)\n' },
  'nft-ruleset': { stdout: '{"nftables": [{"metainfo": {"version": "1.0.6"}}]}\n' },
  'ipset-version': { status: 'skipped:ip_set-not-loaded' },
  'ipset-save': { status: 'skipped:ip_set-not-loaded' },
};

function contentsOf(changes: Record<string, SectionText | null> = {}): CaptureContents {
  const sections = Object.entries({ ...CLEAN, ...changes }).flatMap(([name, section]) =>
    section === null ? [] : [{ name, ...section }],
  );
  return readCapture(payloadOf(sections));
}

const RULES = '*filter\n:INPUT ACCEPT [0:0]\n[0:0] -A INPUT -j DROP\nCOMMIT\n';
const EMPTY_TABLES = '*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\nCOMMIT\n';

function listing(
  ...tables: { family: string; name: string; chain?: string; policy?: string; rule?: boolean; set?: boolean }[]
): string {
  const items = tables.flatMap(({ family, name, chain, policy, rule, set }) => [
    { table: { family, name, handle: 1 } },
    ...(set === true ? [{ set: { family, table: name, name: 's', handle: 2 } }] : []),
    ...(chain === undefined
      ? []
      : [{ chain: { family, table: name, name: chain, ...(policy === undefined ? {} : { hook: 'input', policy }) } }]),
    ...(rule === true ? [{ rule: { family, table: name, chain: chain ?? 'x', expr: [] } }] : []),
  ]);
  return JSON.stringify({ nftables: [{ metainfo: { version: '1.0.6' } }, ...items] });
}

test('a real capture is taken apart whole', () => {
  const answer = decodeSlice(recorded('one-slice.txt'), { nonce: RECORDED_NONCE, slice: 1 });
  assert.ok(answer.ok);
  const assembled = assembleCapture([answer.slice], gunzip);
  assert.ok(assembled.ok);
  assert.equal(assembled.capture.withCounters, true);
  const contents = readCapture(assembled.capture.payload);
  assert.deepEqual(contents.host, {
    hostname: 'web-01',
    kernel: '6.1.0-18-cloud-amd64',
    machine: 'x86_64',
    os: 'Debian GNU/Linux 12 (bookworm)',
    os_id: 'debian',
    boot_id: '00000000-1111-2222-3333-444444444444',
    tools: { iptables: '1.8.9', ip6tables: '1.8.9', nft: '1.0.6', ipset: '7.17' },
    iptables_alternative: '/usr/sbin/iptables-nft',
  });
  assert.deepEqual(
    Object.entries(contents.sources).map(([key, { status, backend }]) => `${key} ${status} ${backend}`),
    [
      'ipv4 captured nft',
      'ipv6 captured nft',
      'ipv4_legacy captured legacy',
      'nft captured null',
      'ipsets captured null',
    ],
  );
  assert.match(contents.sources.ipv4.text, /-A DOCKER-USER -j RETURN/);
  assert.match(contents.sources.ipv4_legacy?.text ?? '', /--comment old -j MARK/);
  assert.match(contents.sources.ipsets.text, /comment "a b"/);
  assert.deepEqual(contents.coverage, { state: 'complete', reasons: [] });
  assert.ok(contents.diagnostics.every(({ severity }) => severity === 'info'));
  const verdict = detectFramework(frameworkEvidence(contents));
  assert.equal(verdict.framework, 'mixed');
  assert.equal(verdict.confidence, 'high');
  assert.ok(verdict.warnings.some((warning) => warning.includes('legacy rules in ip/mangle')));
});

test('no rules behind a live framework is a complete capture', () => {
  const contents = contentsOf();
  assert.deepEqual(contents.sources.ipv4, { text: '', backend: 'nft', status: 'captured', detail: '' });
  assert.deepEqual(contents.coverage, { state: 'complete', reasons: [] });
  assert.deepEqual(contents.diagnostics, []);
});

/** Every way in which something may hold rules and was not read: never complete. */
const LACKS: [string, Record<string, SectionText | null>, RegExp][] = [
  [
    'iptables-save fails',
    { 'iptables-save': { status: 'exit:1', stdout: RULES, stderr: 'Permission denied' } },
    /ipv4 could not be read with iptables-save: exit status 1: Permission denied/,
  ],
  [
    'ip6tables-save fails in silence',
    { 'ip6tables-save': { status: 'exit:3' } },
    /ipv6 .* exit status 3: no error text/,
  ],
  [
    'nft runs into its limit',
    { 'nft-ruleset': { status: 'timeout', stdout: '{"nftables":' } },
    /nft could not be read .* time limit/,
  ],
  ['nft is missing and nf_tables is loaded', { 'nft-ruleset': { status: 'absent' } }, /nft is not installed/],
  [
    'nobody knows whether nf_tables is loaded',
    { 'nft-ruleset': { status: 'skipped:nf_tables-unknown' } },
    /nf_tables-unknown/,
  ],
  ['ipset fails', { 'ipset-save': { status: 'exit:1', stderr: 'Kernel error received' } }, /ipsets could not be read/],
  [
    'a rule names a set that was not read',
    { 'iptables-save': { stdout: '*filter\n-A INPUT -m set --match-set bans src -j DROP\nCOMMIT\n' } },
    /rules name ipsets, and ipset was not read/,
  ],
  [
    'legacy tables exist and their tool does not',
    { ip_tables_names: { stdout: 'filter\n' }, 'iptables-legacy-save': { status: 'absent' } },
    /ipv4_legacy .* not installed, but the kernel has tables: filter/,
  ],
  [
    'legacy tables exist and nothing asked',
    { ip_tables_names: { stdout: 'filter\n' }, 'iptables-legacy-save': null },
    /legacy ipv4 tables exist, and were not read: filter/,
  ],
  [
    'the list of legacy tables is unreadable',
    { ip6_tables_names: { status: 'exit:1', stderr: 'Permission denied' } },
    /list of legacy ipv6 tables could not be read/,
  ],
  ['the list of legacy tables is missing', { ip_tables_names: null }, /list of legacy ipv4 tables could not be read/],
  ['a section is missing', { 'nft-ruleset': null }, /nft could not be read .* no such section/],
  [
    'a table has what iptables cannot print, and nft failed',
    {
      'iptables-save': { stdout: "# Table `filter' is incompatible, use 'nft' tool.\n" },
      'nft-ruleset': { status: 'exit:1' },
    },
    /table filter holds what iptables cannot print/,
  ],
];

for (const [name, changes, reason] of LACKS) {
  test(`the coverage is partial when ${name}`, () => {
    const contents = contentsOf(changes);
    assert.equal(contents.coverage.state, 'partial');
    assert.ok(
      reasonTexts(contents.coverage).some((text) => reason.test(text)),
      reasonTexts(contents.coverage).join('\n'),
    );
    assert.ok(contents.diagnostics.some(({ code, severity }) => severity === 'error' && code.startsWith('PROBE_')));
    for (const source of Object.values(contents.sources)) {
      if (source.status !== 'captured') assert.equal(source.text, '');
    }
  });
}

test('the coverage is failed when nothing was read', () => {
  const contents = contentsOf({
    'iptables-save': { status: 'exit:4' },
    'ip6tables-save': { status: 'exit:4' },
    'nft-ruleset': { status: 'exit:1' },
    probe: { stdout: 'uid 1000\n' },
  });
  assert.equal(contents.coverage.state, 'failed');
  assert.ok(contents.diagnostics.some(({ code }) => code === 'PROBE_NOT_ROOT'));
  const verdict = detectFramework(frameworkEvidence(contents));
  assert.equal(verdict.confidence, 'low');
});

test('a host without any firewall tool is complete only where the kernel says that it has no firewall', () => {
  const none: Record<string, SectionText> = {};
  for (const name of ['iptables-save', 'ip6tables-save', 'nft-ruleset', 'nft-version', 'ipset-save'])
    none[name] = { status: 'absent' };
  for (const name of ['iptables-version', 'ip6tables-version', 'alternatives']) none[name] = { status: 'absent' };
  none['iptables-backend'] = { stdout: 'none' };
  none['ip6tables-backend'] = { stdout: 'none' };
  const unloaded = {
    ...none,
    subsystems: { stdout: 'nf_tables not-loaded\nnft_compat not-loaded\nip_set not-loaded' },
  };
  assert.equal(contentsOf(unloaded).coverage.state, 'complete');
  assert.equal(contentsOf(none).coverage.state, 'failed');
  const verdict = detectFramework(frameworkEvidence(contentsOf(none)));
  assert.deepEqual([verdict.framework, verdict.confidence], ['unknown', 'low']);
});

test('bytes that are not UTF-8 and tables for nft only are remarked, and do not make a capture partial', () => {
  const contents = contentsOf({
    'iptables-save': {
      stdout: "*nat\nCOMMIT\n# Table `filter' is incompatible, use 'nft' tool.\n",
      stderr: '# Warning: iptables-legacy tables present',
    },
  });
  assert.equal(contents.coverage.state, 'complete');
  assert.deepEqual(
    contents.diagnostics.map(({ code }) => code),
    ['PROBE_TOOL_REMARK', 'PROBE_TABLE_INCOMPATIBLE'],
  );
  const latin1 = readCapture(payloadOf([{ name: 'iptables-save', stdout: Uint8Array.of(0xe9) }]));
  assert.ok(latin1.diagnostics.some(({ code }) => code === 'PROBE_NOT_UTF8'));
});

test('any bytes at all are read without an exception, and are never complete', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.string().map((text) => Buffer.from(`NFI-PAYLOAD 1\n${text}`)),
      ),
      (payload) => {
        const contents = readCapture(payload);
        assert.notEqual(contents.coverage.state, 'complete');
        frameworkEvidence(contents);
      },
    ),
    { numRuns: 500 },
  );
});

test('os-release and versions of old and odd hosts are read', () => {
  const of = (changes: Record<string, SectionText | null>) => contentsOf(changes).host;
  assert.equal(of({ 'os-release': { stdout: "ID='rhel'\nPRETTY_NAME=Plain\n" } }).os_id, 'rhel');
  assert.equal(of({ 'os-release': { stdout: 'PRETTY_NAME="A \\"b\\" \\$c"\n' } }).os, 'A "b" $c');
  assert.deepEqual([of({ 'os-release': { status: 'exit:1' } }).os, of({ kernel: null }).kernel], [null, null]);
  const old = of({
    'iptables-version': { status: 'exit:1' },
    'iptables-command-version': { stdout: 'iptables v1.4.21\n' },
  });
  assert.equal(old.tools.iptables, '1.4.21');
  assert.equal(
    of({ alternatives: { stdout: '/usr/sbin/xtables-nft-multi\n' } }).iptables_alternative,
    '/usr/sbin/xtables-nft-multi',
  );
});

const CASES: [
  name: string,
  changes: Record<string, SectionText>,
  framework: string,
  confidence: string,
  warning?: RegExp,
][] = [
  ['nothing in force, nft default', {}, 'iptables-nft', 'medium'],
  [
    'nothing in force, legacy default',
    { 'iptables-backend': { stdout: 'legacy' }, 'ip6tables-backend': { stdout: 'legacy' } },
    'iptables-legacy',
    'medium',
  ],
  [
    'nothing in force, nft only',
    {
      'iptables-save': { status: 'absent' },
      'ip6tables-save': { status: 'absent' },
      'iptables-backend': { stdout: 'none' },
      'ip6tables-backend': { stdout: 'none' },
    },
    'nftables',
    'medium',
  ],
  [
    'iptables-nft rules',
    {
      'iptables-save': { stdout: RULES },
      'nft-ruleset': { stdout: listing({ family: 'ip', name: 'filter', chain: 'INPUT', rule: true }) },
    },
    'iptables-nft',
    'high',
  ],
  [
    'iptables-nft rules for IPv6 only',
    {
      'ip6tables-save': { stdout: RULES },
      'nft-ruleset': { stdout: listing({ family: 'ip6', name: 'filter', chain: 'INPUT', rule: true }) },
    },
    'iptables-nft',
    'high',
  ],
  ['a policy alone', { 'iptables-save': { stdout: '*filter\n:INPUT DROP [0:0]\nCOMMIT\n' } }, 'iptables-nft', 'high'],
  [
    'native rules',
    { 'nft-ruleset': { stdout: listing({ family: 'inet', name: 'f', chain: 'in', rule: true }) } },
    'nftables',
    'high',
  ],
  [
    'a native drop policy',
    { 'nft-ruleset': { stdout: listing({ family: 'inet', name: 'f', chain: 'in', policy: 'drop' }) } },
    'nftables',
    'high',
  ],
  [
    'native rules beside empty iptables tables',
    {
      'iptables-save': { stdout: EMPTY_TABLES },
      'nft-ruleset': {
        stdout: listing(
          { family: 'ip', name: 'filter', chain: 'INPUT', policy: 'accept' },
          { family: 'inet', name: 'f', chain: 'in', rule: true },
        ),
      },
    },
    'nftables',
    'high',
  ],
  [
    "native rules in a table of iptables' name",
    { 'nft-ruleset': { stdout: listing({ family: 'ip', name: 'filter', chain: 'input', rule: true }) } },
    'nftables',
    'high',
  ],
  [
    'iptables-nft and native',
    {
      'iptables-save': { stdout: RULES },
      'nft-ruleset': {
        stdout: listing(
          { family: 'ip', name: 'filter', chain: 'INPUT', rule: true },
          { family: 'inet', name: 'f2b-table', chain: 'in', rule: true },
        ),
      },
    },
    'mixed',
    'high',
    /nftables rules in inet\/f2b-table do not show in iptables/,
  ],
  [
    'legacy and iptables-nft',
    {
      'iptables-save': { stdout: RULES },
      ip_tables_names: { stdout: 'nat\n' },
      'iptables-legacy-save': { stdout: RULES.replace('filter', 'nat') },
    },
    'mixed',
    'high',
    /legacy rules in ip\/nat do not show/,
  ],
  [
    'legacy default, iptables-nft beside it',
    {
      'iptables-backend': { stdout: 'legacy' },
      ip_tables_names: { stdout: 'filter\n' },
      'iptables-save': { stdout: RULES },
      'iptables-nft-save': { stdout: RULES },
    },
    'mixed',
    'high',
    /iptables-nft rules in ip\/filter do not show/,
  ],
  [
    'idle legacy tables',
    {
      'iptables-save': { stdout: RULES },
      ip_tables_names: { stdout: 'nat\n' },
      'iptables-legacy-save': { stdout: EMPTY_TABLES },
    },
    'iptables-nft',
    'high',
    /legacy tables are loaded and do nothing: ip\/filter/,
  ],
  [
    'legacy rules, default legacy',
    {
      'iptables-backend': { stdout: 'legacy' },
      ip_tables_names: { stdout: 'filter\n' },
      'iptables-save': { stdout: RULES },
      'ip6tables-backend': { stdout: 'legacy' },
    },
    'iptables-legacy',
    'high',
  ],
  [
    'iptables-nft rules and no iptables-save',
    {
      'iptables-save': { status: 'absent' },
      'iptables-backend': { stdout: 'none' },
      'nft-ruleset': { stdout: listing({ family: 'ip', name: 'filter', chain: 'INPUT', rule: true }) },
    },
    'iptables-nft',
    'high',
  ],
  [
    'a table of that shape with a set is native',
    {
      'iptables-save': { status: 'absent' },
      'iptables-backend': { stdout: 'none' },
      'nft-ruleset': { stdout: listing({ family: 'ip', name: 'filter', chain: 'INPUT', rule: true, set: true }) },
    },
    'nftables',
    'high',
  ],
  [
    'ebtables-nft',
    { 'nft-ruleset': { stdout: listing({ family: 'bridge', name: 'filter', chain: 'FORWARD', rule: true }) } },
    'iptables-nft',
    'high',
  ],
  [
    'nft unread',
    { 'iptables-save': { stdout: RULES }, 'nft-ruleset': { status: 'exit:1' } },
    'iptables-nft',
    'medium',
    /nft could not be read/,
  ],
  [
    'backends that differ',
    { 'iptables-backend': { stdout: 'legacy' } },
    'iptables-legacy',
    'medium',
    /iptables speaks to legacy and ip6tables to nft/,
  ],
  [
    'a listing that is no JSON',
    { 'nft-ruleset': { stdout: 'table inet x {}' }, 'iptables-save': { stdout: RULES } },
    'iptables-nft',
    'high',
  ],
  [
    'tables called as no object should be',
    {
      'nft-ruleset': { stdout: listing({ family: '__proto__', name: 'constructor', chain: '__proto__', rule: true }) },
    },
    'nftables',
    'high',
  ],
];

for (const [name, changes, framework, confidence, warning] of CASES) {
  test(`framework of a host with ${name}`, () => {
    const verdict = detectFramework(frameworkEvidence(contentsOf(changes)));
    assert.deepEqual([verdict.framework, verdict.confidence], [framework, confidence], JSON.stringify(verdict));
    assert.ok(verdict.evidence.length > 0);
    if (warning === undefined)
      assert.ok(!verdict.warnings.some((text) => text.includes('do not show')), verdict.warnings.join());
    else
      assert.ok(
        verdict.warnings.some((text) => warning.test(text)),
        verdict.warnings.join(),
      );
  });
}

test('text that is not UTF-8 keeps every byte, however many are bad', () => {
  const bytesOf = (text: string): Buffer =>
    Buffer.concat(
      text
        .split(/(\ufffd[0-9a-f]{2})/)
        .map((part) => (part.startsWith('\ufffd') ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part))),
    );
  const readBack = (stdout: Buffer): Buffer => {
    const head = Buffer.from(`NFI-PAYLOAD 1\nsection ipset-save exit:0 ${stdout.length} 0\n`);
    const { sections } = readPayload(Buffer.concat([head, stdout, Buffer.from('\nend 1\n')]));
    assert.equal(sections[0]?.name, 'ipset-save');
    return bytesOf(sections[0]?.stdout ?? '');
  };
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
    fc.constantFrom('é', '€', '😀', 'a').map((text) => Buffer.from(text)),
  );
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const stdout = Buffer.concat(pieces);
      fc.pre(!stdout.includes('\ufffd'));
      assert.deepEqual(readBack(stdout), stdout);
    }),
  );
  // A string for each of them took a gigabyte.
  const hostile = Buffer.alloc(16 * 1024 * 1024, 0xff);
  const head = Buffer.from(`NFI-PAYLOAD 1\nsection ipset-save exit:0 ${hostile.length} 0\n`);
  const { sections } = readPayload(Buffer.concat([head, hostile, Buffer.from('\nend 1\n')]));
  assert.equal(sections[0]?.stdout.length, 3 * hostile.length);
});
