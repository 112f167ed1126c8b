import type { IptablesRuleset } from '../../core/iptables/index.ts';
import { CommandError } from '../framework/errors.ts';
import type { IptablesInput } from './input.ts';

const BUILT_IN = ['INPUT', 'FORWARD', 'OUTPUT'];

/**
 * What of an input can be compared with the other one: beside `iptables -S` only the table that it shows. The others did
 * not come or go; that they were not compared is a gap.
 *
 * Errors: CommandError beside a part of a table (`iptables -S CHAIN`): what it does not show would seem to be gone
 */
export function comparableWith(other: IptablesInput, one: IptablesInput, gaps: string[]): IptablesRuleset {
  if (one.isListRules || !other.isListRules) return one.ruleset;
  const shown = other.ruleset.tables;
  const filter = shown.get('filter')?.chains;
  if (!BUILT_IN.every((chain) => (filter?.get(chain)?.policy ?? null) !== null)) {
    throw new CommandError(`${other.input.name} shows a part of table filter alone, as iptables -S CHAIN does`, {
      nextStep: 'use iptables-save, for both inputs',
    });
  }
  const left = [...one.ruleset.tables.keys()].filter((table) => !shown.has(table));
  if (left.length === 0) return one.ruleset;
  gaps.push(
    `${other.input.name} is the output of iptables -S, of one table: ${left.join(', ')} of ${one.input.name} was not compared`,
  );
  return { ...one.ruleset, tables: new Map([...one.ruleset.tables].filter(([table]) => shown.has(table))) };
}
