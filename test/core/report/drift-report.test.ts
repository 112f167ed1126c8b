import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type AssessedChange, documentFamilyDrift } from '../../../src/core/drift/family-drift.ts';
import {
  buildDriftReport,
  type DriftReport,
  type ReportedFamily,
  summaryLine,
} from '../../../src/core/report/drift-report.ts';
import { noPaint, printDriftText } from '../../../src/core/report/drift-text.ts';

const COLLAPSED = { context: 2, showAll: false };

function change(fields: Partial<AssessedChange>): AssessedChange {
  const common = {
    kind: 'rules_added',
    table: 'filter',
    chain: 'INPUT',
    subject: 's',
    owner: null,
    ephemeral: false,
  } as const;
  return {
    ...common,
    severity: 'low',
    reason: 'because',
    detail: { rule: '-A INPUT -j ACCEPT', position: 1 },
    ...fields,
  };
}

function churn(chain: string, owner: string): AssessedChange {
  return change({ chain, owner, ephemeral: true, severity: 'noise' });
}

function reported(family: string, ...changes: AssessedChange[]): ReportedFamily {
  return { family, drift: documentFamilyDrift(family, changes), baseline: null, current: null };
}

function summary(report: DriftReport): string {
  return summaryLine(report, '--show-all');
}

test('the summary counts what is listed, names where churn was folded, and says how to see it', () => {
  const changes = [
    change({ severity: 'critical' }),
    change({}),
    churn('DOCKER', 'docker'),
    churn('DOCKER', 'docker'),
    churn('f2b-sshd', 'fail2ban'),
  ];
  const report = buildDriftReport([reported('ipv4', ...changes)], COLLAPSED);
  assert.equal(summary(report), '2 changes: 1 critical, 1 low · 3 ephemeral folded (DOCKER 2, f2b-sshd 1; --show-all)');
  assert.equal(
    summaryLine(report, '', ['x']),
    '2 changes: 1 critical, 1 low · 3 ephemeral folded (DOCKER 2, f2b-sshd 1) · x',
  );
  const all = buildDriftReport([reported('ipv4', ...changes)], { context: 2, showAll: true });
  assert.equal(summary(all), '5 changes: 1 critical, 1 low, 3 noise · 3 ephemeral shown (DOCKER 2, f2b-sshd 1)');
});

test('churn in many chains is named by its owner', () => {
  const changes = Array.from({ length: 9 }, (_, index) => churn(`KUBE-SEP-${index}`, 'kube-proxy'));
  const report = buildDriftReport([reported('ipv4', ...changes, churn('DOCKER', 'docker'))], COLLAPSED);
  assert.equal(summary(report), '0 changes · 10 ephemeral folded (kube-proxy 9, docker 1; --show-all)');
  assert.deepEqual(report.sections, []);
});

test('what is no drift is said to be none, however much is listed', () => {
  assert.equal(summary(buildDriftReport([reported('ipv4')], COLLAPSED)), 'no drift');
  const recreated = change({
    kind: 'rules_recreated',
    severity: 'noise',
    informational: true,
    detail: { rule: 'accept', baseline_position: 1, current_position: 1 },
  });
  const report = buildDriftReport([reported('nft', recreated)], COLLAPSED);
  assert.equal(summary(report), 'no drift · 1 recreated unchanged');
  assert.deepEqual([report.findings, report.sections], [[], []]);
  const seen = buildDriftReport([reported('nft', recreated)], { context: 0, showAll: true });
  assert.deepEqual(
    seen.sections[0]?.lines.map(({ kind, note }) => [kind, note]),
    [['changed', 'deleted and added again']],
  );
});

test('the family stands before a place only where tables of several families changed', () => {
  const places = (...families: ReportedFamily[]): string[] =>
    buildDriftReport(families, COLLAPSED).findings.map(({ place }) => place);
  const sets = reported(
    'ipset',
    change({ kind: 'sets_added', table: null, chain: null, detail: { set: 'blocked', member_count: 2 } }),
  );
  assert.deepEqual(places(reported('ipv4', change({})), reported('ipv6'), sets), ['filter/INPUT', 'ipset blocked']);
  assert.deepEqual(places(reported('ipv4', change({})), reported('ipv6', change({}))), [
    'ipv4 filter/INPUT',
    'ipv6 filter/INPUT',
  ]);
});

test('the worst comes first, among sentences and among places', () => {
  const changes = [
    change({ chain: 'A', severity: 'low' }),
    change({ chain: 'B', severity: 'critical' }),
    change({ chain: 'C', severity: 'high' }),
  ];
  const report = buildDriftReport([reported('ipv4', ...changes)], COLLAPSED);
  assert.deepEqual(
    report.findings.map(({ severity }) => severity),
    ['critical', 'high', 'low'],
  );
  assert.deepEqual(
    report.sections.map(({ heading }) => heading),
    ['filter/B ipv4', 'filter/C ipv4', 'filter/A ipv4'],
  );
});

test('long lists are cut with their count, and whole with showAll', () => {
  const members = Array.from({ length: 50 }, (_, index) => `192.0.2.${index}`);
  const detail = { set: 'blocked', members_added: members, members_added_count: 1200, used_by: [] };
  const set = change({ kind: 'sets_changed', table: null, chain: null, detail });
  const lines = (showAll: boolean): string[] =>
    buildDriftReport([reported('ipset', set)], { context: 2, showAll }).sections[0]?.lines.map(({ text }) => text) ??
    [];
  assert.equal(lines(false).length, 21);
  assert.equal(lines(false).at(-1), '1180 more added');
  assert.equal(lines(true).length, 51);
  assert.equal(lines(true).at(-1), '1150 more added', 'what the document itself leaves out is still counted');
});

test('a kind of change with fields that are not known here is still a sentence', () => {
  const odd = change({ kind: 'objects_changed', chain: null, detail: {} });
  const text = printDriftText(buildDriftReport([reported('nft', odd)], COLLAPSED), {
    title: '',
    paint: noPaint,
    hint: '',
  });
  assert.equal(text, '  LOW       filter  because\n\n1 change: 1 low\n');
});
