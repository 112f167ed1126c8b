import type { IptablesRule, RuleChange } from '../iptables/index.ts';
import { isUnconditional } from './iptables-breadth.ts';
import type { TableContext } from './iptables-context.ts';
import { denies, effectOf } from './iptables-effect.ts';
import { banShape, dockerShape, isOwnersHabit } from './iptables-habits.ts';
import { chainOwner, isBanTool, type Owner } from './owners.ts';
import { ACCEPTS, DENIES } from './verdict-bits.ts';

/**
 * Who writes a rule: the owner of its chain, or for a rule in a built-in or foreign chain the tool whose shape it has
 * (Docker's bridge rules, a jump into a fail2ban chain, a ban by one of its sets).
 */
export function ruleOwner(rule: IptablesRule): Owner | null {
  return chainOwner(rule.table, rule.chain) ?? dockerShape(rule) ?? banShape(rule);
}

/** As `isOwnersHabit`, with what the rule's table says of the way to its chain. */
export function isHabitIn(table: TableContext, owner: Owner, rule: IptablesRule): boolean {
  return isOwnersHabit(owner, rule, table.chain(rule.chain).bases.includes('INPUT'));
}

/**
 * Whether a change of one rule is what the rule's owner does by itself. Rules of its shape may still change in a way
 * that it never makes: a ban chain left early, a service's endpoint sent elsewhere, a network without its guard.
 *
 * @param before, after  the rule's table on both sides
 */
export function isChurn(owner: Owner, change: RuleChange, before: TableContext, after: TableContext): boolean {
  const rules = change.kind === 'added' || change.kind === 'removed' ? [change.rule] : [change.before, change.after];
  const side = change.kind === 'removed' ? before : after;
  if (!rules.every((rule) => ruleOwner(rule)?.name === owner.name && isHabitIn(side, owner, rule))) return false;
  const [rule] = rules as [IptablesRule];
  const { fields } = rule;
  const effect = effectOf(fields);
  if (effect === 'return' && fields.inInterface === null && owner.name !== 'calico') return false;
  if (change.kind === 'moved' && isLeftEarly(after.table.chains.get(rule.chain)?.rules ?? [])) return false;
  if (effect === 'destination-nat' && rule.chain.startsWith('KUBE-SEP-')) return false;
  if (isBanTool(owner) && chainOwner(rule.table, rule.chain) === null) {
    // What is banned must still come by: a jump that goes, changes or moves down lets it pass.
    const arrives = change.kind === 'added' || (change.kind === 'moved' && change.toIndex < change.fromIndex);
    const accepts = effect === 'chain' && (after.chain(fields.target?.name ?? '').verdicts & ACCEPTS) !== 0;
    return arrives && !accepts;
  }
  if (owner.name !== 'docker' || change.kind !== 'removed') return true;
  const denied = effect === 'chain' && (before.chain(fields.target?.name ?? '').verdicts & DENIES) !== 0;
  return !((denied || denies(effect)) && leavesBridgeOpen(rule, after));
}

/** A return without conditions stands above other rules: whichever of them moved, none of them is met now. */
function isLeftEarly(rules: readonly IptablesRule[]): boolean {
  let left = leftEarly.get(rules);
  if (left === undefined) {
    left = rules.slice(0, -1).some((rule) => rule.text.includes('RETURN') && isReturnOfAll(rule));
    leftEarly.set(rules, left);
  }
  return left;
}

/** A chain may have thousands of moved rules. */
const leftEarly = new WeakMap<readonly IptablesRule[], boolean>();

function isReturnOfAll({ fields }: IptablesRule): boolean {
  return effectOf(fields) === 'return' && isUnconditional(fields);
}

/** A guard of a bridge went, and other rules show that the bridge is still there. */
function leavesBridgeOpen({ fields }: IptablesRule, after: TableContext): boolean {
  if (fields.destination !== null && !fields.destinationNegated) return false;
  return [fields.inInterface, fields.outInterface].some((name) => name !== null && after.interfaces.has(name));
}
