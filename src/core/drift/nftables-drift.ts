import { canonicalJson, type Json, type JsonObject } from '../json.ts';
import {
  type AttributeChange,
  diffRulesets,
  type NftChain,
  type NftChange,
  type NftObject,
  type NftRule,
  type NftRuleset,
  type NftTable,
  printRuleText,
  rulesBySet,
} from '../nftables/index.ts';
import type { AssessedChange, ChangeKind } from './family-drift.ts';
import type { MoveJudge } from './moves.ts';
import { isChainChurn, isOnlyExpiry, isRuleChurn, isSetMemberChurn, isTableChurn } from './nftables-churn.ts';
import { TableContext } from './nftables-context.ts';
import {
  judgeChainAsWhole,
  judgeChainChanged,
  judgeObject,
  judgePolicy,
  judgeTableAsWhole,
  judgeTableChanged,
} from './nftables-judge-chain.ts';
import {
  judgeRuleAdded,
  judgeRuleModified,
  judgeRuleMoved,
  judgeRuleRecreated,
  judgeRuleRemoved,
} from './nftables-judge-rule.ts';
import { judgeSetAsWhole, judgeSetChanged, printMember } from './nftables-judge-set.ts';
import { moveJudge } from './nftables-moves.ts';
import type { RulePlace } from './nftables-place.ts';
import { chainOwner, type Owner, setOwner, tableOwner } from './owners.ts';
import { nftReferenceFields } from './reference-fields.ts';
import type { Assessment } from './severity.ts';

/** Rules shown of a chain that came or went; `rule_count` beside them is of all. */
const RULES_LISTED_MAX = 1000;
/** Elements listed of one changed set; the counts beside the lists are of all. */
const ELEMENTS_LISTED_MAX = 1000;
/** Rules named of those that use a changed set. */
const USERS_LISTED_MAX = 20;

/**
 * Every difference of two nft listings, judged by what it can do: which packets reach the rule, what happens to them,
 * and what would have happened otherwise. Positions in `detail` count from 1.
 *
 * A table that came or went is one change, and each of its chains another; rules of a chain that came or went are told
 * by their number and by the worst of them.
 */
export function assessNftablesDrift(baseline: NftRuleset, current: NftRuleset): AssessedChange[] {
  const { changes } = diffRulesets(baseline, current);
  const assessor = new Assessor(baseline, current, changes);
  return changes.flatMap((change) => assessor.assess(change));
}

class Assessor {
  readonly #before: Contexts;
  readonly #after: Contexts;
  readonly #changes: readonly NftChange[];
  #moves: Map<string, MoveJudge> | null = null;

  constructor(baseline: NftRuleset, current: NftRuleset, changes: readonly NftChange[]) {
    this.#before = new Contexts(baseline);
    this.#after = new Contexts(current);
    this.#changes = changes;
  }

  assess(change: NftChange): AssessedChange[] {
    switch (change.kind) {
      case 'table_added':
      case 'table_removed':
        return this.#wholeTable(change.table, change.kind === 'table_added');
      case 'table_changed': {
        const judged = judgeTableChanged(change.after, change.attributes);
        return [
          make('tables_changed', change.table, null, tableOwner(change.table), judged, subjectOf(change.attributes), {
            attributes: documentAttributes(change.attributes),
          }),
        ];
      }
      case 'chain_added':
      case 'chain_removed':
        return [this.#wholeChain(change.table, change.chain, change.kind === 'chain_added')];
      case 'chain_changed':
        return chainChanges(change);
      case 'rule_added':
      case 'rule_removed':
      case 'rule_modified':
      case 'rule_repositioned':
      case 'rule_recreated':
        return [this.#rule(change)];
      case 'set_added':
      case 'set_removed':
      case 'set_changed':
        return [this.#set(change)];
      case 'object_added':
      case 'object_removed':
      case 'object_changed':
        return [objectChange(change)];
      case 'unparsed_added':
      case 'unparsed_removed': {
        const text = typeof change.item === 'string' ? change.item : JSON.stringify(change.item);
        const verb = change.kind === 'unparsed_added' ? 'appeared' : 'disappeared';
        return [
          make(
            'unparsed_changed',
            null,
            null,
            null,
            { severity: 'high', reason: `A part of the listing that this version cannot read ${verb}` },
            text,
            { [change.kind === 'unparsed_added' ? 'after' : 'before']: text.slice(0, 4096) },
          ),
        ];
      }
    }
  }

  #wholeTable(table: NftTable, isAdded: boolean): AssessedChange[] {
    const wholeChains = (mayFold: boolean): AssessedChange[] =>
      [...table.chains.values()].map((chain) => this.#wholeChain(table.key, chain, isAdded, mayFold));
    let chains = wholeChains(true);
    const owner = tableOwner(table.key);
    const areFolded = chains.every(({ ephemeral }) => ephemeral);
    const churn = isTableChurn(table, areFolded, isAdded);
    // Bans that are none are no churn in any part.
    if (owner?.ephemeral === true && !churn) chains = wholeChains(false);
    const judged = judgeTableAsWhole(table, chains, isAdded ? 'added' : 'removed');
    const detail = {
      chains: [...table.chains.keys()],
      chain_count: table.chains.size,
      rule_count: [...table.chains.values()].reduce((sum, chain) => sum + chain.rules.length, 0),
      set_count: table.sets.size,
    };
    const kind = isAdded ? 'tables_added' : 'tables_removed';
    const whole = make(kind, table.key, null, owner, judged, table.key, detail, churn);
    return [whole, ...chains];
  }

  #wholeChain(table: string, chain: NftChain, isAdded: boolean, mayFold = true): AssessedChange {
    const context = (isAdded ? this.#after : this.#before).of(table);
    const owner = chainOwner(table, chain.name);
    const judged = judgeChainAsWhole(chain, context, isTool(owner, chain.name), isAdded ? 'added' : 'removed');
    return make(
      isAdded ? 'chains_added' : 'chains_removed',
      table,
      chain.name,
      owner,
      judged,
      chain.name,
      {
        hook: chain.hook,
        is_base_chain: chain.isBaseChain,
        policy: chain.policy,
        rule_count: chain.rules.length,
        rules: chain.rules.slice(0, RULES_LISTED_MAX).map(lineOf),
      },
      mayFold && isChainChurn(owner, chain, isAdded, context, this.#after.table(table)),
    );
  }

  #rule(change: Extract<NftChange, { kind: `rule_${string}` }>): AssessedChange {
    const { table, chain } = change;
    const owner = chainOwner(table, chain);
    const before = this.#before.of(table);
    const after = this.#after.of(table);
    const churn = isRuleChurn(owner, change, before, after);
    const at = (context: TableContext, position: number): RulePlace => ({
      context,
      chain: context.table.chains.get(chain) as NftChain,
      position,
      isToolWritten: isTool(owner, chain) || isContainerRule(change, context),
    });
    switch (change.kind) {
      case 'rule_added': {
        const judged = judgeRuleAdded(change.rule, at(after, change.position));
        const detail = {
          ...ruleDetail(change.rule),
          position: change.position + 1,
          ...nftReferenceFields(change.rule),
        };
        return make('rules_added', table, chain, owner, judged, change.rule.identity, detail, churn);
      }
      case 'rule_removed': {
        const judged = judgeRuleRemoved(change.rule, at(before, change.position), after.table.chains.get(chain));
        const detail = {
          ...ruleDetail(change.rule),
          position: change.position + 1,
          ...nftReferenceFields(change.rule),
        };
        return make('rules_removed', table, chain, owner, judged, change.rule.identity, detail, churn);
      }
      case 'rule_modified': {
        const judged = judgeRuleModified(
          { rule: change.before, place: at(before, change.baselinePosition) },
          { rule: change.after, place: at(after, change.currentPosition) },
        );
        const detail = {
          ...ruleDetail(change.after),
          position: change.currentPosition + 1,
          baseline_position: change.baselinePosition + 1,
          before: lineOf(change.before),
          after: lineOf(change.after),
        };
        const subject = `${keyOf(change.before)} -> ${keyOf(change.after)}`;
        return make('rules_modified', table, chain, owner, judged, subject, detail, churn);
      }
      case 'rule_repositioned': {
        const judged = judgeRuleMoved(
          change.after,
          at(after, change.currentPosition),
          change.baselinePosition,
          this.#movesOf(change),
        );
        const detail = { ...ruleDetail(change.after), ...positions(change) };
        return make('rules_repositioned', table, chain, owner, judged, keyOf(change.after), detail, churn);
      }
      case 'rule_recreated': {
        const { isHidden, ...judged } = judgeRuleRecreated(change.after, at(after, change.currentPosition));
        const detail = {
          ...ruleDetail(change.after),
          ...positions(change),
          baseline_handle: change.before.handle,
          current_handle: change.after.handle,
        };
        const recreated = make('rules_recreated', table, chain, owner, judged, keyOf(change.after), detail, churn);
        return isHidden ? recreated : { ...recreated, informational: true };
      }
    }
  }

  /** The moves of the chain of a change; those of all chains are read at the first one. */
  #movesOf({ table, chain }: { readonly table: string; readonly chain: string }): MoveJudge {
    this.#moves ??= readMoves(this.#changes, this.#before, this.#after);
    return this.#moves.get(JSON.stringify([table, chain])) as MoveJudge;
  }

  #set(change: Extract<NftChange, { kind: `set_${string}` }>): AssessedChange {
    const { table } = change;
    const set = change.kind === 'set_changed' ? change.after : change.set;
    const owner = setOwner(table, set.name);
    const side = change.kind === 'set_removed' ? this.#before : this.#after;
    const users = side.users(table).get(set.name) ?? [];
    const churn = isSetMemberChurn(owner, change, users, this.#before.of(table), this.#after.of(table));
    const common = {
      set: set.name,
      set_kind: set.kind,
      used_by: users.slice(0, USERS_LISTED_MAX).map((rule) => ({ chain: rule.chain, ...ruleDetail(rule) })),
      used_by_count: users.length,
    };
    if (change.kind !== 'set_changed') {
      const isAdded = change.kind === 'set_added';
      const judged = judgeSetAsWhole(set, users, isAdded ? 'added' : 'removed');
      const detail = { ...common, element_count: set.elements.length };
      return make(isAdded ? 'sets_added' : 'sets_removed', table, null, owner, judged, set.name, detail, churn);
    }
    const judged = judgeSetChanged(change, users, side.of(table));
    const changed = make(
      'sets_changed',
      table,
      null,
      owner,
      judged,
      set.name,
      {
        ...common,
        elements_added: listed(change.elementsAdded),
        elements_added_count: change.elementsAdded.length,
        elements_removed: listed(change.elementsRemoved),
        elements_removed_count: change.elementsRemoved.length,
        elements_changed: change.elementsChanged
          .slice(0, ELEMENTS_LISTED_MAX)
          .map((pair) => ({ before: printMember(pair.before), after: printMember(pair.after) })),
        elements_changed_count: change.elementsChanged.length,
        attributes: documentAttributes(change.attributes),
      },
      churn,
    );
    if (!isOnlyExpiry(change, users, side.of(table))) return changed;
    return { ...changed, severity: 'noise', ephemeral: true, informational: true };
  }
}

function readMoves(changes: readonly NftChange[], before: Contexts, after: Contexts): Map<string, MoveJudge> {
  const byChain = new Map<string, RuleChange[]>();
  for (const change of changes) {
    if (!isRuleChange(change)) continue;
    const key = JSON.stringify([change.table, change.chain]);
    const list = byChain.get(key);
    if (list === undefined) byChain.set(key, [change]);
    else list.push(change);
  }
  const moves = new Map<string, MoveJudge>();
  for (const [key, list] of byChain) {
    const moved = list.find(({ kind }) => kind === 'rule_repositioned');
    if (moved === undefined) continue;
    const chainOf = (context: TableContext): NftChain => context.table.chains.get(moved.chain) as NftChain;
    const context = after.of(moved.table);
    moves.set(key, moveJudge(chainOf(before.of(moved.table)), chainOf(context), list, context));
  }
  return moves;
}

type RuleChange = Extract<NftChange, { kind: `rule_${string}` }>;

function isRuleChange(change: NftChange): change is RuleChange {
  return change.kind.startsWith('rule_');
}

/** The contexts of a ruleset's tables, made when first asked for. */
class Contexts {
  readonly #ruleset: NftRuleset;
  readonly #contexts = new Map<string, TableContext>();
  readonly #users = new Map<string, Map<string, NftRule[]>>();

  constructor(ruleset: NftRuleset) {
    this.#ruleset = ruleset;
  }

  of(key: string): TableContext {
    let context = this.#contexts.get(key);
    if (context === undefined) {
      context = new TableContext(this.#ruleset.tables.get(key) as NftTable);
      this.#contexts.set(key, context);
    }
    return context;
  }

  table(key: string): NftTable | undefined {
    return this.#ruleset.tables.get(key);
  }

  users(key: string): Map<string, NftRule[]> {
    let users = this.#users.get(key);
    if (users === undefined) {
      users = rulesBySet(this.#ruleset.tables.get(key) as NftTable);
      this.#users.set(key, users);
    }
    return users;
  }
}

function chainChanges(change: Extract<NftChange, { kind: 'chain_changed' }>): AssessedChange[] {
  const { table, before, after } = change;
  const owner = chainOwner(table, after.name);
  const changes: AssessedChange[] = [];
  const policy = change.attributes.find(({ name }) => name === 'policy');
  if (policy !== undefined) {
    const was = policyName(policy.before);
    const is = policyName(policy.after);
    const detail = { baseline_policy: was, current_policy: is, hook: after.hook };
    changes.push(
      make(
        'policy_changes',
        table,
        after.name,
        owner,
        judgePolicy(table.slice(0, table.indexOf('/')), after, was, is),
        `${was}->${is}`,
        detail,
      ),
    );
  }
  const others = change.attributes.filter(({ name }) => name !== 'policy');
  if (others.length > 0) {
    const detail = {
      hook: after.hook,
      is_base_chain: after.isBaseChain,
      rule_count: after.rules.length,
      attributes: documentAttributes(others),
    };
    const judged = judgeChainChanged(before, after, others);
    changes.push(make('chains_changed', table, after.name, owner, judged, subjectOf(others), detail));
  }
  return changes;
}

function objectChange(change: Extract<NftChange, { kind: `object_${string}` }>): AssessedChange {
  const object: NftObject = change.kind === 'object_changed' ? change.after : change.object;
  const attributes = change.kind === 'object_changed' ? change.attributes : [];
  const verb = change.kind === 'object_added' ? 'added' : change.kind === 'object_removed' ? 'removed' : 'changed';
  const detail = { object_type: object.type, object: object.name, attributes: documentAttributes(attributes) };
  const subject = `${object.type}/${object.name}`;
  const owner = tableOwner(change.table);
  return make(
    `objects_${verb}` as ChangeKind,
    change.table,
    null,
    owner,
    judgeObject(object, verb, attributes),
    subject,
    detail,
    owner?.ephemeral === true && object.type === 'counter',
  );
}

/** @param isChurn  its owner made it by itself: the name of a table, chain or set alone is no proof */
function make(
  kind: ChangeKind,
  table: string | null,
  chain: string | null,
  owner: Owner | null,
  judged: Assessment,
  subject: string,
  detail: JsonObject,
  isChurn = false,
): AssessedChange {
  return {
    kind,
    table,
    chain,
    subject,
    owner: owner?.name ?? null,
    ephemeral: isChurn,
    severity: isChurn ? 'noise' : judged.severity,
    reason: judged.reason,
    detail,
  };
}

/** Whether a tool writes this chain when asked; DOCKER-USER is Docker's in name only. */
function isTool(owner: Owner | null, chain: string): boolean {
  return owner !== null && chain !== 'DOCKER-USER';
}

/** Rules that container tools put into a base chain of their own accord are for their own bridges. */
function isContainerRule(change: Extract<NftChange, { kind: `rule_${string}` }>, context: TableContext): boolean {
  const { fields } = context.effect('rule' in change ? change.rule : change.after).flat;
  const interfaces = ['in_interface', 'out_interface'].flatMap((name) => fields.get(name)?.value ?? []);
  return interfaces.some((name) => CONTAINER_BRIDGE.test(name));
}

const CONTAINER_BRIDGE = /^(docker0|docker_gwbridge|br-[0-9a-f]{12}|cni0|cni-podman\d+|podman\d+|virbr\d+)$/;

function ruleDetail(rule: NftRule): { readonly rule: string; readonly handle: number | null } {
  return { rule: lineOf(rule), handle: rule.handle };
}

function lineOf(rule: NftRule): string {
  return printRuleText(rule, { stateless: true });
}

function keyOf(rule: NftRule): string {
  return rule.comment === null ? rule.identity : `${rule.identity}#${rule.comment}`;
}

function positions(change: { readonly baselinePosition: number; readonly currentPosition: number }): JsonObject {
  return { baseline_position: change.baselinePosition + 1, current_position: change.currentPosition + 1 };
}

function listed(elements: readonly Json[]): string[] {
  return elements.slice(0, ELEMENTS_LISTED_MAX).map(printMember);
}

function policyName(value: Json | undefined): string {
  return typeof value === 'string' ? value : 'none';
}

function documentAttributes(attributes: readonly AttributeChange[]): JsonObject[] {
  return attributes.map(({ name, before, after }) => ({ name, before: before ?? null, after: after ?? null }));
}

function subjectOf(attributes: readonly AttributeChange[]): string {
  return attributes.map(({ name, before, after }) => canonicalJson([name, before ?? null, after ?? null])).join();
}
