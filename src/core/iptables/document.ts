import type { Json, JsonObject } from '../json.ts';
import { optionValue, type RuleOption } from './extension.ts';
import type { IptablesChain, IptablesRule, IptablesRuleset } from './model.ts';
import { printOptions } from './print.ts';
import type { ExtensionUse } from './read-rule.ts';

/** The ruleset as the snapshot document holds it: plain JSON, snake_case, positions 1-based as iptables counts. */
export function iptablesDocument(ruleset: IptablesRuleset): JsonObject {
  const tables = [...ruleset.tables].map(([name, table]): [string, Json] => [
    name,
    { chains: Object.fromEntries([...table.chains].map(([chain, value]) => [chain, chainDocument(value)])) },
  ]);
  return {
    family: ruleset.family,
    tables: Object.fromEntries(tables),
    unparsed: ruleset.unparsed.map(({ table, text }) => ({ table, text })),
  };
}

function chainDocument(chain: IptablesChain): JsonObject {
  return {
    type: chain.policy === null ? 'user-defined' : 'builtin',
    default_policy: chain.policy,
    policy_packet_count: chain.packets,
    policy_byte_count: chain.bytes,
    rules: chain.rules.map((rule, index) => ruleDocument(rule, index + 1)),
  };
}

/** @param position  1-based, in its chain */
export function ruleDocument(rule: IptablesRule, position: number): JsonObject {
  // Read afresh and let go: a document of a hundred thousand rules must not pin all of their fields.
  const fields = rule.readFields();
  const ports = readPorts(fields.matches);
  return {
    table: rule.table,
    chain: rule.chain,
    position,
    protocol: fields.protocol,
    protocol_negated: fields.protocolNegated,
    source: fields.source,
    source_negated: fields.sourceNegated,
    destination: fields.destination,
    destination_negated: fields.destinationNegated,
    in_interface: fields.inInterface,
    in_interface_negated: fields.inInterfaceNegated,
    out_interface: fields.outInterface,
    out_interface_negated: fields.outInterfaceNegated,
    fragment: fields.fragment,
    fragment_negated: fields.fragmentNegated,
    src_port: ports.source?.values.join(' ') ?? null,
    src_port_negated: ports.source?.negated ?? false,
    dst_port: ports.destination?.values.join(' ') ?? null,
    dst_port_negated: ports.destination?.negated ?? false,
    target: fields.target?.name ?? null,
    target_params: optionsDocument(fields.target),
    goto: fields.goto,
    match_extensions: fields.matches
      .filter((match) => match.understood)
      .map((match) => ({ name: match.name, options: optionsDocument(match) })),
    opaque_extensions: fields.matches
      .filter((match) => !match.understood)
      .map((match) => ({ name: match.name, text: `-m ${match.name}${printOptions(match)}` })),
    unparsed_arguments: fields.stray,
    raw_rule: rule.text,
    packet_count: rule.packets,
    byte_count: rule.bytes,
  };
}

function optionsDocument(use: ExtensionUse | null): Json {
  if (use === null) return [];
  return use.options.map((option) => ({
    option: option.name,
    negated: option.negated,
    value: optionValue(option) as Json,
  }));
}

function readPorts(matches: readonly ExtensionUse[]): { source: RuleOption | null; destination: RuleOption | null } {
  const find = (names: readonly string[]): RuleOption | null => {
    for (const match of matches) {
      const option = match.options.find(({ name }) => names.includes(name));
      if (option !== undefined) return option;
    }
    return null;
  };
  return { source: find(['--sport', '--sports']), destination: find(['--dport', '--dports']) };
}
