import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { artifactNames } from '../../core/artifact-names.ts';
import { companionText, sha256Hex } from '../../core/baseline/integrity.ts';
import { assembleCapture } from '../../core/capture/assemble.ts';
import { readPayload } from '../../core/capture/payload.ts';
import { buildProbeScript } from '../../core/capture/probe-script.ts';
import { decodeSlice } from '../../core/capture/slice.ts';
import { assessIptablesDrift } from '../../core/drift/iptables-drift.ts';
import { assessNftablesDrift } from '../../core/drift/nftables-drift.ts';
import { IntegrityError } from '../../core/errors.ts';
import { parseIptablesSave } from '../../core/iptables/index.ts';
import { parseNftRuleset } from '../../core/nftables/index.ts';
import type { Command } from '../framework/command.ts';
import { CommandError } from '../framework/errors.ts';
import { AuditDirectory, HOST } from './audit-directory.ts';
import { readProbe } from './probe-file.ts';

export const selftestCommand: Command = {
  name: 'firewall-inspector selftest',
  summary:
    'Runs every part on this machine: the probe (unprivileged, its envelope verified), the store, its tamper evidence, both comparisons. Needs no root, no cloud, no network.',
  operands: '',
  operandsMin: 0,
  operandsMax: 0,
  options: [],
  notes: [],
  examples: ['firewall-inspector selftest'],
  async run(_invocation, output) {
    let failed = 0;
    for (const [name, check] of CHECKS) {
      let fault: string;
      try {
        fault = await check();
      } catch (error) {
        fault = error instanceof Error ? error.message : String(error);
      }
      if (fault !== '') failed += 1;
      await output.write(`${fault === '' ? 'ok    ' : 'FAILED'}  ${name}${fault === '' ? '' : `: ${fault}`}\n`);
    }
    if (failed > 0) throw new CommandError(`${failed} of ${CHECKS.length} parts do not work here`);
  },
};

/** Each answers what is wrong; nothing, when all is well. */
const CHECKS: readonly (readonly [name: string, check: () => string | Promise<string>])[] = [
  ['the probe runs in this shell, and its envelope verifies', checkProbe],
  ['a baseline is stored once, and never written over', checkStore],
  ['a baseline that was changed, or lost its companion, is refused', checkTampering],
  ['an opened port is critical drift in iptables', checkIptables],
  ['an opened port is critical drift in nftables', checkNftables],
];

function checkProbe(): string {
  const nonce = randomBytes(16).toString('hex');
  const script = buildProbeScript(readProbe(), { nonce, slice: 1, mode: 'full' });
  const { stdout, error } = spawnSync('/bin/sh', ['-s'], {
    input: `${script.join('\n')}\n`,
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (error !== undefined) return `/bin/sh: ${error.message}`;
  const decoded = decodeSlice(stdout, { nonce, slice: 1 });
  if (!decoded.ok) return `${decoded.code}: ${decoded.message}`;
  const gunzip = (bytes: Uint8Array, maxOutputLength: number): Uint8Array => gunzipSync(bytes, { maxOutputLength });
  const assembled = assembleCapture([decoded.slice], gunzip);
  if (!assembled.ok) return `${assembled.code}: ${assembled.message}`;
  return readPayload(assembled.capture.payload).fault ?? '';
}

async function checkStore(): Promise<string> {
  return withDirectory(async (directory) => {
    const name = await storeSample(directory);
    const second = await directory.store.create('baselines', name, new TextEncoder().encode('other'));
    if (second !== 'exists') return 'it was written a second time';
    await directory.readVerified('selftest');
    return '';
  });
}

async function checkTampering(): Promise<string> {
  return withDirectory(async (directory) => {
    const path = directory.pathOf(await storeSample(directory));
    appendFileSync(path, ' ');
    if (!(await isRefused(directory))) return 'a changed snapshot was believed';
    rmSync(`${path}.sha256`);
    return (await isRefused(directory)) ? '' : 'a snapshot without its companion was believed';
  });
}

async function isRefused(directory: AuditDirectory): Promise<boolean> {
  try {
    await directory.readVerified('selftest');
    return false;
  } catch (error) {
    if (error instanceof IntegrityError) return true;
    throw error;
  }
}

async function withDirectory(check: (directory: AuditDirectory) => Promise<string>): Promise<string> {
  const path = mkdtempSync(join(tmpdir(), 'firewall-inspector-selftest-'));
  try {
    return await check(new AuditDirectory(path));
  } finally {
    rmSync(path, { recursive: true, force: true });
  }
}

async function storeSample({ store }: AuditDirectory): Promise<string> {
  const bytes = new TextEncoder().encode('{"session_id":"selftest","rulesets":{}}\n');
  const companion = new TextEncoder().encode(companionText(sha256Hex(bytes)));
  const name = artifactNames.snapshot(HOST, 'selftest');
  await store.create('baselines', artifactNames.companion(HOST, 'selftest'), companion);
  await store.create('baselines', name, bytes);
  return name;
}

function checkIptables(): string {
  const ruleset = (source: string) =>
    parseIptablesSave(
      `*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n-A INPUT ${source}-p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n`,
      { family: 'ipv4' },
    ).ruleset;
  const changes = assessIptablesDrift(ruleset('-s 10.0.0.0/8 '), ruleset(''));
  return changes.length === 1 && changes[0]?.severity === 'critical' ? '' : `${changes.length} changes were found`;
}

function checkNftables(): string {
  const place = { family: 'inet', table: 'fw' };
  const port = { match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right: 22 } };
  const from = {
    match: {
      op: '==',
      left: { payload: { protocol: 'ip', field: 'saddr' } },
      right: { prefix: { addr: '10.0.0.0', len: 8 } },
    },
  };
  const ruleset = (...expr: unknown[]) =>
    parseNftRuleset(
      JSON.stringify({
        nftables: [
          { table: { family: 'inet', name: 'fw', handle: 1 } },
          { chain: { ...place, name: 'in', handle: 1, type: 'filter', hook: 'input', prio: 0, policy: 'drop' } },
          { rule: { ...place, chain: 'in', handle: 2, expr: [...expr, { accept: null }] } },
        ],
      }),
    ).ruleset;
  const changes = assessNftablesDrift(ruleset(from, port), ruleset(port));
  return changes.length === 1 && changes[0]?.severity === 'critical' ? '' : `${changes.length} changes were found`;
}
