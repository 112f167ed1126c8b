import { type NftRuleset, printRuleText } from '../../core/nftables/index.ts';
import type { RuleSource } from '../../core/report/drift-report.ts';
import { ruleSource } from '../framework/rulesets.ts';

/** A ruleset's rules as nft lists them without counters, each when it is asked for. */
export function nftRuleSource(ruleset: NftRuleset): RuleSource {
  return ruleSource(ruleset, (rule) => printRuleText(rule, { stateless: true }));
}
