import { counted } from '../counted.ts';
import {
  type ChainRulesDiff,
  diffRulesets,
  type IptablesChain,
  type IptablesRule,
  type IptablesRuleset,
  type IptablesTable,
  printRule,
  type RuleChange,
  ruleIdentity,
} from '../iptables/index.ts';
import type { JsonObject } from '../json.ts';
import type { AssessedChange } from './family-drift.ts';
import { RulesetContext, type TableContext } from './iptables-context.ts';
import {
  type Cover,
  covers,
  judgeAdded,
  judgeCovered,
  judgeModified,
  judgePolicy,
  judgeRemoved,
  type PlacedRule,
  worse,
} from './iptables-judge.ts';
import { IptablesMoves, mayTakeAway } from './iptables-moves.ts';
import { isChurn, isHabitIn, ruleOwner } from './iptables-owners.ts';
import { chainOwner, type Owner } from './owners.ts';
import { iptablesReferenceFields } from './reference-fields.ts';
import type { Assessment } from './severity.ts';

/**
 * The differences of two rulesets of one family and backend, each judged by what it can do to packets.
 *
 * Positions in details are 1-based. Rules of chains that came or went are judged with their chain and shown in its
 * detail, not listed one by one.
 *
 * @returns  policies first, then tables, chains, rules in the order of the current ruleset
 */
export function assessIptablesDrift(baseline: IptablesRuleset, current: IptablesRuleset): AssessedChange[] {
  return new DriftAssessor(baseline, current).assess();
}

/** Rules shown of a chain that came or went; `rule_count` beside them is of all. */
const RULES_LISTED_MAX = 1000;

/** Rule-to-rule comparisons spent on finding an accept that still covers a removed one. */
const COVER_COMPARISONS_MAX = 200_000;

class DriftAssessor {
  readonly #baseline: IptablesRuleset;
  readonly #current: IptablesRuleset;
  readonly #before: RulesetContext;
  readonly #after: RulesetContext;
  readonly #changes: AssessedChange[] = [];
  #comparisonsLeft = COVER_COMPARISONS_MAX;

  constructor(baseline: IptablesRuleset, current: IptablesRuleset) {
    this.#baseline = baseline;
    this.#current = current;
    this.#before = new RulesetContext(baseline);
    this.#after = new RulesetContext(current);
  }

  assess(): AssessedChange[] {
    const diff = diffRulesets(this.#baseline, this.#current);
    for (const { table, chain, before, after } of diff.policyChanges) {
      this.#push('policy_changes', table, chain, `${before} to ${after}`, judgePolicy(table, chain, before, after), {
        baseline_policy: before,
        current_policy: after,
      });
    }
    for (const table of diff.tablesAdded) this.#table('tables_added', table);
    for (const table of diff.tablesRemoved) this.#table('tables_removed', table);
    for (const { table, chain } of diff.chainsAdded) this.#chain('chains_added', table, chain);
    for (const { table, chain } of diff.chainsRemoved) this.#chain('chains_removed', table, chain);
    for (const chain of diff.chains) this.#rules(chain);
    for (const [lines, change] of [
      [diff.unparsedAdded, 'added'],
      [diff.unparsedRemoved, 'removed'],
    ] as const) {
      for (const { table, text } of lines) {
        const reason = `a line that is not understood was ${change}: what it does is not known here`;
        const detail = { change, text };
        this.#push('unparsed_changed', table, null, `${change} ${text}`, { severity: 'high', reason }, detail);
      }
    }
    return this.#changes;
  }

  #push(
    kind: AssessedChange['kind'],
    table: string | null,
    chain: string | null,
    subject: string,
    assessment: Assessment,
    detail: JsonObject,
    owner: Owner | null = table !== null && chain !== null ? chainOwner(table, chain) : null,
    folded: { ephemeral?: boolean; informational?: boolean } = {},
  ): void {
    const ephemeral = folded.ephemeral ?? false;
    const change: AssessedChange = {
      kind,
      table,
      chain,
      subject,
      severity: ephemeral || folded.informational === true ? 'noise' : assessment.severity,
      reason: ephemeral ? `made by ${owner?.name} itself: ${assessment.reason}` : assessment.reason,
      owner: owner?.name ?? null,
      ephemeral,
      detail,
    };
    this.#changes.push(folded.informational === true ? { ...change, informational: true } : change);
  }

  #table(kind: 'tables_added' | 'tables_removed', table: IptablesTable): void {
    const chains = [...table.chains.values()];
    const ruleCount = chains.reduce((count, { rules }) => count + rules.length, 0);
    const detail = { chain_count: chains.length, rule_count: ruleCount };
    const verb = kind === 'tables_added' ? 'appeared' : 'went';
    if (ruleCount === 0 && chains.every(({ policy }) => policy === 'ACCEPT')) {
      const reason = `table ${table.name} ${verb} with nothing in it, as listing it does`;
      this.#push(kind, table.name, null, table.name, { severity: 'noise', reason }, detail, null, {
        informational: true,
      });
      return;
    }
    const side = (kind === 'tables_added' ? this.#after : this.#before).table(table.name);
    const owner = soleOwner(chains, side);
    let worst: Assessment = { severity: 'low', reason: `table ${table.name} ${verb}` };
    for (const chain of chains) {
      const assessment = this.#chainAsWhole(kind === 'tables_added', table.name, chain);
      if (worse(assessment.severity, worst.severity) !== worst.severity) {
        worst = { severity: assessment.severity, reason: `table ${table.name} ${verb}: ${assessment.reason}` };
      }
    }
    this.#push(kind, table.name, null, table.name, worst, detail, owner, { ephemeral: owner !== null });
    for (const chain of chains) {
      if (chain.policy === 'ACCEPT' && chain.rules.length === 0) continue;
      this.#chain(kind === 'tables_added' ? 'chains_added' : 'chains_removed', table.name, chain);
    }
  }

  #chain(kind: 'chains_added' | 'chains_removed', table: string, chain: IptablesChain): void {
    const side = (kind === 'chains_added' ? this.#after : this.#before).table(table);
    // nf_tables makes a built-in chain when its first rule comes, be it a ban tool's.
    const first = kind === 'chains_added' && chain.policy !== null ? soleOwner([chain], side) : null;
    const owner = chainOwner(table, chain.name) ?? first;
    const detail = {
      type: chain.policy === null ? 'user-defined' : 'builtin',
      policy: chain.policy,
      rule_count: chain.rules.length,
      rules: chain.rules.slice(0, RULES_LISTED_MAX).map((rule) => printRule(rule)),
    };
    const verb = kind === 'chains_added' ? 'added' : 'removed';
    if (chain.policy === 'ACCEPT' && chain.rules.length === 0) {
      const reason = `built-in chain ${chain.name} ${verb} with nothing in it`;
      const assessment: Assessment = { severity: 'noise', reason };
      this.#push(kind, table, chain.name, chain.name, assessment, detail, owner, { informational: true });
      return;
    }
    const ephemeral = owner?.ephemeral === true && chain.rules.every((rule) => isHabitIn(side, owner, rule));
    const assessment = this.#chainAsWhole(kind === 'chains_added', table, chain);
    const reason = `chain ${chain.name} ${verb}: ${assessment.reason}`;
    this.#push(kind, table, chain.name, chain.name, { ...assessment, reason }, detail, owner, { ephemeral });
  }

  /** The worst that a chain's rules and policy do by coming or going all together. */
  #chainAsWhole(added: boolean, tableName: string, chain: IptablesChain): Assessment {
    const table = (added ? this.#after : this.#before).table(tableName);
    const { bases } = table.chain(chain.name);
    if (bases.length === 0) return { severity: 'low', reason: 'no hook reaches it' };
    let worst: Assessment = {
      severity: 'low',
      reason: `it decides nothing with ${counted(chain.rules.length, 'rule')}`,
    };
    if (chain.policy !== null && chain.policy !== 'ACCEPT') {
      const policy = added ? ['ACCEPT', chain.policy] : [chain.policy, 'ACCEPT'];
      worst = judgePolicy(tableName, chain.name, policy[0] ?? null, policy[1] ?? null);
    }
    for (const [index, rule] of chain.rules.entries()) {
      if (worst.severity === 'critical') break;
      if (isHabit(rule, table)) continue;
      const placed: PlacedRule = { rule, index, table };
      const assessment = added ? judgeAdded(placed) : judgeRemoved(placed, 'none');
      if (worse(assessment.severity, worst.severity) !== worst.severity) worst = assessment;
    }
    return worst;
  }

  #rules({ table, chain, changes }: ChainRulesDiff): void {
    const before = this.#before.table(table);
    const after = this.#after.table(table);
    const rulesBefore = before.table.chains.get(chain)?.rules ?? [];
    const rulesAfter = after.table.chains.get(chain)?.rules ?? [];
    let moves: IptablesMoves | null = null;
    for (const change of changes) {
      switch (change.kind) {
        case 'added': {
          const assessment =
            this.#coveredBy(change.rule, rulesAfter, change.rule, change.index) !== -1
              ? judgeCovered(change.rule)
              : judgeAdded({ rule: change.rule, index: change.index, table: after });
          const detail = {
            rule: printRule(change.rule),
            position: change.index + 1,
            ...iptablesReferenceFields(change.rule),
          };
          this.#ruleChange('rules_added', change.rule, ruleIdentity(change.rule), assessment, detail, change);
          break;
        }
        case 'removed': {
          const placed = { rule: change.rule, index: change.index, table: before };
          const assessment = judgeRemoved(
            placed,
            this.#coverOf(change.rule, change.index, rulesBefore, rulesAfter, null),
          );
          const detail = {
            rule: printRule(change.rule),
            position: change.index + 1,
            ...iptablesReferenceFields(change.rule),
          };
          this.#ruleChange('rules_removed', change.rule, ruleIdentity(change.rule), assessment, detail, change);
          break;
        }
        case 'moved': {
          moves ??= new IptablesMoves(rulesBefore, rulesAfter, changes, after);
          const detail = {
            rule: printRule(change.after),
            position: change.toIndex + 1,
            baseline_position: change.fromIndex + 1,
            current_position: change.toIndex + 1,
          };
          const subject = ruleIdentity(change.after);
          this.#ruleChange('rules_repositioned', change.after, subject, moves.judge(change), detail, change);
          break;
        }
        case 'modified': {
          const covered = this.#coverOf(change.before, change.fromIndex, rulesBefore, rulesAfter, change.after);
          const assessment = judgeModified(
            { rule: change.before, index: change.fromIndex, table: before },
            { rule: change.after, index: change.toIndex, table: after },
            change.fields,
            covered,
          );
          const detail = {
            rule: printRule(change.after),
            position: change.toIndex + 1,
            baseline_position: change.fromIndex + 1,
            current_position: change.toIndex + 1,
            before: printRule(change.before),
            after: printRule(change.after),
            fields: change.fields,
          };
          const subject = `${ruleIdentity(change.before)} to ${ruleIdentity(change.after)}`;
          this.#ruleChange('rules_modified', change.before, subject, assessment, detail, change);
        }
      }
    }
  }

  #ruleChange(
    kind: AssessedChange['kind'],
    first: IptablesRule,
    subject: string,
    assessment: Assessment,
    detail: JsonObject,
    change: RuleChange,
  ): void {
    const owner = ruleOwner(first);
    const before = this.#before.table(first.table);
    const after = this.#after.table(first.table);
    const ephemeral = owner !== null && isChurn(owner, change, before, after);
    this.#push(kind, first.table, first.chain, subject, assessment, detail, owner, { ephemeral });
  }

  /** Whether another rule of the chain as it is now, but `except`, accepts what the rule at `index` accepted. */
  #coverOf(
    rule: IptablesRule,
    index: number,
    rulesBefore: readonly IptablesRule[],
    rulesAfter: readonly IptablesRule[],
    except: IptablesRule | null,
  ): Cover {
    const end = this.#coveredBy(rule, rulesAfter, except, rulesAfter.length);
    if (end === -1) return 'none';
    this.#comparisonsLeft -= index + end;
    // What stood above it took its part of these packets before, too.
    const above = new Set(rulesBefore.slice(0, index).map(ruleIdentity));
    const table = this.#after.table(rule.table);
    const isBelow = rulesAfter
      .slice(0, end)
      .some((other) => !above.has(ruleIdentity(other)) && mayTakeAway(other.fields, table));
    return isBelow ? 'below' : 'same';
  }

  /** The first of the rules up to `end` that accepts all that this one does. */
  #coveredBy(rule: IptablesRule, rules: readonly IptablesRule[], except: IptablesRule | null, end: number): number {
    if (rule.fields.target?.name !== 'ACCEPT' || rule.table === 'nat') return -1;
    for (let index = 0; index < end && this.#comparisonsLeft > 0; index += 1) {
      const candidate = rules[index];
      if (candidate === undefined || candidate === except) continue;
      this.#comparisonsLeft -= 1;
      if (covers(candidate.fields, rule.fields)) return index;
    }
    return -1;
  }
}

/** The rule is what its ephemeral owner makes by itself. */
function isHabit(rule: IptablesRule, table: TableContext): boolean {
  const owner = ruleOwner(rule);
  return owner !== null && isHabitIn(table, owner, rule);
}

/** The one ephemeral owner of everything in these chains, whose built-in ones accept by default; else null. */
function soleOwner(chains: readonly IptablesChain[], table: TableContext): Owner | null {
  let sole: Owner | null = null;
  for (const { policy, rules } of chains) {
    if (policy !== null && policy !== 'ACCEPT') return null;
    for (const rule of rules) {
      const owner = ruleOwner(rule);
      if (owner === null || !isHabitIn(table, owner, rule) || (sole !== null && sole.name !== owner.name)) return null;
      sole = owner;
    }
  }
  return sole;
}
