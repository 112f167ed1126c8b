import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { assembleCapture } from '../../src/core/capture/assemble.ts';
import { detectFramework, frameworkEvidence } from '../../src/core/capture/framework.ts';
import { buildProbeScript } from '../../src/core/capture/probe-script.ts';
import { type CaptureContents, readCapture } from '../../src/core/capture/read-capture.ts';
import { decodeSlice } from '../../src/core/capture/slice.ts';
import { kernelSkipReason } from '../support/environment.ts';
import { gunzip, isInstalled, newNonce, probeText } from './probe-runs.ts';

// Each case has a root directory of its own that holds exactly the programs named, so that a missing tool is missing.
// The probe runs there by chroot, in mount and network namespaces that end with it; /proc is this kernel's.
const skip = kernelSkipReason(['ip', 'iptables', 'nft', 'ipset', 'chroot', 'unshare', 'ldd']);
const scratch = mkdtempSync(join(tmpdir(), 'nfi-roots-'));
after(() => rmSync(scratch, { recursive: true }));

const BASE = ['sh', 'cat', 'cut', 'date', 'grep', 'head', 'id', 'sed', 'tr', 'uname', 'wc', 'readlink'];
const ENCODERS = ['gzip', 'base64', 'sha256sum'];
const RULES = '*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n';
const NATIVE =
  'table inet guard { chain in { type filter hook input priority 5; policy drop; tcp dport 22 accept; }; }';

/** A root with these programs: `name`, or `name=program` for another name's copy. Returns its path. */
function makeRoot(name: string, programs: readonly string[]): string {
  const root = join(scratch, name);
  for (const directory of ['usr/bin', 'proc', 'etc', 'tmp', 'dev', 'sys'])
    mkdirSync(join(root, directory), { recursive: true });
  for (const link of ['bin', 'sbin']) symlinkSync('usr/bin', join(root, link));
  writeFileSync(join(root, 'etc/os-release'), 'PRETTY_NAME="Test"\nID=test\n');
  writeFileSync(join(root, 'dev/null'), '');
  for (const entry of programs) {
    const [alias = '', program = alias] = entry.split('=');
    const path = realpathSync(
      execFileSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin"; command -v ${program}`], { encoding: 'utf8' }).trim(),
    );
    const copy = join(root, 'usr/bin', basename(path));
    copyProgram(root, path, copy);
    if (basename(path) !== alias) symlinkSync(basename(path), join(root, 'usr/bin', alias));
  }
  return root;
}

function copyProgram(root: string, path: string, copy: string): void {
  if (existsSync(copy)) return;
  copyFileSync(path, copy);
  const libraries = spawnSync('ldd', [path], { encoding: 'utf8' }).stdout.matchAll(/(\/\S+) \(0x/g);
  for (const [, library = ''] of libraries) {
    const to = join(root, library);
    if (existsSync(to)) continue;
    mkdirSync(dirname(to), { recursive: true });
    copyFileSync(realpathSync(library), to);
  }
  // The extensions of iptables are opened by name.
  for (const directory of [
    '/usr/lib/x86_64-linux-gnu/xtables',
    '/usr/lib/aarch64-linux-gnu/xtables',
    '/usr/lib64/xtables',
    '/usr/lib/xtables',
  ]) {
    if (basename(path).startsWith('xtables-') && existsSync(directory))
      cpSync(directory, join(root, directory), { recursive: true });
  }
}

/** Runs the probe in a root, after `setup` (a shell line with this host's tools) has filled its network namespace. */
function runIn(
  root: string,
  setup: string,
  shell = '/bin/sh',
  env: Record<string, string> = {},
): { stdout: string; nonce: string } {
  const nonce = newNonce();
  const lines = buildProbeScript(probeText, { nonce, slice: 1, mode: 'auto' });
  const mounts = `mount --bind /dev/null '${root}/dev/null' && mount -t proc proc '${root}/proc'`;
  const result = spawnSync(
    'unshare',
    [
      '--net',
      '--mount',
      '--pid',
      '--fork',
      'sh',
      '-c',
      `${mounts} && { ${setup}; } </dev/null >/dev/null && exec chroot '${root}' ${shell} -s`,
    ],
    {
      input: `${lines.join('\n')}\n`,
      encoding: 'latin1',
      env: { PATH: `${process.env['PATH']}:/usr/sbin:/sbin`, ...env },
    },
  );
  assert.equal(result.stderr, '');
  return { stdout: result.stdout, nonce };
}

function captureIn(...of: Parameters<typeof runIn>): CaptureContents & { encoding: string } {
  const { stdout, nonce } = runIn(...of);
  const answer = decodeSlice(stdout, { nonce });
  assert.ok(answer.ok, answer.ok ? '' : `${answer.code}: ${answer.message}`);
  const assembled = assembleCapture([answer.slice], gunzip);
  assert.ok(assembled.ok, assembled.ok ? '' : `${assembled.code}: ${assembled.message}`);
  return { ...readCapture(assembled.capture.payload), encoding: answer.slice.encoding };
}

/** Every file under a directory with what could be changed about it; /proc is a mount that ends with the run. */
function listing(root: string): string[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((path) => {
      const { mode, size, mtimeMs, ctimeMs } = lstatSync(join(root, path));
      const isFile = (mode & 0o170000) === 0o100000;
      const digest = isFile
        ? createHash('sha256')
            .update(readFileSync(join(root, path)))
            .digest('hex')
        : '';
      return `${path} ${mode} ${size} ${mtimeMs} ${ctimeMs} ${digest}`;
    });
}

const LEGACY = [
  'iptables=iptables-legacy',
  'iptables-save=iptables-legacy-save',
  'ip6tables=ip6tables-legacy',
  'ip6tables-save=ip6tables-legacy-save',
];
const NFT_TOOLS = [
  'iptables=iptables-nft',
  'iptables-save=iptables-nft-save',
  'ip6tables=ip6tables-nft',
  'ip6tables-save=ip6tables-nft-save',
];
const load = (backend: string): string => `printf '${RULES.replaceAll('\n', '\\n')}' | iptables-${backend}-restore`;

test('with all tools, and its whole file system the same afterwards', { skip }, () => {
  const root = makeRoot('all', [
    ...BASE,
    ...ENCODERS,
    ...NFT_TOOLS,
    'iptables-legacy-save',
    'ip6tables-legacy-save',
    'nft',
    'ipset',
    'timeout',
  ]);
  const earlier = listing(root);
  const contents = captureIn(root, `${load('nft')} && ${load('legacy')} && nft '${NATIVE}' && ipset create a hash:ip`);
  assert.deepEqual(listing(root), earlier);
  const { sources } = contents;
  assert.deepEqual([sources.ipv4.backend, sources.ipv4.status], ['nft', 'captured']);
  assert.match(sources.ipv4.text, /-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT/);
  assert.match(sources.ipv4_legacy?.text ?? '', /-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT/);
  assert.match(sources.nft.text, /guard/);
  assert.match(sources.ipsets.text, /^create a hash:ip/);
  assert.deepEqual(contents.coverage, { state: 'complete', reasons: [] });
  assert.match(contents.host.iptables_alternative ?? '', /xtables-nft-multi$/);
});

test('with nft only, the native rules are the whole capture', { skip }, () => {
  const contents = captureIn(makeRoot('nft', [...BASE, ...ENCODERS, 'nft']), `nft '${NATIVE}'`);
  assert.deepEqual(contents.sources.ipv4, { text: '', backend: null, status: 'absent', detail: 'not installed' });
  assert.equal(contents.sources.nft.status, 'captured');
  assert.match(contents.sources.nft.text, /guard/);
  assert.deepEqual(contents.coverage, { state: 'complete', reasons: [] });
  const verdict = detectFramework(frameworkEvidence(contents));
  assert.deepEqual([verdict.framework, verdict.confidence], ['nftables', 'high']);
});

test('with nft only, iptables-nft rules are in the nft listing and named for what they are', { skip }, () => {
  const contents = captureIn(makeRoot('nft-owned', [...BASE, ...ENCODERS, 'nft']), load('nft'));
  assert.equal(detectFramework(frameworkEvidence(contents)).framework, 'iptables-nft');
});

test('with nft only, legacy rules that nothing can read are stated, not missed', { skip }, () => {
  const contents = captureIn(makeRoot('nft-blind', [...BASE, ...ENCODERS, 'nft']), load('legacy'));
  assert.equal(contents.sources.ipv4_legacy?.status, 'failed');
  assert.match(contents.sources.ipv4_legacy?.detail ?? '', /not installed, but the kernel has tables: filter/);
  assert.equal(contents.coverage.state, 'partial');
});

test('with legacy iptables only, its rules are read; nft tables cannot be ruled out where the kernel may have them', {
  skip,
}, () => {
  const contents = captureIn(makeRoot('legacy', [...BASE, ...ENCODERS, ...LEGACY]), load('legacy'));
  const { ipv4, ipv6, nft } = contents.sources;
  assert.deepEqual([ipv4.backend, ipv4.status, ipv6.backend, ipv6.status], ['legacy', 'captured', 'legacy', 'skipped']);
  assert.match(ipv4.text, /-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT/);
  assert.equal(nft.status, 'absent');
  const nfTables = /^nf_tables (.*)$/m.exec(
    contents.sections.find(({ name }) => name === 'subsystems')?.stdout ?? '',
  )?.[1];
  assert.equal(contents.coverage.state, nfTables === 'not-loaded' ? 'complete' : 'partial');
  assert.equal(detectFramework(frameworkEvidence(contents)).framework, 'iptables-legacy');
});

test('with legacy iptables only, on a kernel that has not loaded nf_tables, the capture is complete', { skip }, () => {
  const root = makeRoot('legacy-modules', [...BASE, ...ENCODERS, ...LEGACY]);
  for (const [path, text] of [
    ['sim/proc/modules', 'ip_tables 1 1 - Live 0x0\n'],
    ['sim/proc/kallsyms', '0 T ipt_do_table\n'],
    ['sim/proc/net/ip_tables_names', 'filter\n'],
    ['sim/proc/net/ip6_tables_names', ''],
  ] as const) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  const contents = captureIn(root, load('legacy'), '/bin/sh', { NFI_ROOT: '/sim' });
  assert.match(contents.sources.ipv4.text, /-A INPUT/);
  assert.deepEqual(contents.coverage, { state: 'complete', reasons: [] });
});

test('with no firewall tool at all, nothing is captured and nothing is called empty', { skip }, () => {
  const contents = captureIn(makeRoot('none', [...BASE, ...ENCODERS]), load('nft'));
  for (const source of [contents.sources.ipv4, contents.sources.ipv6, contents.sources.nft, contents.sources.ipsets]) {
    assert.deepEqual([source.status, source.text], ['absent', '']);
  }
  const nfTables = /^nf_tables (.*)$/m.exec(
    contents.sections.find(({ name }) => name === 'subsystems')?.stdout ?? '',
  )?.[1];
  assert.equal(contents.coverage.state, nfTables === 'not-loaded' ? 'complete' : 'failed');
  assert.deepEqual(detectFramework(frameworkEvidence(contents)).framework, 'unknown');
});

test('without gzip and base64 the payload is plain, or hexadecimal', { skip }, () => {
  const plain = captureIn(makeRoot('plain', [...BASE, 'base64', 'sha256sum', 'nft']), `nft '${NATIVE}'`);
  assert.equal(plain.encoding, 'plain+base64');
  assert.match(plain.sources.nft.text, /guard/);
  const hex = captureIn(makeRoot('hex', [...BASE, 'gzip', 'od', 'sha256sum', 'nft']), `nft '${NATIVE}'`);
  assert.equal(hex.encoding, 'gzip+hex');
  assert.match(hex.sources.nft.text, /guard/);
});

test('what it cannot do without, the probe names', { skip }, () => {
  for (const [name, programs, missing] of [
    ['no-digest', [...BASE, 'gzip', 'base64'], 'sha256sum'],
    ['no-text', [...BASE, 'gzip', 'sha256sum'], 'base64'],
    ['no-sed', [...BASE.filter((tool) => tool !== 'sed'), ...ENCODERS], 'sed'],
  ] as const) {
    const { stdout, nonce } = runIn(makeRoot(name, programs), 'true');
    const answer = decodeSlice(stdout, { nonce });
    assert.ok(!answer.ok && answer.code === 'PROBE_TOOL_MISSING' && answer.message.includes(missing), stdout);
  }
});

if (skip === false && isInstalled('busybox')) {
  test('with busybox for everything but the firewall tools', () => {
    const root = makeRoot('busybox', ['busybox', 'nft']);
    for (const tool of [...BASE, 'timeout']) symlinkSync('busybox', join(root, 'usr/bin', tool));
    const contents = captureIn(root, `nft '${NATIVE}'`);
    assert.equal(contents.encoding, 'gzip+base64');
    assert.match(contents.sources.nft.text, /guard/);
    assert.deepEqual(contents.coverage, { state: 'complete', reasons: [] });
  });
}
