import { documentFamilyDrift } from '../../core/drift/family-drift.ts';
import { assessIpsetDrift } from '../../core/drift/ipset-drift.ts';
import { assessIptablesDrift } from '../../core/drift/iptables-drift.ts';
import type { IpsetCollection } from '../../core/ipset/index.ts';
import type { JsonObject } from '../../core/json.ts';
import type { ReportedFamily } from '../../core/report/drift-report.ts';
import type { Command } from '../framework/command.ts';
import type { PlacedDiagnostic } from '../framework/diagnostics-text.ts';
import { checkOneStdin, DIFF_OPTIONS, reportComparison } from '../framework/diff-command.ts';
import { usageError } from '../framework/errors.ts';
import { LazyList } from '../framework/json-text.ts';
import type { Invocation } from '../framework/options.ts';
import { InputReader } from '../framework/read-input.ts';
import { countRules } from '../framework/rulesets.ts';
import { counterChanges, counterDocument, counterSections } from './counters.ts';
import { ALLOW_EMPTY_OPTION, FAMILY_OPTION, familyOf } from './family-option.ts';
import { type IptablesInput, readIptables } from './input.ts';
import { readIpsets, usesIpsets } from './ipset-input.ts';
import { comparableWith } from './list-rules.ts';
import { iptablesRuleSource } from './rule-source.ts';

export const iptablesDiff: Command = {
  name: 'iptables-diff',
  summary:
    'Says what changed between two iptables rulesets, how much it matters and why: rules added, removed, moved and modified by what they mean, not by how they are written.',
  operands: 'BASELINE CURRENT',
  operandsMin: 2,
  operandsMax: 2,
  options: [
    FAMILY_OPTION,
    ...DIFF_OPTIONS,
    { name: 'counters', description: 'also show packet and byte counters that changed' },
    {
      name: 'baseline-ipset',
      value: 'FILE',
      description: 'ipset save of the baseline, compared and tied to the rules',
    },
    { name: 'current-ipset', value: 'FILE', description: 'ipset save of the current state' },
    ALLOW_EMPTY_OPTION,
  ],
  notes: [
    'Each input is the output of iptables-save or ip6tables-save, a document that iptables-parser printed, or a stored snapshot; one of all inputs may be - for standard input. A snapshot with a .sha256 companion beside it is verified first, and its ipsets are compared too.',
  ],
  examples: [
    'iptables-diff before.rules after.rules',
    'iptables-save | iptables-diff --fail-on high baseline.rules -',
    'iptables-diff -o markdown --baseline-ipset a.ipset --current-ipset b.ipset a.rules b.rules',
  ],
  async run(invocation, output, decide) {
    const reader = new InputReader();
    const [baselineName = '', currentName = ''] = invocation.operands;
    const options = { family: familyOf(invocation), allowEmpty: invocation.has('allow-empty') };
    const ipsetNames = ipsetOptions(invocation);
    checkOneStdin([baselineName, currentName, ...(ipsetNames ?? [])]);
    const read = [
      readIptables(await reader.read(baselineName), options),
      readIptables(await reader.read(currentName), options),
    ] as const;
    checkFamilies(...read);
    const gaps = [...read[0].gaps, ...read[1].gaps];
    const baseline = { ...read[0], ruleset: comparableWith(read[1], read[0], gaps) };
    const current = { ...read[1], ruleset: comparableWith(read[0], read[1], gaps) };
    const { family } = current.ruleset;
    const diagnostics = [...baseline.diagnostics, ...current.diagnostics];
    const families: ReportedFamily[] = [
      {
        family,
        drift: documentFamilyDrift(family, assessIptablesDrift(baseline.ruleset, current.ruleset)),
        baseline: iptablesRuleSource(baseline.ruleset),
        current: iptablesRuleSource(current.ruleset),
      },
    ];
    const sets =
      ipsetNames === null
        ? ownIpsets(baseline, current)
        : await readBoth(ipsetNames, reader, options.allowEmpty, diagnostics);
    if (sets !== null) {
      const drift = documentFamilyDrift('ipset', assessIpsetDrift(sets[0], sets[1], [current.ruleset]));
      families.push({ family: 'ipset', drift, baseline: null, current: null });
    } else if (usesIpsets(baseline.ruleset) || usesIpsets(current.ruleset)) {
      gaps.push('rules look up ipsets, whose members were not compared: give --baseline-ipset and --current-ipset');
    }
    const counters = invocation.has('counters') ? counterChanges(baseline.ruleset, current.ruleset) : [];
    await reportComparison(
      {
        family,
        baseline: { input: baseline.input, ruleCount: countRules(baseline.ruleset) },
        current: { input: current.input, ruleCount: countRules(current.ruleset) },
        families,
        diagnostics,
        gaps,
        notes: [...baseline.notes, ...current.notes],
        extraSections: counterSections(counters, family),
        extraMembers: {
          ...(sets === null ? {} : { ipset_drift: families[1]?.drift as unknown as JsonObject }),
          ...(invocation.has('counters') ? { counter_changes: new LazyList(() => counters.map(counterDocument)) } : {}),
        },
      },
      invocation,
      output,
      decide,
    );
  },
};

type BothSets = readonly [IpsetCollection, IpsetCollection];

function ipsetOptions(invocation: Invocation): readonly [string, string] | null {
  const baseline = invocation.text('baseline-ipset');
  const current = invocation.text('current-ipset');
  if (baseline === undefined && current === undefined) return null;
  if (baseline === undefined || current === undefined) {
    throw usageError('--baseline-ipset and --current-ipset belong together', 'give both, or none');
  }
  return [baseline, current];
}

function checkFamilies(baseline: IptablesInput, current: IptablesInput): void {
  if (baseline.ruleset.family === current.ruleset.family) return;
  throw usageError(
    `${baseline.input.name} is ${baseline.ruleset.family}, and ${current.input.name} is ${current.ruleset.family}`,
    'compare rulesets of one family, or say which with --family',
  );
}

/** Those of two snapshots; where only one side has them there is nothing to compare. */
function ownIpsets(baseline: IptablesInput, current: IptablesInput): BothSets | null {
  return baseline.ipsets === null || current.ipsets === null ? null : [baseline.ipsets, current.ipsets];
}

async function readBoth(
  names: readonly [string, string],
  reader: InputReader,
  allowEmpty: boolean,
  diagnostics: PlacedDiagnostic[],
): Promise<BothSets> {
  const baseline = readIpsets(await reader.read(names[0]), allowEmpty);
  const current = readIpsets(await reader.read(names[1]), allowEmpty);
  diagnostics.push(...baseline.diagnostics, ...current.diagnostics);
  return [baseline.sets, current.sets];
}
