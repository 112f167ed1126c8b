import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { documentFamilyDrift } from '../../../src/core/drift/family-drift.ts';
import { assessIptablesDrift } from '../../../src/core/drift/iptables-drift.ts';
import { assessNftablesDrift } from '../../../src/core/drift/nftables-drift.ts';
import { type IptablesRuleset, parseIptablesSave } from '../../../src/core/iptables/index.ts';
import { type NftRuleset, parseNftRuleset } from '../../../src/core/nftables/index.ts';
import { type ReportLine, type RuleChange, type RuleLines, viewChain } from '../../../src/core/report/chain-view.ts';
import { buildDriftReport, type RuleSource } from '../../../src/core/report/drift-report.ts';

function linesOf(rules: readonly string[]): RuleLines {
  return { count: rules.length, line: (index) => rules[index] ?? '' };
}

/** One chain of one table, as a source. */
function sourceOf(rules: readonly string[]): RuleSource {
  return { chains: () => ['INPUT'], rules: () => linesOf(rules) };
}

function iptables(rules: readonly string[]): IptablesRuleset {
  return parseIptablesSave(`*filter\n:INPUT DROP [0:0]\n${rules.map((rule) => `${rule}\n`).join('')}COMMIT\n`, {
    family: 'ipv4',
  }).ruleset;
}

const rule = fc
  .tuple(
    fc.constantFrom('22', '80', '443', '8080'),
    fc.constantFrom('', '-s 192.0.2.1/32 ', '-i eth0 '),
    fc.constantFrom('ACCEPT', 'DROP'),
  )
  .map(([port, match, target]) => `-A INPUT ${match}-p tcp -m tcp --dport ${port} -j ${target}`);
const chain = fc.array(rule, { maxLength: 14 });

function drawn(lines: readonly ReportLine[], kinds: readonly string[]): string[] {
  return lines.filter(({ kind }) => kinds.includes(kind)).map(({ text }) => text);
}

test('drawn with all its context a chain shows every rule of now in order, and every rule that went', () => {
  fc.assert(
    fc.property(chain, chain, (before, after) => {
      const drift = documentFamilyDrift('ipv4', assessIptablesDrift(iptables(before), iptables(after)));
      const family = { family: 'ipv4', drift, baseline: sourceOf(before), current: sourceOf(after) };
      const { sections } = buildDriftReport([family], { context: 100, showAll: true });
      if (sections.length === 0) {
        assert.deepEqual(before, after);
        return;
      }
      const lines = sections[0]?.lines ?? [];
      assert.deepEqual(drawn(lines, ['unchanged', 'added', 'moved']), after);
      assert.deepEqual(drawn(lines, ['unchanged', 'removed', 'moved']).sort(), [...before].sort());
      assert.deepEqual(drawn(lines, ['gap']), []);
    }),
  );
});

test('the same of a chain of nft, whose listing has handles', () => {
  const listing = (ports: readonly { port: number; handle: number }[]): NftRuleset => {
    const place = { family: 'inet', table: 'f' };
    const rules = ports.map(({ port, handle }) => ({
      rule: {
        ...place,
        chain: 'INPUT',
        handle,
        expr: [
          { match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right: port } },
          { accept: null },
        ],
      },
    }));
    const base = {
      chain: { ...place, name: 'INPUT', handle: 1, type: 'filter', hook: 'input', prio: 0, policy: 'drop' },
    };
    return parseNftRuleset(
      JSON.stringify({ nftables: [{ table: { family: 'inet', name: 'f', handle: 1 } }, base, ...rules] }),
    ).ruleset;
  };
  const ports = fc.uniqueArray(
    fc.record({ port: fc.integer({ min: 1, max: 6 }), handle: fc.integer({ min: 2, max: 12 }) }),
    {
      maxLength: 8,
      selector: ({ handle }) => handle,
    },
  );
  fc.assert(
    fc.property(ports, ports, (before, after) => {
      const text = (rules: typeof before): string[] => rules.map(({ port }) => `tcp dport ${port} accept`);
      const drift = documentFamilyDrift('nft', assessNftablesDrift(listing(before), listing(after)));
      const family = { family: 'nft', drift, baseline: sourceOf(text(before)), current: sourceOf(text(after)) };
      const [section] = buildDriftReport([family], { context: 100, showAll: true }).sections;
      if (section === undefined) return;
      assert.deepEqual(drawn(section.lines, ['unchanged', 'added', 'moved', 'changed']), text(after));
      assert.deepEqual(drawn(section.lines, ['unchanged', 'removed', 'moved', 'changed']).sort(), text(before).sort());
    }),
  );
});

const RULES = Array.from({ length: 10 }, (_, index) => `rule ${index}`);

function changed(kind: RuleChange['kind'], fields: Record<string, unknown>, isFolded = false): RuleChange {
  const common = { finding_id: '', severity: 'low', reason: '', table: 'filter', chain: 'INPUT', owner: null } as const;
  return { kind, change: { ...common, ...fields }, isFolded };
}

test('what is left out is counted, at both ends and in between, folded churn apart', () => {
  const current = [...RULES.slice(0, 5), 'churn', ...RULES.slice(5)];
  const changes = [
    changed('rules_removed', { rule: 'gone', position: 3 }),
    changed('rules_added', { rule: 'churn', position: 6 }, true),
    changed('rules_removed', { rule: 'gone too', position: 12 }),
  ];
  const baseline = [...RULES.slice(0, 2), 'gone', ...RULES.slice(2), 'gone too'];
  const lines = viewChain(changes, linesOf(baseline), linesOf(current), 1);
  assert.deepEqual(
    lines.map(({ kind, position, text }) => [kind, position, text].join(' ').trim()),
    [
      'gap  1 unchanged',
      'unchanged 2 rule 1',
      'removed 3 gone',
      'unchanged 3 rule 2',
      'gap  6 unchanged, 1 folded',
      'unchanged 11 rule 9',
      'removed 12 gone too',
    ],
  );
});

test('a modified rule without its old place is found by its text, and the next equal one when there are two', () => {
  const baseline = ['same', 'old', 'same', 'old'];
  const changes = [changed('rules_modified', { before: 'old', after: 'new', position: 4, fields: ['target'] })];
  changes.push(
    changed('rules_removed', { rule: 'old', position: 2 }),
    changed('rules_added', { rule: 'x', position: 2 }),
  );
  const lines = viewChain(changes, linesOf(baseline), linesOf(['same', 'x', 'same', 'new']), 9);
  assert.deepEqual(
    lines.map(({ kind, position, text }) => `${kind} ${position} ${text}`),
    ['unchanged 1 same', 'removed 2 old', 'added 2 x', 'unchanged 3 same', 'removed 4 old', 'added 4 new'],
  );
});

test('positions that do not fit the rules draw the changes alone', () => {
  const changes = [
    changed('rules_added', { rule: 'new', position: 40 }),
    changed('rules_removed', { rule: 'gone', position: 1 }),
  ];
  for (const [baseline, current] of [
    [linesOf(RULES), linesOf(RULES)],
    [null, null],
  ] as const) {
    const lines = viewChain(changes, baseline, current, 2);
    assert.deepEqual(
      lines.map(({ kind, position, text }) => `${kind} ${position} ${text}`),
      ['removed 1 gone', 'added 40 new'],
    );
  }
});
