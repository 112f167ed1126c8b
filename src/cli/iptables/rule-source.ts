import { type IptablesRuleset, printRule } from '../../core/iptables/index.ts';
import type { RuleSource } from '../../core/report/drift-report.ts';

/** A ruleset's rules as iptables-save prints them, each when it is asked for. */
export function iptablesRuleSource(ruleset: IptablesRuleset): RuleSource {
  return {
    chains: (table) => [...(ruleset.tables.get(table)?.chains.keys() ?? [])],
    rules: (table, chain) => {
      const rules = ruleset.tables.get(table)?.chains.get(chain)?.rules;
      if (rules === undefined) return null;
      return {
        count: rules.length,
        line: (index) => {
          const rule = rules[index];
          return rule === undefined ? '' : printRule(rule);
        },
      };
    },
  };
}

export function countRules({ tables }: IptablesRuleset): number {
  let count = 0;
  for (const { chains } of tables.values()) for (const { rules } of chains.values()) count += rules.length;
  return count;
}
