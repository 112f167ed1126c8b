import type { IptablesRule, RuleFields } from '../iptables/index.ts';
import {
  destinationPorts,
  fromAnywhere,
  isBlanket,
  isLoopback,
  isOnlyReturnTraffic,
  isReturnTraffic,
  isUnconditional,
  opensEveryPort,
  sensitiveService,
  touchesWireServer,
} from './iptables-breadth.ts';
import type { ChainContext, TableContext } from './iptables-context.ts';
import { denies, effectOf, fillsRecentList, type RuleEffect } from './iptables-effect.ts';
import { chainOwner, isBanTool } from './owners.ts';
import type { Assessment, Severity } from './severity.ts';
import { ACCEPTS, DENIES } from './verdict-bits.ts';

/** A rule where it stands: what judging it needs to know of its surroundings. */
export interface PlacedRule {
  readonly rule: IptablesRule;
  readonly index: number;
  readonly table: TableContext;
}

function contextOf({ rule, table }: PlacedRule): ChainContext {
  return table.chain(rule.chain);
}

function isNeverMet({ rule, index, table }: PlacedRule): boolean {
  return index > table.chain(rule.chain).finalIndex;
}

function judged(severity: Severity, reason: string): Assessment {
  return { severity, reason };
}

/** What a rule that came can do. */
export function judgeAdded(placed: PlacedRule): Assessment {
  const { rule } = placed;
  const fields = rule.fields;
  const effect = effectOf(fields);
  const context = contextOf(placed);
  const what = describeRule(fields);
  if (context.bases.length === 0) return judged('low', `${what} in a chain that no hook reaches`);
  if (isNeverMet(placed)) return judged('low', `${what}: a rule above it decides on everything already`);
  switch (effect) {
    case 'accept':
      return judgeAcceptAdded(placed, context, what);
    case 'drop':
    case 'reject':
      return judgeDenyAdded(placed, context, what);
    case 'chain':
      return judgeJumpAdded(placed, what);
    case 'return':
      return judgeReturnAdded(placed, what);
    default:
      return judgeOther(effect, fields, what, 'added');
  }
}

/** An accept that came below one that accepts the same packets. */
export function judgeCovered(rule: IptablesRule): Assessment {
  return judged('low', `${describeRule(rule.fields)}: a rule above it accepts the same already`);
}

/** Whether another rule of the chain accepts the same packets, and whether they get there: `below` others that may drop. */
export type Cover = 'none' | 'below' | 'same';

/** What it means that a rule is gone. */
export function judgeRemoved(placed: PlacedRule, covered: Cover): Assessment {
  const fields = placed.rule.fields;
  const effect = effectOf(fields);
  const context = contextOf(placed);
  const what = describeRule(fields);
  if (context.bases.length === 0) return judged('low', `${what} is gone from a chain that no hook reached`);
  if (isNeverMet(placed)) return judged('low', `${what} is gone: a rule above it decided on everything`);
  switch (effect) {
    case 'accept':
      return judgeAcceptRemoved(placed, context, what, covered);
    case 'drop':
    case 'reject':
      if (placed.rule.table === 'nat') return judged('high', `${what} is gone`);
      return judged('critical', `${what} is gone: these packets are no longer stopped here`);
    case 'chain':
      return judgeJumpRemoved(placed, context, what);
    default:
      return judgeOther(effect, fields, what, 'removed');
  }
}

function judgeAcceptAdded(placed: PlacedRule, context: ChainContext, what: string): Assessment {
  const fields = placed.rule.fields;
  if (placed.rule.table === 'nat') return judged('medium', `${what}: these connections are exempt from the NAT below`);
  if (!mayDeny(context, placed)) return judged('low', `${what}, where nothing is dropped anyway`);
  if (isBlanket(fields)) {
    if (context.reachedByAll) return judged('critical', `${what}: nearly everything that gets here is now accepted`);
    return judged('high', `${what}: everything that is sent to this chain is now accepted`);
  }
  if (isOnlyReturnTraffic(fields)) return judged('low', `${what}: only packets of accepted connections`);
  if (isLoopback(fields)) return judged('low', `${what}: only packets on the loopback interface`);
  if (!context.deniedByDefault) {
    if (isBanChain(placed)) return judged('medium', `${what}: overtakes the bans of this chain`);
    if (!isDeniedOnTheWay(context, placed)) return judged('low', `${what}, where nothing is dropped anyway`);
    return judged('medium', `${what}: overtakes the rules below that drop`);
  }
  if (isOutgoingOnly(context)) return judged('medium', `${what}: the host may send this now`);
  if (!fromAnywhere(fields)) return judged('medium', `${what} is now accepted`);
  const service = sensitiveService(fields);
  if (service !== null) return judged('critical', `${service} is now open to any source: ${what}`);
  if (opensEveryPort(fields)) return judged('critical', `every port is now open to any source: ${what}`);
  return judged('high', `${what}: now open to any source`);
}

/** Bans come here, if there are none now. */
function isBanChain({ rule }: PlacedRule): boolean {
  const owner = chainOwner(rule.table, rule.chain);
  return owner !== null && isBanTool(owner);
}

function isOutgoingOnly({ bases }: ChainContext): boolean {
  return bases.every((base) => base === 'OUTPUT');
}

/** Something could stop a packet in this table. */
function mayDeny(context: ChainContext, placed: PlacedRule): boolean {
  if (context.deniedByDefault || isDeniedOnTheWay(context, placed)) return true;
  // A chain that is to filter and lets all pass now may get its drops later, below what accepts everything.
  return placed.table.table.name === 'filter' && context.reachedByAll;
}

/** A rule on some way from the hooks that reach the chain drops or rejects. */
function isDeniedOnTheWay({ bases }: ChainContext, { table }: PlacedRule): boolean {
  return bases.some((base) => (table.chain(base).verdicts & DENIES) !== 0);
}

function judgeDenyAdded(placed: PlacedRule, context: ChainContext, what: string): Assessment {
  const { rule, index, table } = placed;
  const fields = rule.fields;
  if (context.bases.includes('OUTPUT') && touchesWireServer(fields)) {
    const consequence = 'blocks the Azure WireServer (168.63.129.16), so Run Command may no longer reach this VM';
    return judged('critical', `${what}: ${consequence}`);
  }
  const chain = table.table.chains.get(rule.chain);
  const isLast = index === (chain?.rules.length ?? 0) - 1;
  if (chain?.policy === 'DROP' && isLast && isUnconditional(fields)) {
    return judged('low', `${what} at the end of a chain whose policy drops anyway`);
  }
  if (rule.table === 'nat') return judged('high', what);
  return judged('critical', `${what}: these packets are now stopped`);
}

function judgeAcceptRemoved(placed: PlacedRule, context: ChainContext, what: string, covered: Cover): Assessment {
  const fields = placed.rule.fields;
  if (placed.rule.table === 'nat') return judged('medium', `${what} is gone: these connections meet the NAT below`);
  if (covered === 'same') return judged('medium', `${what} is gone, but another rule of the chain accepts the same`);
  if (!context.deniedByDefault) {
    if (!isDeniedOnTheWay(context, placed)) return judged('low', `${what} is gone, where nothing is dropped anyway`);
    return judged('medium', `${what} is gone: these packets now meet the rules below`);
  }
  if (fields.destination?.startsWith('168.63.129.16/') === true && context.bases.includes('OUTPUT')) {
    return judged('critical', `${what} is gone: the Azure WireServer can no longer be reached`);
  }
  if (isReturnTraffic(fields)) return judged('critical', `${what} is gone: answers of open connections are dropped`);
  if (covered === 'below') {
    return judged('critical', `${what} is gone: another accept of the same stands below rules that may drop it`);
  }
  return judged('critical', `${what} is gone, and what nothing accepts is dropped here: the last accept of this`);
}

/** RETURN in a built-in chain is its policy; elsewhere the caller's next rule decides. So does a goto that comes to an end. */
function judgeReturnAdded(placed: PlacedRule, what: string): Assessment {
  const { policy = null } = placed.table.table.chains.get(placed.rule.chain) ?? {};
  const skips = `${what}: changes which packets meet the rules below`;
  if (policy === null || placed.rule.table === 'nat' || !isBlanket(placed.rule.fields)) return judged('high', skips);
  return judged('critical', `${what}: the policy ${policy} decides on nearly everything, whatever the rules below say`);
}

function judgeJumpAdded(placed: PlacedRule, what: string): Assessment {
  const fields = placed.rule.fields;
  if (isUnknownTarget(placed)) return judged('high', `${what}: what it does is not known here`);
  const target = placed.table.chain(fields.target?.name ?? '');
  if (fields.goto) {
    // What comes to the end of that chain does not come back: the policy, or the caller, decides on it.
    const left = judgeReturnAdded(placed, what);
    if (left.severity === 'critical' || (target.verdicts & DENIES) === 0) return left;
  }
  if ((target.verdicts & DENIES) !== 0) return judged('critical', `${what}: packets can now be dropped there`);
  if ((target.verdicts & ACCEPTS) === 0) return judged('low', `${what}, which decides nothing`);
  return judged('high', `${what}: packets can now be accepted there`);
}

/** Neither a target this program knows nor a chain of the table: an extension newer than the table of extensions. */
function isUnknownTarget({ rule, table }: PlacedRule): boolean {
  return !rule.fields.goto && !table.table.chains.has(rule.fields.target?.name ?? '');
}

function judgeJumpRemoved(placed: PlacedRule, context: ChainContext, what: string): Assessment {
  if (isUnknownTarget(placed)) return judged('high', `${what} is gone: what it did is not known here`);
  const target = placed.table.chain(placed.rule.fields.target?.name ?? '');
  if ((target.verdicts & DENIES) !== 0) return judged('critical', `${what} is gone: what was dropped there passes on`);
  if (placed.rule.fields.goto) return judged('high', `${what} is gone: these packets now meet the rules below`);
  if ((target.verdicts & ACCEPTS) === 0) return judged('low', `${what} is gone, which decided nothing`);
  if (context.deniedByDefault) return judged('critical', `${what} is gone: what was accepted there is now dropped`);
  return judged('medium', `${what} is gone`);
}

function judgeOther(effect: RuleEffect, fields: RuleFields, what: string, change: 'added' | 'removed'): Assessment {
  const gone = change === 'removed' ? ' is gone' : '';
  const isPassing = effect === 'count' || effect === 'log' || effect === 'alter';
  if (effect === 'remember' || (isPassing && fillsRecentList(fields))) {
    return judged('high', `${what}${gone}: changes a list of addresses by which other rules may decide`);
  }
  switch (effect) {
    case 'notrack':
      if (isBlanket(fields)) {
        return judged('critical', `${what}${gone}: connection tracking, on which state rules rely, changes for all`);
      }
      return judged('high', `${what}${gone}: these packets change between tracked and untracked`);
    case 'destination-nat':
      return judged('high', `${what}${gone}: traffic goes to another place`);
    case 'source-nat':
      return change === 'removed'
        ? judged('high', `${what} is gone: these packets leave with their own source address`)
        : judged('medium', `${what}: these packets leave with another source address`);
    case 'queue':
      return judged('high', `${what}${gone}: a program decides on these packets`);
    case 'return':
      return judged('high', `${what}${gone}: changes which packets meet the rules below`);
    case 'log':
    case 'count':
      return judged('low', `${what}${gone}: lets every packet pass on`);
    case 'unknown':
      return judged('high', `${what}${gone}: what it does is not known here`);
    default:
      return judged('medium', `${what}${gone}: changes packets, or marks by which other rules may decide`);
  }
}

/** Fields whose change alters what is said of a packet, never what happens to it. */
const HARMLESS_FIELD = /^(comment|comment#[0-9]+|target\.(log|nflog|ulog)_.*|matches)$/;

/** What it means that a rule became another one at the same place. */
export function judgeModified(
  before: PlacedRule,
  after: PlacedRule,
  fields: readonly string[],
  covered: Cover,
): Assessment {
  const was = before.rule.fields;
  const is = after.rule.fields;
  const context = contextOf(after);
  const names = fields.join(', ');
  if (fields.every((field) => HARMLESS_FIELD.test(field))) {
    return judged('low', `only ${names} changed: ${describeRule(is)}`);
  }
  if (context.bases.length === 0 && contextOf(before).bases.length === 0) {
    return judged('low', `${names} changed in a chain that no hook reaches`);
  }
  if (isNeverMet(before) && isNeverMet(after)) {
    return judged('low', `${names} changed, and a rule above it decides on everything: ${describeRule(is)}`);
  }
  const [left, right] = [effectOf(was), effectOf(is)];
  if (denies(left) && denies(right) && fields.every((field) => field.startsWith('target'))) {
    const answers = `${describeRule(was)}, now ${describeRule(is)}`;
    return judged('low', `these packets are stopped as before, only the answer to it changed: ${answers}`);
  }
  if (left === 'chain' && right === 'chain') return judgeJumpModified(was, is, fields, after);
  if (left === 'destination-nat' && right === left && fields.some((field) => field.startsWith('target'))) {
    return judged('critical', `traffic is sent to another place: ${describeRule(was)}, now ${describeRule(is)}`);
  }
  if (left === 'accept' && right === 'accept') return judgeAcceptModified(before, after, fields, covered);
  const [gone, came] = [judgeRemoved(before, covered), judgeAdded(after)];
  const severity = worse(gone.severity, came.severity);
  return judged(severity, `${names} changed: ${describeRule(was)}, now ${describeRule(is)}`);
}

const ORDER: readonly Severity[] = ['critical', 'high', 'medium', 'low', 'noise'];

export function worse(a: Severity, b: Severity): Severity {
  return ORDER.indexOf(a) <= ORDER.indexOf(b) ? a : b;
}

function judgeJumpModified(was: RuleFields, is: RuleFields, fields: readonly string[], after: PlacedRule): Assessment {
  const change = `${describeRule(was)}, now ${describeRule(is)}`;
  if (was.goto !== is.goto) {
    const consequence = is.goto ? 'packets no longer come back' : 'packets now come back';
    return judged('critical', `${consequence} to the rules after it: ${change}`);
  }
  if (fields.includes('target')) return judged('critical', `redirected to another chain: ${change}`);
  const verdicts = after.table.chain(is.target?.name ?? '').verdicts;
  const severity = verdicts === 0 ? 'low' : (verdicts & DENIES) !== 0 ? 'critical' : 'high';
  return judged(severity, `other packets are sent to the chain: ${change}`);
}

function judgeAcceptModified(
  before: PlacedRule,
  after: PlacedRule,
  fields: readonly string[],
  covered: Cover,
): Assessment {
  const context = contextOf(after);
  const change = `${describeRule(before.rule.fields)}, now ${describeRule(after.rule.fields)}`;
  const left = conditions(before.rule.fields);
  const right = conditions(after.rule.fields);
  if (after.rule.table === 'nat') return judged('medium', `${fields.join(', ')} changed: ${change}`);
  const dropped = left.filter((condition) => !right.includes(condition));
  const turned = dropped.some((condition) => right.includes(turn(condition)));
  if (turned) return judged('critical', `a condition of an accepting rule was turned around: ${change}`);
  const gained = right.filter((condition) => !left.includes(condition));
  if (gained.length === 0) return judged('critical', `an accepting rule lost a condition: ${change}`);
  const came = judgeAdded(after);
  if (dropped.length === 0) {
    const severity = context.deniedByDefault ? 'high' : 'medium';
    return judged(severity, `an accepting rule gained a condition: ${change}`);
  }
  const gone = judgeRemoved(before, covered);
  return judged(worse(gone.severity, came.severity), `another accept than before: ${change}`);
}

/** A rule's conditions, one text each, a negated one with `!` in front; comments left out. */
export function conditions(fields: RuleFields): string[] {
  const list: string[] = [];
  const put = (name: string, value: string | null, negated: boolean): void => {
    if (value !== null) list.push(`${negated ? '!' : ''}${name} ${value}`);
  };
  put('-p', fields.protocol, fields.protocolNegated);
  put('-s', fields.source, fields.sourceNegated);
  put('-d', fields.destination, fields.destinationNegated);
  put('-i', fields.inInterface, fields.inInterfaceNegated);
  put('-o', fields.outInterface, fields.outInterfaceNegated);
  put('-f', fields.fragment ? '' : null, fields.fragmentNegated);
  for (const token of fields.stray) list.push(`stray ${token}`);
  for (const match of fields.matches) {
    if (match.name === 'comment') continue;
    if (match.options.length === 0) list.push(`-m ${match.name}`);
    const name = match.name === 'state' ? 'conntrack' : match.name;
    for (const option of match.options) {
      put(`${name} ${option.name.replace(/^--state$/, '--ctstate')}`, option.values.join(' '), option.negated);
    }
  }
  return list;
}

function turn(condition: string): string {
  return condition.startsWith('!') ? condition.slice(1) : `!${condition}`;
}

/** Whether `wide` accepts every packet that `narrow` accepted, as far as their conditions show it. */
export function covers(wide: RuleFields, narrow: RuleFields): boolean {
  if (effectOf(wide) !== 'accept') return false;
  const has = new Set(conditions(narrow));
  const ports = onlyDestinationPorts(narrow);
  const widePorts = onlyDestinationPorts(wide);
  return conditions(wide).every((condition) => {
    if (has.has(condition)) return true;
    if (!/ --(dport|dports) /.test(condition) || condition.startsWith('!')) return false;
    return (
      ports !== null &&
      widePorts !== null &&
      ports.every(({ low, high }) => widePorts.some((span) => span.low <= low && high <= span.high))
    );
  });
}

/**
 * The ports of a rule's one condition on them, null when it has none or several. `--ports` also holds for a packet that
 * comes from such a port, to whatever port it goes.
 */
function onlyDestinationPorts(fields: RuleFields): ReturnType<typeof destinationPorts> {
  const named = fields.matches.flatMap(({ options }) =>
    options.map(({ name }) => name).filter((name) => /^--(dports?|ports|ctorigdstport)$/.test(name)),
  );
  return named.length === 1 && /^--dports?$/.test(named[0] ?? '') ? destinationPorts(fields) : null;
}

export function judgePolicy(table: string, chain: string, before: string | null, after: string | null): Assessment {
  const change = `the policy of ${chain} went from ${before ?? 'none'} to ${after ?? 'none'}`;
  if (table === 'nat') return judged('high', change);
  if (before === null || after === null)
    return judged('high', `${change}: the chain is ${before === null ? 'now' : 'no longer'} called by the kernel`);
  if (after === 'DROP' && chain === 'OUTPUT') {
    return judged(
      'critical',
      `${change}: what no rule accepts is dropped, the Azure WireServer (168.63.129.16) included`,
    );
  }
  if (after === 'DROP') return judged('critical', `${change}: what no rule accepts is now dropped`);
  return judged('critical', `${change}: what no rule drops is now let through`);
}

/** A rule in words: `ACCEPT of tcp/22 from 10.0.0.0/8`. */
export function describeRule(fields: RuleFields): string {
  const target = fields.target === null ? 'counting' : fields.goto ? `goto ${fields.target.name}` : fields.target.name;
  const not = (negated: boolean): string => (negated ? 'not ' : '');
  const ports = destinationPorts(fields)
    ?.map(({ low, high }) => (low === high ? String(low) : `${low}-${high}`))
    .join(',');
  const protocol = fields.protocol === null ? null : `${not(fields.protocolNegated)}${fields.protocol}`;
  const parts = [target];
  if (protocol !== null || ports !== undefined) {
    parts.push(`of ${protocol ?? 'port'}${ports === undefined ? '' : `/${ports}`}`);
  } else if (isUnconditional(fields)) {
    parts.push('of everything');
  }
  if (fields.source !== null) parts.push(`from ${not(fields.sourceNegated)}${fields.source}`);
  if (fields.destination !== null) parts.push(`to ${not(fields.destinationNegated)}${fields.destination}`);
  if (fields.inInterface !== null) parts.push(`in by ${not(fields.inInterfaceNegated)}${fields.inInterface}`);
  if (fields.outInterface !== null) parts.push(`out by ${not(fields.outInterfaceNegated)}${fields.outInterface}`);
  const others = fields.matches.map(({ name }) => name).filter((name) => !/^(comment|tcp|udp)$/.test(name));
  if (others.length > 0) parts.push(`(${[...new Set(others)].join(', ')})`);
  return parts.join(' ');
}
