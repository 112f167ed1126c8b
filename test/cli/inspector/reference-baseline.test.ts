import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { sha256Hex } from '../../../src/core/baseline/integrity.ts';
import { readReferenceSnapshot } from '../../../src/core/baseline/reference-snapshot.ts';
import { OperationError } from '../../../src/core/errors.ts';
import type { HostFirewall } from '../../../src/core/host-firewall.ts';
import type { JsonObject } from '../../../src/core/json.ts';
import { fixturePath, kernelSkipReason } from '../../support/environment.ts';
import { runProcess, scratch } from '../run-command.ts';
import { inspectorPath } from './inspector-process.ts';

// Snapshots in the shape that the Python reference writes: no raw capture, no schema_version.
const IPTABLES = 'fw_prod_20260314';
const NFT = 'fw_edge_20260314';
const NAMESPACE = `reference${process.pid}`;
const INSIDE = ['netns', 'exec', NAMESPACE];

describe('a baseline of the Python reference', { skip: kernelSkipReason() }, () => {
  let directory: string;
  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'nfi-inspector-'));
    for (const id of [IPTABLES, NFT]) {
      for (const end of ['json', 'json.sha256'])
        cpSync(fixturePath('reference', `${id}_snapshot.${end}`), join(directory, `${id}_snapshot.${end}`));
    }
  });
  after(() => rmSync(directory, { recursive: true }));
  const inNamespace = async (firewall: string, work: (change: (script: string) => void) => Promise<void>) => {
    const change = (script: string) =>
      void execFileSync('ip', [...INSIDE, 'sh', '-ec', `PATH=$PATH:/usr/sbin:/sbin; ${script}`]);
    execFileSync('ip', ['netns', 'add', NAMESPACE]);
    try {
      change(firewall);
      await work(change);
    } finally {
      execFileSync('ip', ['netns', 'del', NAMESPACE]);
    }
  };
  const compare = (id: string, ...args: string[]) =>
    runProcess('ip', [
      ...INSIDE,
      process.execPath,
      inspectorPath,
      '--provider',
      'local',
      '--vm-name',
      'prod-vm-01',
      '--audit-dir',
      directory,
      '--compare-baseline',
      id,
      ...args,
    ]);

  const SAME_IPTABLES = `
    iptables -N SSH_IN; iptables -A SSH_IN -j ACCEPT; iptables -P INPUT DROP
    iptables -A INPUT -i lo -j ACCEPT
    iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
    iptables -A INPUT -s 10.0.0.0/8 -p tcp --dport 22 -j SSH_IN`;

  test('of iptables: verifies, is compared by its rules, and what it cannot tell is said', async () => {
    await inNamespace(SAME_IPTABLES, async (change) => {
      const same = await compare(IPTABLES);
      assert.equal(same.code, 0, same.stderr);
      assert.match(same.stdout, /baseline fw_prod_20260314 \(sha256 [0-9a-f]{8}… verified\)/);
      assert.match(same.stdout, /no drift/);
      assert.match(same.stderr, /warning: coverage partial: baseline: it was written by the Python reference/);
      assert.match(
        same.stderr,
        /warning: coverage partial: ipv6 could not be read in the baseline: this baseline does not hold it/,
      );
      assert.match(same.stderr, /warning: coverage partial: ipsets could not be read in the baseline/);
      assert.equal((await compare(IPTABLES, '--strict')).code, 4);
      assert.equal((await compare(IPTABLES, '--strict', '--fail-on', 'noise')).code, 4);
      change('iptables -R INPUT 3 -p tcp --dport 22 -j SSH_IN; ip6tables -P INPUT DROP');
      const drifted = await compare(IPTABLES, '--strict', '--fail-on', 'high');
      assert.equal(drifted.code, 3, 'drift is told before incomplete coverage');
      assert.match(drifted.stdout, /1 change: 1 high · coverage partial \(4 reasons\)/);
    });
  });

  test('of nftables: rules and policies are compared, sets are not and that is said', async () => {
    const firewall = `
      nft -f - <<'NFT'
        table inet edge {
          set blocklist { type ipv4_addr; elements = { 192.0.2.1 } }
          chain input {
            type filter hook input priority 0; policy drop;
            ct state established,related accept
            ip saddr @blocklist drop
            tcp dport 22 accept comment "ssh"
          }
        }
NFT`;
    await inNamespace(firewall, async (change) => {
      const same = await compare(NFT, '-o', 'json');
      assert.equal(same.code, 0, same.stderr);
      const { drift_detected, coverage } = JSON.parse(same.stdout);
      assert.deepEqual([drift_detected, coverage.status], [false, 'partial'], same.stdout);
      assert.match(same.stderr, /nft: sets, maps, flowtables and stateful objects are kept in part/);
      change("nft add element inet edge blocklist '{ 192.0.2.9 }'");
      assert.equal(JSON.parse((await compare(NFT, '-o', 'json')).stdout).drift_detected, false);
      change('nft chain inet edge input "{ policy accept; }"');
      const drifted = await compare(NFT, '-o', 'json');
      const { nft } = JSON.parse(drifted.stdout).drift_by_family;
      assert.equal(nft.summary.policy_changes, 1);
      assert.equal(nft.summary.rules_added + nft.summary.rules_removed, 0);
    });
  });

  test('list, show and verify know it; a changed one is exit 2', async (context) => {
    const command = (...args: string[]) => runProcess(process.execPath, [inspectorPath, ...args]);
    assert.match(
      (await command('list', '--audit-dir', directory)).stdout,
      /fw_edge_20260314 +baseline +2026-03-14T10:00:00Z {2}prod-vm-01 {2}nftables/,
    );
    assert.match(
      (await command('show', IPTABLES, '--audit-dir', directory)).stdout,
      /ipv4: 1 table, 4 chains, 4 rules; default: filter\/INPUT DROP/,
    );
    const copy = scratch(context);
    cpSync(directory, copy, { recursive: true });
    const path = join(copy, `${IPTABLES}_snapshot.json`);
    writeFileSync(path, readFileSync(path, 'utf8').replace('10.0.0.0/8', '0.0.0.0/0'));
    const { code, stdout } = await command('verify', '--audit-dir', copy);
    assert.equal(code, 2);
    assert.match(stdout, /^FAILED {2}fw_prod_20260314 {2,}BASELINE_TAMPERED: /m);
  });
});

const CURRENT: HostFirewall = {
  host: {
    hostname: null,
    kernel: null,
    machine: null,
    os: null,
    os_id: null,
    boot_id: null,
    tools: { iptables: null, ip6tables: null, nft: null, ipset: null },
    iptables_alternative: null,
  },
  framework: { framework: 'unknown', confidence: 'low', evidence: [], warnings: [] },
  iptables: [],
  nft: null,
  ipsets: null,
  coverage: { state: 'complete', reasons: [] },
  unread: [],
  unseen: [],
  readByNftSave: [],
  diagnostics: [],
};

test('a reference snapshot of any content is read, or refused with its place', () => {
  const documents = [IPTABLES, NFT].map((id) =>
    JSON.parse(readFileSync(fixturePath('reference', `${id}_snapshot.json`), 'utf8')),
  );
  const places = documents.flatMap((document) =>
    pathsOf(document['rulesets'], ['rulesets']).map((path) => ({ document, path })),
  );
  fc.assert(
    fc.property(
      fc.constantFrom(...places),
      fc.oneof(fc.jsonValue(), fc.constant('-A X\n-A Y'), fc.constant('COMMIT')),
      ({ document, path }, value) => {
        const changed = structuredClone(document);
        let at = changed;
        for (const key of path.slice(0, -1)) at = at[key];
        at[path.at(-1) ?? ''] = value;
        try {
          readReferenceSnapshot('x_snapshot.json', changed as JsonObject, CURRENT);
        } catch (error) {
          assert.ok(error instanceof OperationError && error.code === 'BASELINE_FORMAT', String(error));
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test('the fixtures are what their companions say', () => {
  for (const id of [IPTABLES, NFT]) {
    const path = fixturePath('reference', `${id}_snapshot.json`);
    assert.equal(sha256Hex(readFileSync(path)), readFileSync(`${path}.sha256`, 'utf8').trim());
  }
});

function pathsOf(value: unknown, path: readonly string[]): string[][] {
  if (typeof value !== 'object' || value === null) return [[...path]];
  return [[...path], ...Object.entries(value).flatMap(([key, member]) => pathsOf(member, [...path, key]))];
}
