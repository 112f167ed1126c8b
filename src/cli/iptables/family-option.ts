import type { Family } from '../../core/iptables/index.ts';
import type { Invocation, OptionSpec } from '../framework/options.ts';

export const FAMILY_OPTION: OptionSpec = {
  name: 'family',
  value: 'ipv4|ipv6',
  choices: ['ipv4', 'ipv6'],
  default: 'what the input says, else ipv4',
  description: 'how addresses and defaults are read, and which ruleset of a snapshot',
};

export const ALLOW_EMPTY_OPTION: OptionSpec = {
  name: 'allow-empty',
  description: 'an empty input is a firewall without rules, and not a mistake',
};

export function familyOf(invocation: Invocation): Family | null {
  const family = invocation.text('family');
  return family === 'ipv4' || family === 'ipv6' ? family : null;
}
