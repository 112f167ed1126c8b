import {
  type NftRule,
  type NftRuleset,
  nftDocument,
  printNftJson,
  printNftText,
  ruleDocument,
  typeStatement,
} from '../../core/nftables/index.ts';
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
import { readNft } from './input.ts';

export const nftablesParser: Command = {
  name: 'nftables-parser',
  summary:
    'Reads what nft --json list ruleset printed and writes it as a JSON document in which every rule has its flat fields beside its raw expressions. Nothing is lost: what is not understood is kept as it was listed, with a diagnostic.',
  operands: '[FILE]',
  operandsMin: 0,
  operandsMax: 1,
  options: [
    INDENT_OPTION,
    { name: 'print', description: 'print nft JSON instead, in the order that nft --json --file loads' },
    { name: 'text', description: 'print it as nft list ruleset does instead, a line a rule' },
    { name: 'stats', description: 'print counts instead: tables, chains, rules, typed statements, diagnostics' },
    PARSER_STRICT_OPTION,
  ],
  notes: [
    'FILE is the output of nft --json list ruleset, a document of this command, or a stored snapshot; - or nothing reads standard input. Diagnostics go to standard error, a line each: file:line:column: severity CODE message [text]; most are about an item and have no line.',
  ],
  examples: [
    'nft --json list ruleset | nftables-parser',
    'nftables-parser --text before.json',
    'nftables-parser --print before.json',
  ],
  async run(invocation, output, decide) {
    checkExclusive(invocation, ['print', 'text', 'stats']);
    const { ruleset, diagnostics, gaps, notes } = readNft(await readParserInput(invocation, output));
    const prints = { print: () => printNftJson(ruleset), text: () => printNftText(ruleset) };
    const parts = {
      diagnostics,
      gaps,
      notes,
      document: () => lazyDocument(ruleset, nftDocument, ruleDocument),
      prints,
    };
    await printParsed({ ...parts, stats: () => statistics(ruleset) }, invocation, output, decide);
  },
};

function statistics(ruleset: NftRuleset): [string, string][] {
  const tables = [...ruleset.tables.values()];
  const chains = tables.flatMap((table) => [...table.chains.values()]);
  const sets = tables.flatMap((table) => [...table.sets.values()]);
  const rules = chains.flatMap((chain) => [...chain.rules]);
  const statements = rules.flatMap((rule: NftRule) => rule.expr.map((json) => typeStatement(json).kind));
  const xt = statements.filter((kind) => kind === 'xt').length;
  const opaque = statements.filter((kind) => kind === 'opaque').length;
  const known = statements.length - xt;
  const sum = (counts: readonly number[]): string => String(counts.reduce((total, count) => total + count, 0));
  return [
    ['nft version', ruleset.version ?? 'not stated'],
    ['tables', String(tables.length)],
    ['chains', `${chains.length} (${chains.filter(({ isBaseChain }) => isBaseChain).length} base chains)`],
    ['rules', String(rules.length)],
    ['statements typed', share(known - opaque, known)],
    ['xt statements', String(xt)],
    ['sets', String(sets.filter(({ kind }) => kind === 'set').length)],
    ['maps', String(sets.filter(({ kind }) => kind === 'map').length)],
    ['elements', sum(sets.map(({ elements }) => elements.length))],
    ['flowtables', sum(tables.map(({ flowtables }) => flowtables.size))],
    ['objects', sum(tables.map(({ objects }) => objects.size))],
    ['unparsed items', String(ruleset.unparsed.length)],
  ];
}
