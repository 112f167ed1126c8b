import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { documentFamilyDrift, type FamilyDrift } from '../../../src/core/drift/family-drift.ts';
import { assessIpsetDrift } from '../../../src/core/drift/ipset-drift.ts';
import { assessIptablesDrift } from '../../../src/core/drift/iptables-drift.ts';
import { parseIpsetSave } from '../../../src/core/ipset/index.ts';
import { type Family, type IptablesRuleset, parseIptablesSave } from '../../../src/core/iptables/index.ts';
import { fixturePath, sharedPath, sharedTest } from '../../support/environment.ts';

interface Wanted {
  readonly expect_drift: boolean;
  readonly expect_critical: boolean;
}

/** Pairs whose files do not show the change: it was made with a tool that iptables-save does not see. */
const NOT_IN_THESE_FILES = new Set(['ipt-legacy-change-hidden', 'ipt-ipset-element-hidden']);
/** A rule that passes only rules with the same verdict: whether packets notice takes their semantics to say. */
const NEEDS_SEMANTICS = new Set(['ipt-move-last-to-top']);

for (const name of readdirSync(fixturePath('iptables', 'pairs'))) {
  if (NOT_IN_THESE_FILES.has(name)) continue;
  const directory = fixturePath('iptables', 'pairs', name);
  const wanted = JSON.parse(readFileSync(join(directory, 'pair.json'), 'utf8')) as Wanted & { what: string };
  test(`${name}: ${wanted.what}`, () => {
    const read = (file: string): IptablesRuleset =>
      parseIptablesSave(readFileSync(join(directory, file), 'utf8'), { family: 'ipv4' }).ruleset;
    const changes = assessIptablesDrift(read('before.iptables-save.txt'), read('after.iptables-save.txt'));
    const drift = documentFamilyDrift('ipv4', changes);
    assert.equal(drift.drift_detected, wanted.expect_drift);
    if (!NEEDS_SEMANTICS.has(name)) assert.equal(drift.has_critical_changes, wanted.expect_critical);
  });
}

const SAVES: readonly (readonly [string, Family])[] = [
  ['iptables-save-c.txt', 'ipv4'],
  ['ip6tables-save-c.txt', 'ipv6'],
  ['iptables-legacy-save-c.txt', 'ipv4'],
  ['ip6tables-legacy-save-c.txt', 'ipv6'],
];

/** Scenarios whose transitions happen in native nftables, which iptables-save does not show. */
const NATIVE = /^(native-nft|fail2ban-nftables-.*|kube-proxy-nftables-.*)$/;

sharedTest('corpus')('what real tools do to a VM is judged as wanted', () => {
  interface Transition extends Wanted {
    readonly scenario: string;
    readonly before: string;
    readonly after: string;
  }
  const text = readFileSync(sharedPath('corpus', 'pairs', 'vm-transitions.json'), 'utf8');
  let judged = 0;
  for (const transition of JSON.parse(text) as Transition[]) {
    const { scenario, before, after } = transition;
    if (NATIVE.test(scenario) || `${scenario} ${after}` === 'mixed-3 d-nft-policy') continue;
    const drifts = compareStates(
      sharedPath('corpus', 'vm', scenario, before),
      sharedPath('corpus', 'vm', scenario, after),
    );
    const name = `${scenario}: ${before} to ${after}`;
    judged += 1;
    assert.equal(
      drifts.some((drift) => drift.drift_detected),
      transition.expect_drift,
      name,
    );
    assert.equal(
      drifts.some((drift) => drift.has_critical_changes),
      transition.expect_critical,
      name,
    );
  }
  assert.ok(judged >= 25);
});

function compareStates(before: string, after: string): FamilyDrift[] {
  const read = (path: string): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  const drifts: FamilyDrift[] = [];
  const current: IptablesRuleset[] = [];
  for (const [file, family] of SAVES) {
    const [left, right] = [before, after].map(
      (directory) => parseIptablesSave(read(join(directory, file)), { family }).ruleset,
    ) as [IptablesRuleset, IptablesRuleset];
    current.push(right);
    drifts.push(documentFamilyDrift(file, assessIptablesDrift(left, right)));
  }
  const sets = [before, after].map((directory) => parseIpsetSave(read(join(directory, 'ipset.txt'))).sets);
  const [left, right] = sets as [(typeof sets)[0], (typeof sets)[0]];
  drifts.push(documentFamilyDrift('ipset', assessIpsetDrift(left, right, current)));
  return drifts;
}
