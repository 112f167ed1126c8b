/** iptables-save text to a model, back to text, and the exact difference of two of them. No dependencies. */
export { applyDiff } from './apply.ts';
export {
  type ChainPresence,
  type ChainRulesDiff,
  type CounterChange,
  type DiffOptions,
  diffRulesets,
  type IptablesDiff,
  isEmptyDiff,
  type PolicyChange,
  type RuleChange,
} from './diff.ts';
export { iptablesDocument, ruleDocument } from './document.ts';
export {
  type ExtensionSpec,
  type Grammar,
  type OptionSpec,
  optionValue,
  type RuleOption,
  type TypedValue,
} from './extension.ts';
export { findMatch, findTarget, MATCHES, TARGETS } from './extensions.ts';
export { ruleIdentity, rulesetIdentity } from './identity.ts';
export {
  type Counter,
  type Family,
  type IptablesChain,
  IptablesRule,
  type IptablesRuleset,
  type IptablesTable,
  isBuiltIn,
  type UnparsedLine,
} from './model.ts';
export { type ParsedIptables, parseIptablesSave } from './parse.ts';
export { type PrintOptions, printIptablesSave, printRule } from './print.ts';
export { type ExtensionUse, isVerdict, type RuleFields } from './read-rule.ts';
