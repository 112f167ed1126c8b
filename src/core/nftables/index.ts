/** nftables: `nft --json list ruleset` to a model, back to JSON and text, and what changed between two of them. */
export { applyDiff } from './apply-diff.ts';
export { canonicalStatements, canonicalValue } from './canonical.ts';
export { diffRulesets } from './diff.ts';
export { type CounterChange, type CounterValue, diffCounters } from './diff-counters.ts';
export type { AttributeChange, DiffOptions, NftChange, NftDiff } from './diff-model.ts';
export { nftDocument, ruleDocument } from './document.ts';
export { type FlatField, type FlatFields, fieldOf, flatFields, valueText } from './flat-fields.ts';
export { expressionHash, ruleIdentity } from './identity.ts';
export {
  isIptablesName,
  isIptablesOwnedTable,
  isShownByIptablesSave,
  usesXtables,
  withoutTables,
} from './iptables-owned.ts';
export type { NftChain, NftObject, NftRule, NftRuleset, NftSet, NftTable } from './model.ts';
export { parseNftRuleset } from './parse-ruleset.ts';
export { printElement } from './print-expression.ts';
export { printNftJson } from './print-json.ts';
export { printNftText, printRuleText } from './print-text.ts';
export { rulesBySet, setReferences } from './references.ts';
export {
  type NftExpression,
  type NftStatement,
  printExpressionJson,
  printStatementJson,
  typeExpression,
  typeStatement,
} from './typed.ts';
