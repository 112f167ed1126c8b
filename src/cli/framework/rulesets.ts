import type { JsonObject } from '../../core/json.ts';
import type { RuleSource } from '../../core/report/drift-report.ts';
import { type LazyJson, LazyList } from './json-text.ts';

/** What the rulesets of both languages have in common. */
export interface RulesetOf<Rule> {
  readonly tables: ReadonlyMap<string, { readonly chains: ReadonlyMap<string, { readonly rules: readonly Rule[] }> }>;
}

export function countRules({ tables }: RulesetOf<unknown>): number {
  let count = 0;
  for (const { chains } of tables.values()) for (const { rules } of chains.values()) count += rules.length;
  return count;
}

/** A ruleset's rules as their tool prints them, each when it is asked for. */
export function ruleSource<Rule>({ tables }: RulesetOf<Rule>, print: (rule: Rule) => string): RuleSource {
  return {
    chains: (table) => [...(tables.get(table)?.chains.keys() ?? [])],
    rules: (table, chain) => {
      const rules = tables.get(table)?.chains.get(chain)?.rules;
      if (rules === undefined) return null;
      return {
        count: rules.length,
        line: (index) => {
          const rule = rules[index];
          return rule === undefined ? '' : print(rule);
        },
      };
    },
  };
}

/**
 * A ruleset's document, its rules made one by one while they are written.
 *
 * @param document      of a ruleset: it is asked for one without rules
 * @param ruleDocument  of a rule, at its place counted from 1
 */
export function lazyDocument<Rule, Ruleset extends RulesetOf<Rule>>(
  ruleset: Ruleset,
  document: (ruleset: Ruleset) => JsonObject,
  ruleDocument: (rule: Rule, position: number) => JsonObject,
): { readonly [key: string]: LazyJson } {
  const tables = new Map(
    [...ruleset.tables].map(([name, table]) => [
      name,
      { ...table, chains: new Map([...table.chains].map(([chain, body]) => [chain, { ...body, rules: [] }])) },
    ]),
  );
  const empty = document({ ...ruleset, tables });
  const rulesOf = (table: string, chain: string): LazyList =>
    new LazyList(function* () {
      const rules = ruleset.tables.get(table)?.chains.get(chain)?.rules ?? [];
      for (const [index, rule] of rules.entries()) yield ruleDocument(rule, index + 1);
    });
  const withRules = Object.entries(empty['tables'] as Record<string, JsonObject>).map(
    ([name, table]): [string, LazyJson] => [
      name,
      {
        ...table,
        chains: Object.fromEntries(
          Object.entries(table['chains'] as Record<string, JsonObject>).map(([chain, body]): [string, LazyJson] => [
            chain,
            { ...body, rules: rulesOf(name, chain) },
          ]),
        ),
      },
    ],
  );
  return { ...empty, tables: Object.fromEntries(withRules) };
}
