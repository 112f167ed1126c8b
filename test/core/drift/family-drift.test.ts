import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AssessedChange, documentFamilyDrift } from '../../../src/core/drift/family-drift.ts';

const change = (more: Partial<AssessedChange>): AssessedChange => ({
  kind: 'rules_added',
  table: 'filter',
  chain: 'INPUT',
  subject: 'rule',
  severity: 'low',
  reason: 'a rule was added',
  owner: null,
  ephemeral: false,
  detail: { rule: '-A INPUT -j ACCEPT' },
  ...more,
});

test('no change is no drift', () => {
  const drift = documentFamilyDrift('ipv4', []);
  assert.equal(drift.drift_detected, false);
  assert.equal(drift.has_critical_changes, false);
  assert.deepEqual(drift.changes.rules_added, []);
});

test('changes are listed worst first and counted by kind and severity', () => {
  const drift = documentFamilyDrift('ipv4', [
    change({ subject: 'a' }),
    change({ subject: 'b', severity: 'critical' }),
    change({ kind: 'policy_changes', subject: 'policy', severity: 'high' }),
  ]);
  assert.deepEqual(
    drift.changes.rules_added.map(({ severity }) => severity),
    ['critical', 'low'],
  );
  assert.equal(drift.summary.rules_added, 2);
  assert.equal(drift.summary.policy_changes, 1);
  assert.equal(drift.severity_counts.critical, 1);
  assert.equal(drift.has_critical_changes, true);
});

test('churn is folded with a count by owner and chain, and stays there in full', () => {
  const churn = change({ chain: 'KUBE-SEP-AAAAAAAAAAAAAAAA', owner: 'kube-proxy', ephemeral: true, severity: 'noise' });
  const drift = documentFamilyDrift('ipv4', [churn, { ...churn, subject: 'other' }]);
  assert.equal(drift.drift_detected, true);
  assert.deepEqual(drift.changes.rules_added, []);
  assert.equal(drift.ephemeral_changes.rules_added?.length, 2);
  assert.deepEqual(drift.ephemeral_summary, { 'kube-proxy': { 'KUBE-SEP-AAAAAAAAAAAAAAAA': 2 } });
});

test('an informational change alone is no drift', () => {
  const drift = documentFamilyDrift('nft', [
    change({ kind: 'rules_recreated', severity: 'noise', informational: true }),
  ]);
  assert.equal(drift.drift_detected, false);
  assert.equal(drift.changes.rules_recreated.length, 1);
});

test('a finding keeps its id when other changes come and go, and equal rules are findings of their own', () => {
  const [alone] = documentFamilyDrift('ipv4', [change({})]).changes.rules_added;
  const among = documentFamilyDrift('ipv4', [change({ subject: 'x', severity: 'critical' }), change({}), change({})])
    .changes.rules_added;
  assert.equal(among[1]?.finding_id, alone?.finding_id);
  assert.equal(new Set(among.map(({ finding_id }) => finding_id)).size, 3);
  assert.notEqual(documentFamilyDrift('ipv6', [change({})]).changes.rules_added[0]?.finding_id, alone?.finding_id);
});

test('a chain called __proto__ is a chain like any other', () => {
  const drift = documentFamilyDrift('ipv4', [change({ chain: '__proto__', ephemeral: true, owner: '__proto__' })]);
  assert.deepEqual(Object.keys(drift.chain_classifications), ['__proto__']);
  assert.deepEqual(Object.keys(drift.ephemeral_summary), ['__proto__']);
});
