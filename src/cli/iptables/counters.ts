import { type CounterChange, diffRulesets, type IptablesRuleset, printRule } from '../../core/iptables/index.ts';
import type { JsonObject } from '../../core/json.ts';
import type { ReportLine } from '../../core/report/chain-view.ts';
import type { ReportSection } from '../../core/report/drift-report.ts';

/** Counters that moved on rules and policies that stayed: no drift, and shown on request. */
export function counterChanges(baseline: IptablesRuleset, current: IptablesRuleset): readonly CounterChange[] {
  return diffRulesets(baseline, current, { counters: true }).counters;
}

export function counterSections(changes: readonly CounterChange[], family: string): ReportSection[] {
  const sections = new Map<string, ReportLine[]>();
  for (const change of changes) {
    const heading = `${change.table}/${change.chain} ${family} counters`;
    const lines = sections.get(heading) ?? [];
    sections.set(heading, lines);
    const packets = `packets ${change.packetsBefore ?? 'none'} → ${change.packetsAfter ?? 'none'}`;
    const bytes = `bytes ${change.bytesBefore ?? 'none'} → ${change.bytesAfter ?? 'none'}`;
    lines.push({
      kind: 'changed',
      position: change.index === null ? '' : String(change.index + 1),
      text: change.rule === null ? 'policy' : printRule(change.rule),
      note: `${packets}, ${bytes}`,
    });
  }
  return [...sections].map(([heading, lines]) => ({ heading, lines }));
}

export function counterDocument(change: CounterChange): JsonObject {
  return {
    table: change.table,
    chain: change.chain,
    position: change.index === null ? null : change.index + 1,
    rule: change.rule === null ? null : printRule(change.rule),
    packets_before: change.packetsBefore,
    packets_after: change.packetsAfter,
    bytes_before: change.bytesBefore,
    bytes_after: change.bytesAfter,
  };
}
