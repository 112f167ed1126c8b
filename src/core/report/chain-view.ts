import type { ChangeKind, DocumentedChange } from '../drift/family-drift.ts';

/** The rules of a chain on one side of a comparison, printed when asked for: a report shows few of many. */
export interface RuleLines {
  readonly count: number;
  /** @param index  0-based */
  line(index: number): string;
}

export type LineKind = 'unchanged' | 'added' | 'removed' | 'changed' | 'moved' | 'gap';

/** One line of a report. Its texts are as in the firewall, so whoever shows them escapes them. */
export interface ReportLine {
  readonly kind: LineKind;
  /** 1-based; `31→23` for a moved rule; empty where there is none. */
  readonly position: string;
  readonly text: string;
  /** Said behind the text; empty when there is nothing to say. */
  readonly note: string;
}

/** A change of one rule. `isFolded`: counted in the gap lines, and not drawn. */
export interface RuleChange {
  readonly kind: ChangeKind;
  readonly change: DocumentedChange;
  readonly isFolded: boolean;
}

/**
 * A chain as it is now, the removed rules where they were: each change, `context` unchanged rules on either side of it,
 * and a line with the count wherever rules are left out. Without the rules of both sides, or where the positions do not
 * fit them, only the changes, in the order of their positions.
 */
export function viewChain(
  changes: readonly RuleChange[],
  baseline: RuleLines | null,
  current: RuleLines | null,
  context: number,
): ReportLine[] {
  const entries = baseline === null || current === null ? null : mergeSides(changes, baseline, current);
  if (entries === null || current === null) {
    const shown = changes.filter(({ isFolded }) => !isFolded);
    return shown.sort((a, b) => positionOf(a.change) - positionOf(b.change)).flatMap(changeLines);
  }
  const isShown = (entry: Entry): entry is RuleChange => typeof entry === 'object' && !entry.isFolded;
  const near = nearChanges(entries, isShown, context);
  const lines: ReportLine[] = [];
  let unchanged = 0;
  let folded = 0;
  const closeGap = (): void => {
    if (unchanged + folded === 0) return;
    lines.push(gapLine([counted(unchanged, 'unchanged'), counted(folded, 'folded')]));
    unchanged = 0;
    folded = 0;
  };
  for (const [index, entry] of entries.entries()) {
    if (isShown(entry)) {
      closeGap();
      lines.push(...changeLines(entry));
    } else if (typeof entry === 'object') {
      folded += 1;
    } else if (near[index] === 1) {
      closeGap();
      lines.push({ kind: 'unchanged', position: String(entry + 1), text: current.line(entry), note: '' });
    } else {
      unchanged += 1;
    }
  }
  closeGap();
  return lines;
}

/** The line that stands for what is left out: `9 unchanged, 3 folded`. Empty parts are skipped. */
export function gapLine(parts: readonly string[]): ReportLine {
  return { kind: 'gap', position: '', text: parts.filter((part) => part !== '').join(', '), note: '' };
}

function counted(count: number, what: string): string {
  return count === 0 ? '' : `${count} ${what}`;
}

/** The lines that draw one change of a rule. */
function changeLines({ kind, change }: RuleChange): ReportLine[] {
  const text = textOf(change, 'rule');
  const position = positionText(change['position']);
  switch (kind) {
    case 'rules_added':
      return [{ kind: 'added', position, text, note: '' }];
    case 'rules_removed':
      return [{ kind: 'removed', position, text, note: '' }];
    case 'rules_modified': {
      const fields = Array.isArray(change['fields']) ? change['fields'].join(', ') : '';
      return [
        {
          kind: 'removed',
          position: positionText(change['baseline_position']),
          text: textOf(change, 'before'),
          note: '',
        },
        { kind: 'added', position, text: textOf(change, 'after'), note: fields },
      ];
    }
    case 'rules_repositioned': {
      const from = numberOf(change, 'baseline_position') ?? 0;
      const to = numberOf(change, 'current_position') ?? 0;
      const note = from === to ? 'moved' : `moved ${from > to ? 'up' : 'down'} ${Math.abs(from - to)}`;
      return [{ kind: 'moved', position: `${from}→${to}`, text, note }];
    }
    default:
      return [
        { kind: 'changed', position: positionText(change['current_position']), text, note: 'deleted and added again' },
      ];
  }
}

/** An unchanged rule by its 0-based index in the current chain, or a change. */
type Entry = number | RuleChange;

/** Both sides as one sequence, or null where the changes' positions do not account for every rule. */
function mergeSides(changes: readonly RuleChange[], baseline: RuleLines, current: RuleLines): Entry[] | null {
  const removed = new Map<number, RuleChange>();
  const arrived = new Map<number, RuleChange>();
  /** Rules of the baseline that are drawn where they are now. */
  const elsewhere = new Set<number>();
  for (const one of placeModified(changes, baseline)) {
    const { kind, change } = one;
    const now = numberOf(change, 'current_position') ?? numberOf(change, 'position');
    if (now === null) return null;
    if (kind === 'rules_removed') {
      removed.set(now - 1, one);
      continue;
    }
    arrived.set(now - 1, one);
    if (kind === 'rules_added') continue;
    const before = numberOf(change, 'baseline_position');
    if (before === null) return null;
    elsewhere.add(before - 1);
  }
  const entries: Entry[] = [];
  let before = 0;
  let now = 0;
  while (before < baseline.count || now < current.count) {
    const gone = removed.get(before);
    const came = arrived.get(now);
    if (gone !== undefined) {
      entries.push(gone);
      before += 1;
    } else if (elsewhere.has(before)) {
      before += 1;
    } else if (came !== undefined) {
      entries.push(came);
      now += 1;
    } else if (before < baseline.count && now < current.count) {
      entries.push(now);
      before += 1;
      now += 1;
    } else {
      return null;
    }
  }
  return entries;
}

/** Gives modified rules that do not say where they stood the place where the baseline has their text. */
function placeModified(changes: readonly RuleChange[], baseline: RuleLines): RuleChange[] {
  const taken = new Set<number>();
  const unplaced = new Map<string, RuleChange[]>();
  const placed: RuleChange[] = [];
  for (const one of changes) {
    const { kind, change } = one;
    const before = numberOf(change, kind === 'rules_removed' ? 'position' : 'baseline_position');
    if (kind !== 'rules_modified' || before !== null) {
      if (before !== null) taken.add(before - 1);
      placed.push(one);
      continue;
    }
    const waiting = unplaced.get(textOf(change, 'before'));
    if (waiting === undefined) unplaced.set(textOf(change, 'before'), [one]);
    else waiting.push(one);
  }
  for (let index = 0; index < baseline.count && unplaced.size > 0; index += 1) {
    if (taken.has(index)) continue;
    const text = baseline.line(index);
    const waiting = unplaced.get(text);
    const one = waiting?.shift();
    if (one === undefined) continue;
    if (waiting?.length === 0) unplaced.delete(text);
    placed.push({ ...one, change: { ...one.change, baseline_position: index + 1 } });
  }
  return [...placed, ...[...unplaced.values()].flat()];
}

/** 1 for each entry at most `context` unchanged rules away from a shown change. */
function nearChanges(entries: readonly Entry[], isShown: (entry: Entry) => boolean, context: number): Uint8Array {
  const near = new Uint8Array(entries.length);
  for (const step of [1, -1]) {
    let left = 0;
    for (let index = step === 1 ? 0 : entries.length - 1; index >= 0 && index < entries.length; index += step) {
      const entry = entries[index] as Entry;
      if (isShown(entry)) {
        left = context;
      } else if (left > 0) {
        near[index] = 1;
        left -= 1;
      }
    }
  }
  return near;
}

function positionOf(change: DocumentedChange): number {
  return numberOf(change, 'position') ?? numberOf(change, 'current_position') ?? 0;
}

function positionText(value: unknown): string {
  return typeof value === 'number' ? String(value) : '';
}

export function numberOf(change: DocumentedChange, field: string): number | null {
  const value = change[field];
  return typeof value === 'number' ? value : null;
}

/** A field as text: a string as it is, nothing for what is absent, JSON of anything else. */
export function textOf(change: DocumentedChange, field: string): string {
  const value = change[field];
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
