import { type NftRuleset, printRuleText } from '../../core/nftables/index.ts';
import type { RuleSource } from '../../core/report/drift-report.ts';

/** A ruleset's rules as nft lists them, each when it is asked for. */
export function nftRuleSource(ruleset: NftRuleset): RuleSource {
  return {
    chains: (table) => [...(ruleset.tables.get(table)?.chains.keys() ?? [])],
    rules: (table, chain) => {
      const rules = ruleset.tables.get(table)?.chains.get(chain)?.rules;
      if (rules === undefined) return null;
      return {
        count: rules.length,
        line: (index) => {
          const rule = rules[index];
          return rule === undefined ? '' : printRuleText(rule, { stateless: true });
        },
      };
    },
  };
}

export function countRules({ tables }: NftRuleset): number {
  let count = 0;
  for (const { chains } of tables.values()) for (const { rules } of chains.values()) count += rules.length;
  return count;
}
