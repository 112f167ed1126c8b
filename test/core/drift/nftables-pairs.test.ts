import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { documentFamilyDrift } from '../../../src/core/drift/family-drift.ts';
import { assessNftablesDrift } from '../../../src/core/drift/nftables-drift.ts';
import {
  isIptablesOwnedTable,
  type NftRuleset,
  parseNftRuleset,
  withoutTables,
} from '../../../src/core/nftables/index.ts';
import { fixturePath, sharedPath, sharedTest } from '../../support/environment.ts';

const read = (...parts: string[]): NftRuleset => parseNftRuleset(readFileSync(join(...parts), 'utf8')).ruleset;

/** What was done on the kernel, as the changes that must be reported: kind, place, and nothing else. */
const DONE: Readonly<Record<string, readonly string[]>> = {
  'nft-anon-set-port-added': ['rules_modified inet/filter input'],
  'nft-chain-device-changed': ['chains_changed netdev/x c'],
  'nft-chain-hook-changed': ['chains_changed inet/x c'],
  'nft-counter-object-added': ['objects_added inet/filter counter/c2'],
  'nft-crit-jump-goto': ['rules_modified inet/f c'],
  'nft-crit-policy-drop': ['policy_changes inet/f c'],
  'nft-crit-remove-ssh': ['rules_removed inet/f c'],
  'nft-crit-table-deleted': ['tables_removed inet/f inet/f', 'chains_removed inet/f c'],
  'nft-ct-helper-added': ['objects_added inet/filter ct helper/sip'],
  'nft-delete-top-of-100': ['rules_removed inet/f c'],
  'nft-limit-changed': ['objects_changed inet/filter limit/lim'],
  'nft-map-add-element': ['sets_changed inet/filter portmap'],
  'nft-natmap-retarget': ['sets_changed inet/filter fwdmap'],
  'nft-only-counters': [],
  'nft-reload-table-order': [],
  'nft-rule-counter-name-changed': ['rules_modified inet/filter input'],
  'nft-set-add-element': ['sets_changed inet/filter bl'],
  'nft-set-added': ['sets_added inet/filter extra'],
  'nft-set-flushed': ['sets_changed inet/filter bl'],
  'nft-set-timeout-changed': ['sets_changed inet/filter tmp'],
  'nft-synproxy-added': ['objects_added inet/filter synproxy/sp'],
  'nft-table-dormant': ['tables_changed inet/filter'],
};

for (const name of readdirSync(fixturePath('nftables', 'pairs')).sort()) {
  const folder = fixturePath('nftables', 'pairs', name);
  const wanted = JSON.parse(readFileSync(join(folder, 'pair.json'), 'utf8')) as {
    what: string;
    expect_drift: boolean;
    expect_critical: boolean;
  };
  test(`${name}: ${wanted.what}`, () => {
    const changes = assessNftablesDrift(read(folder, 'before.nft.json'), read(folder, 'after.nft.json'));
    const drift = documentFamilyDrift('nft', changes);
    assert.equal(drift.drift_detected, wanted.expect_drift);
    assert.equal(drift.has_critical_changes, wanted.expect_critical);
    const places = changes.map(({ kind, table, chain, subject }) =>
      [kind, table, chain ?? (kind === 'tables_changed' ? '' : subject)].join(' ').trim(),
    );
    assert.deepEqual(places, DONE[name]);
  });
}

/** What of the transitions of real tools lies in nft tables of their own: changes, and whether one is critical. */
const TRANSITIONS: Readonly<Record<string, readonly [changes: readonly string[], critical: boolean]>> = {
  'fail2ban-nftables-allports start -> banned': [['tables_added', 'chains_added'], false],
  'fail2ban-nftables-multiport start -> banned': [['tables_added', 'chains_added'], false],
  'fail2ban-nftables-allports banned -> banned60': [['sets_changed'], false],
  'fail2ban-nftables-multiport banned -> banned60': [['sets_changed'], false],
  'kube-proxy-nftables-60 a -> b-svc-removed': [['sets_changed'], false],
  'firewalld-iptables nossh -> panic': [Array(6).fill('policy_changes'), true],
  'firewalld-iptables panic -> target-accept': [Array(6).fill('policy_changes'), true],
  'native-nft a -> b-element': [['sets_changed'], true],
  'native-nft b-element -> c-mapelem': [['sets_changed'], true],
  'native-nft c-mapelem -> d-policy': [['policy_changes'], true],
  'native-nft d-policy -> e-x': [['chains_removed'], true],
  'native-nft e-x -> f-flushed': [[...Array(5).fill('tables_removed'), ...Array(7).fill('chains_removed')], true],
  'mixed-3 c-legacy -> d-nft-policy': [['policy_changes'], true],
};

interface Transition {
  readonly scenario: string;
  readonly before: string;
  readonly after: string;
  readonly what: string;
  readonly expect_critical: boolean;
}

sharedTest('corpus', 'pairs')(
  'Transitions of real tools are reported as what was done, and nothing where iptables-save tells it',
  () => {
    const transitions = JSON.parse(
      readFileSync(sharedPath('corpus', 'pairs', 'vm-transitions.json'), 'utf8'),
    ) as Transition[];
    const seen = new Set<string>();
    for (const { scenario, before, after, what } of transitions) {
      const listing = (state: string): string => sharedPath('corpus', 'vm', scenario, state, 'nft.json');
      if (!existsSync(listing(before)) || !existsSync(listing(after))) continue;
      const name = `${scenario} ${before} -> ${after}`;
      const native = (state: string): NftRuleset => withoutTables(read(listing(state)), isIptablesOwnedTable);
      const changes = assessNftablesDrift(native(before), native(after));
      const [kinds, critical] = TRANSITIONS[name] ?? [[], false];
      if (TRANSITIONS[name] !== undefined) seen.add(name);
      assert.deepEqual(changes.map((change) => change.kind).sort(), [...kinds].sort(), `${name}: ${what}`);
      assert.equal(documentFamilyDrift('nft', changes).has_critical_changes, critical, `${name}: ${what}`);
    }
    assert.deepEqual([...seen].sort(), Object.keys(TRANSITIONS).sort());
  },
);

test('Bans of fail2ban are folded as its churn', () => {
  const state = (name: string): NftRuleset =>
    read(fixturePath('nftables', 'vm', 'fail2ban-nftables-allports', name, 'nft.json'));
  const drift = documentFamilyDrift('nft', assessNftablesDrift(state('banned'), state('banned60')));
  assert.equal(drift.drift_detected, true);
  assert.deepEqual(drift.changes.sets_changed, []);
  const [bans] = drift.ephemeral_changes.sets_changed ?? [];
  assert.deepEqual(
    [bans?.severity, bans?.owner, bans?.['elements_added_count'], bans?.['elements_removed_count']],
    ['noise', 'fail2ban', 60, 1],
  );
});
