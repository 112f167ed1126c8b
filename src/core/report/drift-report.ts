import { counted } from '../counted.ts';
import { CHANGE_KINDS, type ChangeKind, type DocumentedChange, type FamilyDrift } from '../drift/family-drift.ts';
import { compareSeverity, SEVERITIES, type Severity } from '../drift/severity.ts';
import {
  gapLine,
  numberOf,
  type ReportLine,
  type RuleChange,
  type RuleLines,
  textOf,
  viewChain,
} from './chain-view.ts';

/** The rules of one side, for the lines around a change. */
export interface RuleSource {
  rules(table: string, chain: string): RuleLines | null;
  /** Names, in order; none when there is no such table. */
  chains(table: string): readonly string[];
}

/** One family's drift, and where its rules can be looked up; null draws no unchanged rules. */
export interface ReportedFamily {
  /** `ipv4`, `nft`, `ipset` … */
  readonly family: string;
  readonly drift: FamilyDrift;
  readonly baseline: RuleSource | null;
  readonly current: RuleSource | null;
}

export interface ReportOptions {
  /** Unchanged rules on either side of a change. */
  readonly context: number;
  /** Draw folded churn, and lists in full. */
  readonly showAll: boolean;
}

/** A change as one sentence. */
export interface Finding {
  readonly severity: Severity;
  /** `filter/INPUT`, `inet/filter set blocked`, `ipset blocked`; the family before it where tables of several changed. */
  readonly place: string;
  readonly reason: string;
}

/** The changes of one chain, set, object or table, drawn. */
export interface ReportSection {
  readonly heading: string;
  readonly lines: readonly ReportLine[];
}

/** Churn put aside: how much, and where. */
export interface FoldedChurn {
  readonly count: number;
  /** By number of changes, most first: chains and sets, or owners where those are too many to name. */
  readonly places: readonly { readonly place: string; readonly count: number }[];
}

/** A drift laid out for people, before it is text of any kind. Nothing in it is escaped. */
export interface DriftReport {
  readonly driftDetected: boolean;
  /** Worst first. */
  readonly findings: readonly Finding[];
  /** The worst first. */
  readonly sections: readonly ReportSection[];
  readonly counts: Readonly<Record<Severity, number>>;
  readonly folded: FoldedChurn;
  /** Rules deleted and added again as they were, which is no drift. */
  readonly recreated: number;
  readonly showAll: boolean;
}

/** Lines of one list that are drawn without `showAll`; the rest is counted. */
const LISTED_MAX = 20;
const USERS_MAX = 3;

/** Lays the drift of one host's families out: what changed in words, then drawn place by place, churn folded. */
export function buildDriftReport(families: readonly ReportedFamily[], options: ReportOptions): DriftReport {
  const findings: Finding[] = [];
  const sections: (ReportSection & { readonly worst: Severity })[] = [];
  const counts: Record<Severity, number> = { critical: 0, high: 0, medium: 0, low: 0, noise: 0 };
  let recreated = 0;
  const areSeveral = families.filter(hasTables).length > 1;
  for (const one of families) {
    const places = new Map<string, Place>();
    for (const { kind, change, isEphemeral } of everyChange(one.drift)) {
      const isRecreated = kind === 'rules_recreated' && change.severity === 'noise' && !isEphemeral;
      if (isRecreated) recreated += 1;
      const isFolded = (isEphemeral || isRecreated) && !options.showAll;
      if (!isFolded) {
        counts[change.severity] += 1;
        const place = placeOf(one.family, change);
        // With ipv4 beside ipv6, `filter/INPUT` alone could be either.
        const isNamed = areSeveral && change.table !== null;
        findings.push({
          severity: change.severity,
          place: isNamed ? `${one.family} ${place}` : place,
          reason: change.reason,
        });
      }
      const key = sectionKey(change);
      const place = places.get(key) ?? { heading: headingOf(one.family, change), worst: null, changes: [] };
      places.set(key, place);
      place.changes.push({ kind, change, isFolded });
      if (!isFolded && (place.worst === null || compareSeverity(change.severity, place.worst) < 0)) {
        place.worst = change.severity;
      }
    }
    for (const { heading, worst, changes } of places.values()) {
      // A place with nothing but churn is in the count alone.
      if (worst !== null) sections.push({ heading, worst, lines: sectionLines(one, changes, options) });
    }
  }
  findings.sort((a, b) => compareSeverity(a.severity, b.severity));
  sections.sort((a, b) => compareSeverity(a.worst, b.worst));
  return {
    driftDetected: families.some(({ drift }) => drift.drift_detected),
    findings,
    sections,
    counts,
    folded: foldedChurn(families),
    recreated,
    showAll: options.showAll,
  };
}

/**
 * One line that can be searched for: `2 changes: 1 critical, 1 low · 41 ephemeral folded (DOCKER 38, f2b-sshd 3)`, or
 * `no drift`.
 *
 * @param hint     how to see what is folded, such as `--show-all`; empty says nothing
 * @param remarks  said at the end
 */
export function summaryLine(report: DriftReport, hint: string, remarks: readonly string[] = []): string {
  const { findings, counts, folded, recreated } = report;
  const severities = SEVERITIES.filter((severity) => counts[severity] > 0).map(
    (severity) => `${counts[severity]} ${severity}`,
  );
  const total = counted(findings.length, 'change');
  const parts = [
    !report.driftDetected ? 'no drift' : findings.length === 0 ? total : `${total}: ${severities.join(', ')}`,
  ];
  if (!report.driftDetected && findings.length > 0) parts.push(`${findings.length} without effect`);
  if (folded.count > 0) {
    const places = folded.places.map(({ place, count }) => `${place} ${count}`);
    const how = hint === '' || report.showAll ? '' : `; ${hint}`;
    parts.push(`${folded.count} ephemeral ${report.showAll ? 'shown' : 'folded'} (${places.join(', ')}${how})`);
  }
  if (recreated > 0) parts.push(`${recreated} recreated unchanged`);
  return [...parts, ...remarks].join(' · ');
}

const PLACES_MAX = 6;

function hasTables({ drift }: ReportedFamily): boolean {
  for (const { change } of everyChange(drift)) if (change.table !== null) return true;
  return false;
}

interface Place {
  readonly heading: string;
  worst: Severity | null;
  readonly changes: RuleChange[];
}

function* everyChange(
  drift: FamilyDrift,
): Generator<{ kind: ChangeKind; change: DocumentedChange; isEphemeral: boolean }> {
  for (const kind of CHANGE_KINDS) {
    for (const change of drift.changes[kind]) yield { kind, change, isEphemeral: false };
    for (const change of drift.ephemeral_changes[kind] ?? []) yield { kind, change, isEphemeral: true };
  }
}

/** By chain or set; where those are many, by who makes them. */
function foldedChurn(families: readonly ReportedFamily[]): FoldedChurn {
  const byPlace = new Map<string, number>();
  const byOwner = new Map<string, number>();
  let count = 0;
  const add = (counts: Map<string, number>, key: string, changes: number): void => {
    counts.set(key, (counts.get(key) ?? 0) + changes);
  };
  for (const { drift } of families) {
    for (const [owner, places] of Object.entries(drift.ephemeral_summary)) {
      for (const [place, changes] of Object.entries(places)) {
        add(byPlace, place, changes);
        add(byOwner, owner, changes);
        count += changes;
      }
    }
  }
  const named = byPlace.size <= PLACES_MAX ? byPlace : byOwner;
  const places = [...named].map(([place, changes]) => ({ place, count: changes }));
  return { count, places: places.sort((a, b) => b.count - a.count) };
}

/** `set blocked`, `counter hits`: what a change is about where that is no chain. */
function nameOf(change: DocumentedChange): string {
  const set = textOf(change, 'set');
  if (set !== '') return `${textOf(change, 'set_kind') || (change.table === null ? '' : 'set')} ${set}`.trim();
  const object = textOf(change, 'object');
  return object === '' ? '' : `${textOf(change, 'object_type')} ${object}`;
}

function placeOf(family: string, change: DocumentedChange): string {
  const where = [change.table, change.chain].filter((part) => part !== null).join('/');
  return [where === '' ? family : where, nameOf(change)].filter((part) => part !== '').join(' ');
}

function headingOf(family: string, change: DocumentedChange): string {
  return change.table === null ? placeOf(family, change) : `${placeOf(family, change)} ${family}`;
}

function sectionKey(change: DocumentedChange): string {
  return JSON.stringify([change.table, change.chain, nameOf(change)]);
}

function sectionLines(one: ReportedFamily, changes: readonly RuleChange[], options: ReportOptions): ReportLine[] {
  const rules: RuleChange[] = [];
  const lines: ReportLine[] = [];
  for (const entry of changes) {
    if (entry.kind.startsWith('rules_')) rules.push(entry);
    else if (!entry.isFolded) for (const drawn of wholeLines(one, entry, options)) lines.push(drawn);
  }
  const [first] = rules;
  if (first === undefined) return lines;
  const { table, chain } = first.change;
  const side = (source: RuleSource | null): RuleLines | null =>
    table === null || chain === null ? null : (source?.rules(table, chain) ?? null);
  return [...lines, ...viewChain(rules, side(one.baseline), side(one.current), options.context)];
}

/** The lines of a change that is not one of rules. */
function wholeLines(one: ReportedFamily, { kind, change }: RuleChange, options: ReportOptions): ReportLine[] {
  switch (kind) {
    case 'policy_changes':
      return [
        line('changed', `policy ${policyText(change, 'baseline_policy')} → ${policyText(change, 'current_policy')}`),
      ];
    case 'tables_added':
    case 'tables_removed': {
      const verb = kind === 'tables_added' ? 'added' : 'removed';
      const counts = countsText(change, ['chain', 'rule', 'set']);
      return [line(verb, `table ${change.table}${counts}`), ...tableRules(one, change, verb, options)];
    }
    case 'chains_added':
    case 'chains_removed': {
      const verb = kind === 'chains_added' ? 'added' : 'removed';
      return [
        line(verb, `chain ${change.chain}${chainText(change)}`),
        ...chainRules(one, change, [change.chain], verb, options),
      ];
    }
    case 'sets_added':
    case 'sets_removed': {
      const counts = countsText(change, ['member', 'element']);
      return [
        line(
          kind === 'sets_added' ? 'added' : 'removed',
          `${textOf(change, 'set_kind') || 'set'} ${textOf(change, 'set')}${counts}`,
          textOf(change, 'type'),
        ),
        ...userLines(change, options),
      ];
    }
    case 'sets_changed':
      return [...attributeLines(change), ...memberLines(change, options), ...userLines(change, options)];
    case 'objects_added':
    case 'objects_removed':
      return [line(kind === 'objects_added' ? 'added' : 'removed', nameOf(change))];
    case 'unparsed_changed': {
      if (textOf(change, 'change') === 'removed') return [line('removed', textOf(change, 'text'))];
      const before = textOf(change, 'before');
      const after = textOf(change, 'after') || textOf(change, 'text');
      return [...(before === '' ? [] : [line('removed', before)]), ...(after === '' ? [] : [line('added', after)])];
    }
    default:
      return attributeLines(change);
  }
}

function line(kind: ReportLine['kind'], text: string, note = ''): ReportLine {
  return { kind, position: '', text, note };
}

function policyText(change: DocumentedChange, field: string): string {
  return textOf(change, field) || 'none';
}

/** ` (3 chains, 12 rules)`, of the counts that the change has. */
function countsText(change: DocumentedChange, things: readonly string[]): string {
  const counts = things.flatMap((thing) => {
    const count = numberOf(change, `${thing}_count`);
    return count === null ? [] : [counted(count, thing)];
  });
  return counts.length === 0 ? '' : ` (${counts.join(', ')})`;
}

function chainText(change: DocumentedChange): string {
  const parts = ['hook', 'policy'].flatMap((field) => {
    const value = textOf(change, field);
    return value === '' ? [] : [`${field} ${value}`];
  });
  const rules = numberOf(change, 'rule_count');
  if (rules !== null) parts.push(counted(rules, 'rule'));
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`;
}

/** A whole table's rules, unless its chains are changes of their own. */
function tableRules(
  one: ReportedFamily,
  change: DocumentedChange,
  verb: 'added' | 'removed',
  options: ReportOptions,
): ReportLine[] {
  const { changes, ephemeral_changes } = one.drift;
  const kind = verb === 'added' ? 'chains_added' : 'chains_removed';
  const isListed = [...changes[kind], ...(ephemeral_changes[kind] ?? [])].some(({ table }) => table === change.table);
  const source = verb === 'added' ? one.current : one.baseline;
  if (isListed || source === null || change.table === null) return [];
  return chainRules(one, change, source.chains(change.table), verb, options);
}

function chainRules(
  one: ReportedFamily,
  { table }: DocumentedChange,
  chains: readonly (string | null)[],
  verb: 'added' | 'removed',
  options: ReportOptions,
): ReportLine[] {
  const source = verb === 'added' ? one.current : one.baseline;
  const lines: ReportLine[] = [];
  let left = 0;
  for (const chain of chains) {
    const rules = table === null || chain === null ? null : (source?.rules(table, chain) ?? null);
    for (let index = 0; rules !== null && index < rules.count; index += 1) {
      if (!options.showAll && lines.length >= LISTED_MAX) {
        left += rules.count - index;
        break;
      }
      lines.push({ kind: verb, position: String(index + 1), text: rules.line(index), note: '' });
    }
  }
  return left === 0 ? lines : [...lines, gapLine([`${left} more ${verb}`])];
}

/** Attributes of tables, chains, sets and objects: `priority: 0 → -10`. */
function attributeLines(change: DocumentedChange): ReportLine[] {
  const listed = [change['attributes'], change['options_changed']].flatMap((list) => (Array.isArray(list) ? list : []));
  const lines = listed.map(({ name, before, after }: { name: unknown; before: unknown; after: unknown }) =>
    line('changed', `${String(name)}: ${valueText(before)} → ${valueText(after)}`),
  );
  const typeBefore = textOf(change, 'baseline_type');
  return typeBefore === '' ? lines : [line('changed', `type: ${typeBefore} → ${textOf(change, 'type')}`), ...lines];
}

function valueText(value: unknown): string {
  if (value === null || value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function memberLines(change: DocumentedChange, options: ReportOptions): ReportLine[] {
  const lines: ReportLine[] = [];
  for (const [kind, verb] of [
    ['removed', 'removed'],
    ['added', 'added'],
    ['changed', 'changed'],
  ] as const) {
    for (const thing of ['members', 'elements']) {
      const list = change[`${thing}_${verb}`];
      if (!Array.isArray(list) || list.length === 0) continue;
      const shown: readonly unknown[] = options.showAll ? list : list.slice(0, LISTED_MAX);
      for (const member of shown) lines.push(line(kind, memberText(member)));
      const count = numberOf(change, `${thing}_${verb}_count`) ?? list.length;
      if (count > shown.length) lines.push(gapLine([`${count - shown.length} more ${verb}`]));
    }
  }
  if (change['reordered'] === true) lines.push(line('changed', 'members in another order'));
  return lines;
}

function memberText(member: unknown): string {
  if (typeof member === 'string') return member;
  const { before, after } = (member ?? {}) as { before?: unknown; after?: unknown };
  return `${valueText(before)} → ${valueText(after)}`;
}

/** The rules that look a set up, so that a changed member can be read as a changed rule. */
function userLines(change: DocumentedChange, options: ReportOptions): ReportLine[] {
  const users: unknown[] = Array.isArray(change['used_by']) ? change['used_by'] : [];
  const shown = options.showAll ? users : users.slice(0, USERS_MAX);
  const lines = shown.map((user) => {
    const { table, chain, rule } = user as { table?: unknown; chain?: unknown; rule?: unknown };
    const place = [table ?? change.table, chain].filter((part) => typeof part === 'string').join('/');
    return line('unchanged', String(rule ?? ''), `used by ${place}`);
  });
  const more = (numberOf(change, 'used_by_count') ?? users.length) - shown.length;
  return more > 0 ? [...lines, gapLine([`${more} more ${more === 1 ? 'rule uses' : 'rules use'} it`])] : lines;
}
