import type { RuleOption } from './extension.ts';
import type { IptablesChain, IptablesRule, IptablesRuleset } from './model.ts';
import { printFields, printOptions } from './print.ts';
import type { ExtensionUse, RuleFields } from './read-rule.ts';

/**
 * What makes two rules of one chain the same rule: the conditions and the target, in one spelling. Not the position,
 * the counters, or the way it was written.
 *
 * Beyond what iptables-save itself makes equal: `-m state` is `-m conntrack --ctstate`, `-j NOTRACK` is
 * `-j CT --notrack`, `! --dport 0:1023` is `--dport 1024:65535`, `-p tcp -m tcp` without more is `-p tcp`, and the order
 * of matches that neither count nor remember does not matter. Comments do: a changed comment is a change of the rule, if
 * a harmless one.
 */
export function ruleIdentity(rule: IptablesRule): string {
  return fieldsIdentity(rule.readFields());
}

function fieldsIdentity(fields: RuleFields): string {
  const matches = fields.matches.some(saysNothing) ? fields.matches.filter((use) => !saysNothing(use)) : fields.matches;
  const target = identityTarget(fields.target);
  const [first] = matches;
  if (target === fields.target && (first === undefined || (matches.length === 1 && identityMatch(first) === first))) {
    return printFields(matches === fields.matches ? fields : { ...fields, matches });
  }
  return printFields({ ...fields, target, matches: orderMatches(matches.map(identityMatch)) });
}

/** The protocol's own match asks for nothing: such a match is there with its `-p` only, and nf_tables drops it. */
function saysNothing({ name, understood, options }: ExtensionUse): boolean {
  return understood && options.length === 0 && (name === 'tcp' || name === 'udp');
}

function identityMatch(use: ExtensionUse): ExtensionUse {
  if (!use.understood) return use;
  if (use.options.some(isOpenRangeNegated)) return { ...use, options: use.options.map(turnOpenRange) };
  if (use.name !== 'state') return use;
  const options = use.options.map((option): RuleOption => ({ ...option, name: '--ctstate' }));
  return { ...use, name: 'conntrack', options };
}

const PORT_MAX = '65535';

/** `! --dport 0:1023`: all but one end, which nf_tables saves as the other end, `--dport 1024:65535`. */
function isOpenRangeNegated({ name, negated, values }: RuleOption): boolean {
  if (!negated || (name !== '--dport' && name !== '--sport')) return false;
  const [low, high] = (values[0] ?? '').split(':');
  return high !== undefined && (low === '0') !== (high === PORT_MAX);
}

function turnOpenRange(option: RuleOption): RuleOption {
  if (!isOpenRangeNegated(option)) return option;
  const [low = '', high = ''] = (option.values[0] ?? '').split(':');
  const [from, to] = low === '0' ? [String(Number(high) + 1), PORT_MAX] : ['0', String(Number(low) - 1)];
  return { ...option, negated: false, values: [from === to ? from : `${from}:${to}`] };
}

function identityTarget(use: ExtensionUse | null): ExtensionUse | null {
  if (use?.name !== 'NOTRACK' || use.spec === null || use.options.length > 0) return use;
  const notrack: RuleOption = { name: '--notrack', negated: false, values: [], spec: null, understood: true };
  return { ...use, name: 'CT', options: [notrack] };
}

/** Sorts each run of matches that can be asked in any order; the others stay where they are. */
function orderMatches(matches: readonly ExtensionUse[]): ExtensionUse[] {
  const ordered: ExtensionUse[] = [];
  let run: ExtensionUse[] = [];
  const flush = (): void => {
    if (run.length > 1) {
      const keyed = run.map((use) => ({ use, key: `${use.name}${printOptions(use)}` }));
      keyed.sort((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0));
      run = keyed.map(({ use }) => use);
    }
    for (const use of run) ordered.push(use);
    run = [];
  };
  for (const use of matches) {
    if (use.spec?.pure === true && use.understood) {
      run.push(use);
    } else {
      flush();
      ordered.push(use);
    }
  }
  flush();
  return ordered;
}

/** A chain's rules and policy as one comparable text. */
function chainIdentity(chain: IptablesChain): string {
  return JSON.stringify([chain.policy, chain.rules.map(ruleIdentity)]);
}

/**
 * The whole ruleset as one comparable text, lines that were not understood included: the order of tables, of chains and
 * of those lines does not matter, that of rules does.
 */
export function rulesetIdentity(ruleset: IptablesRuleset): string {
  const tables = [...ruleset.tables.values()].map((table) => [
    table.name,
    [...table.chains.values()].map((chain) => [chain.name, chainIdentity(chain)]).sort(compareNames),
  ]);
  const unparsed = ruleset.unparsed.map(({ table, text }) => [JSON.stringify([table, text])]);
  return JSON.stringify([ruleset.family, tables.sort(compareNames), unparsed.sort(compareNames)]);
}

function compareNames(a: readonly unknown[], b: readonly unknown[]): number {
  const [left, right] = [String(a[0]), String(b[0])];
  return left < right ? -1 : left > right ? 1 : 0;
}
