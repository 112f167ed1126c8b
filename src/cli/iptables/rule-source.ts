import { type IptablesRuleset, printRule } from '../../core/iptables/index.ts';
import type { RuleSource } from '../../core/report/drift-report.ts';
import { ruleSource } from '../framework/rulesets.ts';

/** A ruleset's rules as iptables-save prints them, each when it is asked for. */
export function iptablesRuleSource(ruleset: IptablesRuleset): RuleSource {
  return ruleSource(ruleset, printRule);
}
