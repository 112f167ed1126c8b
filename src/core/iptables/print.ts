import type { RuleOption } from './extension.ts';
import { findOption } from './extensions.ts';
import type { Counter, IptablesChain, IptablesRule, IptablesRuleset, IptablesTable } from './model.ts';
import type { ExtensionUse, RuleFields } from './read-rule.ts';
import { quoteArgument } from './tokens.ts';

/** The rule as iptables-save prints it, from `-A` on: `-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT`. */
export function printRule(rule: IptablesRule): string {
  const body = printFields(rule.fields);
  return body === '' ? `-A ${rule.chain}` : `-A ${rule.chain} ${body}`;
}

/** The rule without `-A` and chain. */
export function printFields(fields: RuleFields): string {
  const parts: string[] = [];
  if (fields.source !== null) parts.push(`${fields.sourceNegated ? '! ' : ''}-s ${quoteArgument(fields.source)}`);
  if (fields.destination !== null) {
    parts.push(`${fields.destinationNegated ? '! ' : ''}-d ${quoteArgument(fields.destination)}`);
  }
  if (fields.inInterface !== null) {
    parts.push(`${fields.inInterfaceNegated ? '! ' : ''}-i ${quoteArgument(fields.inInterface)}`);
  }
  if (fields.outInterface !== null) {
    parts.push(`${fields.outInterfaceNegated ? '! ' : ''}-o ${quoteArgument(fields.outInterface)}`);
  }
  if (fields.protocol !== null) parts.push(`${fields.protocolNegated ? '! ' : ''}-p ${quoteArgument(fields.protocol)}`);
  if (fields.fragment) parts.push(fields.fragmentNegated ? '! -f' : '-f');
  for (const token of fields.stray) parts.push(quoteArgument(token));
  for (const match of fields.matches) parts.push(`-m ${quoteArgument(match.name)}${printOptions(match)}`);
  if (fields.target !== null) {
    parts.push(`-${fields.goto ? 'g' : 'j'} ${quoteArgument(fields.target.name)}${printOptions(fields.target)}`);
  }
  return parts.join(' ');
}

/** A match or target's options, each with a blank before it. */
export function printOptions(use: ExtensionUse): string {
  let text = '';
  for (const option of use.options) text += ` ${printOption(option, use)}`;
  return text;
}

function printOption(option: RuleOption, use: ExtensionUse): string {
  const spec = option.spec ?? (use.spec === null ? undefined : findOption(use.spec, option.name));
  let text = option.negated ? '!' : '';
  if (option.name !== '') text += text === '' ? option.name : ` ${option.name}`;
  for (const [index, value] of option.values.entries()) {
    const quote = spec?.grammars[index]?.quote ?? quoteArgument;
    text += `${text === '' ? '' : ' '}${quote(value)}`;
  }
  return text;
}

export interface PrintOptions {
  /** As `iptables-save -c`: `[packets:bytes]` before every rule. Where the text had none, zeros. */
  readonly counters?: boolean;
}

/** The whole ruleset as iptables-restore reads it. Chain counters are always there, as iptables-save prints them. */
export function printIptablesSave(ruleset: IptablesRuleset, options: PrintOptions = {}): string {
  const lines: string[] = [];
  for (const table of ruleset.tables.values()) printTable(table, options, lines);
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function printTable(table: IptablesTable, options: PrintOptions, lines: string[]): void {
  lines.push(`*${table.name}`);
  for (const chain of table.chains.values()) {
    lines.push(`:${chain.name} ${chain.policy ?? '-'} ${printCounters(chain.packets, chain.bytes)}`);
  }
  for (const chain of table.chains.values()) printRules(chain, options, lines);
  lines.push('COMMIT');
}

function printRules(chain: IptablesChain, options: PrintOptions, lines: string[]): void {
  for (const rule of chain.rules) {
    const text = printRule(rule);
    lines.push(options.counters === true ? `${printCounters(rule.packets, rule.bytes)} ${text}` : text);
  }
}

function printCounters(packets: Counter | null, bytes: Counter | null): string {
  return `[${packets ?? 0}:${bytes ?? 0}]`;
}
