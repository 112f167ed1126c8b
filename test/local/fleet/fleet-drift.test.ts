import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Fleet, startFleet } from '../../../local/fleet/fleet.ts';
import { fleetChanges } from '../../../local/fleet/fleet-changes.ts';
import { compareFirewalls } from '../../../src/core/drift/compare-firewalls.ts';
import { CHANGE_KINDS } from '../../../src/core/drift/family-drift.ts';
import { type HostFirewall, readHostFirewall } from '../../../src/core/host-firewall.ts';
import { probePayload } from './probe-payload.ts';

describe('what the drift engine says of the fleet', () => {
  let fleet: Fleet;
  before(async () => {
    fleet = await startFleet();
  });
  after(() => fleet.stop());

  async function read(vmName: string): Promise<HostFirewall> {
    return readHostFirewall(await probePayload(fleet, vmName));
  }

  test('every firewall is read complete, in the framework it was made in', async () => {
    const frameworks: Record<string, string> = {};
    for (const { name, firewall } of fleet.vms) {
      if (firewall === null) continue;
      const { framework, coverage, diagnostics } = await read(name);
      assert.deepEqual(coverage, { state: 'complete', reasons: [] }, name);
      assert.deepEqual(
        diagnostics.filter(({ severity }) => severity !== 'info'),
        [],
        name,
      );
      frameworks[name] = framework.framework;
    }
    assert.deepEqual(frameworks, {
      'web-legacy': 'iptables-legacy',
      'web-docker': 'iptables-nft',
      'edge-nft': 'nftables',
      'app-ufw': 'iptables-nft',
      'bastion-fail2ban': 'iptables-legacy',
      'mail-fail2ban': 'nftables',
      'gateway-mixed': 'mixed',
      'node-kube': 'iptables-legacy',
      'db-cis': 'iptables-nft',
      'batch-empty': 'iptables-nft',
      'spare-stopped': 'iptables-nft',
      'lab-silent': 'nftables',
    });
  });

  for (const { name, vmName, kind, critical, expected } of fleetChanges) {
    test(`${name} is ${kind}: the changes it documents, no more and no less`, async () => {
      const baseline = await read(vmName);
      await fleet.change(name);
      const { families, uncompared } = compareFirewalls(baseline, await read(vmName));
      assert.deepEqual(uncompared, []);
      const listed = Object.entries(families).flatMap(([family, { changes }]) =>
        CHANGE_KINDS.flatMap((each) =>
          changes[each].map(({ table, chain, severity }) => ({ family, kind: each, table, chain, severity })),
        ),
      );
      const visible = listed.filter(({ severity }) => severity !== 'noise');
      assert.deepEqual(
        visible.map(({ severity: _, ...change }) => change),
        expected,
      );
      assert.equal(
        visible.some(({ severity }) => severity === 'critical'),
        critical,
      );
    });
  }
});
