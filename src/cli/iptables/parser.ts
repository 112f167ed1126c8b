import {
  type IptablesRule,
  type IptablesRuleset,
  iptablesDocument,
  printIptablesSave,
  ruleDocument,
} from '../../core/iptables/index.ts';
import type { Command } from '../framework/command.ts';
import {
  checkExclusive,
  INDENT_OPTION,
  PARSER_STRICT_OPTION,
  printParsed,
  readParserInput,
  share,
} from '../framework/parser-command.ts';
import { lazyDocument } from '../framework/rulesets.ts';
import { ALLOW_EMPTY_OPTION, FAMILY_OPTION, familyOf } from './family-option.ts';
import { readIptables } from './input.ts';

export const iptablesParser: Command = {
  name: 'iptables-parser',
  summary:
    'Reads what iptables-save or ip6tables-save printed and writes it as a JSON document in which every match and target is typed. Nothing is lost: what is not understood is kept as it was written, with a diagnostic.',
  operands: '[FILE]',
  operandsMin: 0,
  operandsMax: 1,
  options: [
    FAMILY_OPTION,
    INDENT_OPTION,
    { name: 'print', description: 'print iptables-save text instead, as the kernel would print it' },
    { name: 'stats', description: 'print counts instead: tables, chains, rules, typed options, diagnostics' },
    PARSER_STRICT_OPTION,
    ALLOW_EMPTY_OPTION,
  ],
  notes: [
    'FILE is the output of iptables-save or ip6tables-save, a document of this command, or a stored snapshot; - or nothing reads standard input. Diagnostics go to standard error, a line each: file:line:column: severity CODE message [text].',
  ],
  examples: [
    'iptables-save | iptables-parser',
    'iptables-parser --stats before.rules',
    'iptables-parser --print snapshot.json',
  ],
  async run(invocation, output, decide) {
    checkExclusive(invocation, ['print', 'stats']);
    const parsed = readIptables(await readParserInput(invocation, output), {
      family: familyOf(invocation),
      allowEmpty: invocation.has('allow-empty'),
    });
    const { ruleset, diagnostics, gaps, notes } = parsed;
    const print = (): string => printIptablesSave(ruleset, { counters: hasCounters(ruleset) });
    const parts = {
      diagnostics,
      gaps,
      notes,
      document: () => lazyDocument(ruleset, iptablesDocument, ruleDocument),
      prints: { print },
    };
    await printParsed({ ...parts, stats: () => statistics(ruleset) }, invocation, output, decide);
  },
};

function hasCounters(ruleset: IptablesRuleset): boolean {
  for (const rule of everyRule(ruleset)) if (rule.packets !== null) return true;
  return false;
}

function* everyRule({ tables }: IptablesRuleset): Generator<IptablesRule> {
  for (const { chains } of tables.values()) for (const { rules } of chains.values()) yield* rules;
}

function statistics(ruleset: IptablesRuleset): [string, string][] {
  const chains = [...ruleset.tables.values()].flatMap((table) => [...table.chains.values()]);
  const builtIn = chains.filter(({ policy }) => policy !== null).length;
  const count = { rules: 0, typedRules: 0, options: 0, typedOptions: 0 };
  for (const rule of everyRule(ruleset)) {
    const { matches, target, stray } = rule.readFields();
    const uses = target === null ? matches : [...matches, target];
    count.rules += 1;
    if (stray.length === 0 && uses.every(({ understood }) => understood)) count.typedRules += 1;
    for (const { options } of uses) {
      count.options += options.length;
      count.typedOptions += options.filter(({ understood }) => understood).length;
    }
  }
  return [
    ['family', ruleset.family],
    ['tables', String(ruleset.tables.size)],
    ['chains', `${chains.length} (${builtIn} built-in, ${chains.length - builtIn} user-defined)`],
    ['rules', String(count.rules)],
    ['rules typed', share(count.typedRules, count.rules)],
    ['options typed', share(count.typedOptions, count.options)],
    ['unparsed lines', String(ruleset.unparsed.length)],
  ];
}
