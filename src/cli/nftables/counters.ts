import type { JsonObject } from '../../core/json.ts';
import { type CounterChange, printRuleText } from '../../core/nftables/index.ts';
import type { ReportLine } from '../../core/report/chain-view.ts';
import type { ReportSection } from '../../core/report/drift-report.ts';

export function counterSections(changes: readonly CounterChange[]): ReportSection[] {
  const sections = new Map<string, ReportLine[]>();
  for (const change of changes) {
    const { before, after } = change;
    const heading = `${change.table}${change.chain === null ? '' : `/${change.chain}`} nft counters`;
    const lines = sections.get(heading) ?? [];
    sections.set(heading, lines);
    lines.push({
      kind: 'changed',
      position: change.position === null ? '' : String(change.position + 1),
      text: textOf(change) ?? `counter ${change.counter}`,
      note: `packets ${before.packets ?? 'none'} → ${after.packets ?? 'none'}, bytes ${before.bytes ?? 'none'} → ${after.bytes ?? 'none'}`,
    });
  }
  return [...sections].map(([heading, lines]) => ({ heading, lines }));
}

export function counterDocument(change: CounterChange): JsonObject {
  return {
    table: change.table,
    chain: change.chain,
    position: change.position === null ? null : change.position + 1,
    rule: textOf(change),
    counter: change.counter,
    packets_before: change.before.packets,
    packets_after: change.after.packets,
    bytes_before: change.before.bytes,
    bytes_after: change.after.bytes,
  };
}

function textOf({ rule }: CounterChange): string | null {
  return rule === null ? null : printRuleText(rule, { stateless: true });
}
