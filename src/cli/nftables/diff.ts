import { documentFamilyDrift } from '../../core/drift/family-drift.ts';
import { assessNftablesDrift } from '../../core/drift/nftables-drift.ts';
import { diffCounters, isIptablesOwnedTable, withoutTables } from '../../core/nftables/index.ts';
import type { Command } from '../framework/command.ts';
import { checkOneStdin, DIFF_OPTIONS, reportComparison } from '../framework/diff-command.ts';
import { LazyList } from '../framework/json-text.ts';
import { InputReader } from '../framework/read-input.ts';
import { countRules } from '../framework/rulesets.ts';
import { counterDocument, counterSections } from './counters.ts';
import { type NftInput, readNft } from './input.ts';
import { nftRuleSource } from './rule-source.ts';

export const nftablesDiff: Command = {
  name: 'nftables-diff',
  summary:
    'Says what changed between two nftables rulesets, how much it matters and why: chains, rules, sets and maps with their elements, flowtables and objects, by what they mean and not by handle or nft version.',
  operands: 'BASELINE CURRENT',
  operandsMin: 2,
  operandsMax: 2,
  options: [...DIFF_OPTIONS, { name: 'counters', description: 'also show packet and byte counters that changed' }],
  notes: [
    'Each input is the output of nft --json list ruleset, a document that nftables-parser printed, or a stored snapshot; one of them may be - for standard input. A snapshot with a .sha256 companion beside it is verified first.',
  ],
  examples: [
    'nftables-diff before.json after.json',
    'nft --json list ruleset | nftables-diff --fail-on high baseline.json -',
    'nftables-diff -o markdown before.json after.json',
  ],
  async run(invocation, output, decide) {
    const reader = new InputReader();
    const [baselineName = '', currentName = ''] = invocation.operands;
    checkOneStdin([baselineName, currentName]);
    const notes: string[] = [];
    const read = [readNft(await reader.read(baselineName)), readNft(await reader.read(currentName))] as const;
    const baseline = nativeOf(read[0], read[1], notes);
    const current = nativeOf(read[1], read[0], notes);
    const counters = invocation.has('counters') ? diffCounters(baseline.ruleset, current.ruleset) : [];
    await reportComparison(
      {
        family: 'nft',
        baseline: { input: baseline.input, ruleCount: countRules(baseline.ruleset) },
        current: { input: current.input, ruleCount: countRules(current.ruleset) },
        families: [
          {
            family: 'nft',
            drift: documentFamilyDrift('nft', assessNftablesDrift(baseline.ruleset, current.ruleset)),
            baseline: nftRuleSource(baseline.ruleset),
            current: nftRuleSource(current.ruleset),
          },
        ],
        diagnostics: [...baseline.diagnostics, ...current.diagnostics],
        gaps: [...baseline.gaps, ...current.gaps],
        notes: [...read[0].notes, ...read[1].notes, ...notes],
        extraSections: counterSections(counters),
        extraMembers: invocation.has('counters')
          ? { counter_changes: new LazyList(() => counters.map(counterDocument)) }
          : {},
      },
      invocation,
      output,
      decide,
    );
  },
};

/** A listing beside a snapshot loses the tables that the snapshot shows under ipv4 and ipv6: they did not come or go. */
function nativeOf(one: NftInput, other: NftInput, notes: string[]): NftInput {
  if (one.isSnapshot || !other.isSnapshot) return one;
  const left: string[] = [];
  const ruleset = withoutTables(one.ruleset, (table) => {
    const isOwned = isIptablesOwnedTable(table) && !other.ruleset.tables.has(table.key);
    if (isOwned) left.push(table.key);
    return isOwned;
  });
  if (left.length > 0) {
    notes.push(
      `${one.input.name}: tables of iptables-nft are not compared (${left.join(', ')}): the snapshot has them under ipv4 and ipv6, for iptables-diff`,
    );
  }
  return { ...one, ruleset };
}
