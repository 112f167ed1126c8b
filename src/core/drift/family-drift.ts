import { createHash } from 'node:crypto';
import type { JsonObject } from '../json.ts';
import { type Assessment, compareSeverity, type Severity } from './severity.ts';

/** The lists of a family's `changes` and the counters of its `summary`, in document order. */
export const CHANGE_KINDS = [
  'tables_added',
  'tables_removed',
  'tables_changed',
  'chains_added',
  'chains_removed',
  'chains_changed',
  'policy_changes',
  'rules_added',
  'rules_removed',
  'rules_modified',
  'rules_repositioned',
  'rules_recreated',
  'sets_added',
  'sets_removed',
  'sets_changed',
  'objects_added',
  'objects_removed',
  'objects_changed',
  'unparsed_changed',
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** One difference between a baseline and a later capture, judged. The diff engines of each family produce these. */
export interface AssessedChange extends Assessment {
  readonly kind: ChangeKind;
  /** `filter`, or `inet/filter` in nft; null for what lies outside of tables (ipsets). */
  readonly table: string | null;
  readonly chain: string | null;
  /**
   * What of table and chain changed, as content and not as position or handle (a rule's identity, a set's name): with
   * kind, table and chain it makes the finding's id, which stays the same from sweep to sweep.
   */
  readonly subject: string;
  /** The tool that writes this chain or set (`docker`, `kube-proxy`, …); null when a person does. */
  readonly owner: string | null;
  /** Churn that its owner makes by itself: folded in reports. Never true for a policy change. */
  readonly ephemeral: boolean;
  /** A moving part only (a rule deleted and added again unchanged): listed, but no drift by itself. */
  readonly informational?: boolean;
  /** The kind's own fields, JSON, as the document lists them: `rule`, `position`, `before`, `after`, … */
  readonly detail: JsonObject;
}

/** A listed change of the drift document. */
export interface DocumentedChange {
  readonly finding_id: string;
  readonly severity: Severity;
  readonly reason: string;
  readonly table: string | null;
  readonly chain: string | null;
  readonly owner: string | null;
  readonly [field: string]: unknown;
}

export type ChangeLists = Record<ChangeKind, DocumentedChange[]>;

/** One entry of `drift_by_family`. */
export interface FamilyDrift {
  readonly drift_detected: boolean;
  readonly has_critical_changes: boolean;
  /** Changes not folded, by kind. */
  readonly summary: Record<ChangeKind, number>;
  readonly severity_counts: Record<Severity, number>;
  readonly changes: ChangeLists;
  /** The folded churn, in full: the same keys as `changes`, only those that have entries. */
  readonly ephemeral_changes: Partial<ChangeLists>;
  /** Chain name → who writes it, for every chain touched. */
  readonly chain_classifications: Record<
    string,
    { owner: string | null; class: 'ephemeral' | 'structural' | 'user-defined' }
  >;
  /** Folded churn counted: owner → chain (or set) → number of changes. */
  readonly ephemeral_summary: Record<string, Record<string, number>>;
}

/**
 * Turns one family's judged changes into its part of the drift document: worst first within each list, churn folded
 * aside, counted and still there in full.
 *
 * @param family  the key of `drift_by_family`; part of every finding id
 */
export function documentFamilyDrift(family: string, changes: readonly AssessedChange[]): FamilyDrift {
  const lists = emptyLists();
  const folded: Partial<ChangeLists> = {};
  const severityCounts: Record<Severity, number> = { critical: 0, high: 0, medium: 0, low: 0, noise: 0 };
  // Maps until the end: a chain may be called `__proto__`.
  const classifications = new Map<string, FamilyDrift['chain_classifications'][string]>();
  const ephemeralSummary = new Map<string, Map<string, number>>();
  const ordered = changes.map((change, index) => ({ change, index }));
  ordered.sort((a, b) => compareSeverity(a.change.severity, b.change.severity) || a.index - b.index);
  const ids = new Map<string, number>();
  for (const { change } of ordered) {
    severityCounts[change.severity] += 1;
    const documented = documentChange(family, change, ids);
    if (change.chain !== null) {
      classifications.set(change.chain, {
        owner: change.owner,
        class: change.ephemeral ? 'ephemeral' : change.owner === null ? 'user-defined' : 'structural',
      });
    }
    if (change.ephemeral) {
      const list = folded[change.kind] ?? [];
      list.push(documented);
      folded[change.kind] = list;
      const owner = change.owner ?? 'unknown';
      const byPlace = ephemeralSummary.get(owner) ?? new Map<string, number>();
      const place = change.chain ?? change.table ?? change.subject;
      byPlace.set(place, (byPlace.get(place) ?? 0) + 1);
      ephemeralSummary.set(owner, byPlace);
    } else {
      lists[change.kind].push(documented);
    }
  }
  return {
    drift_detected: changes.some((change) => change.informational !== true),
    has_critical_changes: severityCounts.critical > 0,
    summary: Object.fromEntries(CHANGE_KINDS.map((kind) => [kind, lists[kind].length])) as Record<ChangeKind, number>,
    severity_counts: severityCounts,
    changes: lists,
    ephemeral_changes: folded,
    chain_classifications: Object.fromEntries(classifications),
    ephemeral_summary: Object.fromEntries(
      [...ephemeralSummary].map(([owner, byPlace]) => [owner, Object.fromEntries(byPlace)]),
    ),
  };
}

function documentChange(family: string, change: AssessedChange, ids: Map<string, number>): DocumentedChange {
  const key = JSON.stringify([family, change.table, change.chain, change.kind, change.subject]);
  // The same rule added twice is two findings: the second occurrence gets an id of its own, the same in every sweep.
  const occurrence = ids.get(key) ?? 0;
  ids.set(key, occurrence + 1);
  const digest = createHash('sha256')
    .update(occurrence === 0 ? key : `${key}#${occurrence}`)
    .digest('hex');
  return {
    finding_id: digest.slice(0, 16),
    severity: change.severity,
    reason: change.reason,
    table: change.table,
    chain: change.chain,
    owner: change.owner,
    ...change.detail,
  };
}

function emptyLists(): ChangeLists {
  return Object.fromEntries(CHANGE_KINDS.map((kind) => [kind, [] as DocumentedChange[]])) as unknown as ChangeLists;
}
