import { counted } from '../counted.ts';
import { isJsonArray, isJsonObject, type Json } from '../json.ts';
import {
  canonicalValue,
  type NftChange,
  type NftRule,
  type NftSet,
  printElement,
  typeExpression,
} from '../nftables/index.ts';
import { WIRESERVER } from './addresses.ts';
import { effectsOf } from './nftables-chain-index.ts';
import type { TableContext } from './nftables-context.ts';
import { type Effect, verdictEffects, verdictTargets } from './nftables-effects.ts';
import { capital, worst } from './nftables-judge-rule.ts';
import { holdsWireServer } from './nftables-wireserver.ts';
import type { Assessment } from './severity.ts';

type SetChange = Extract<NftChange, { kind: 'set_changed' }>;

/** What changed elements or attributes of a set can do, by what the rules that use it do. */
export function judgeSetChanged(change: SetChange, users: readonly NftRule[], context: TableContext): Assessment {
  const elements = describeElements(change);
  const name = `${change.after.kind} ${change.after.name}`;
  const active = context.isDormant ? [] : users.filter((rule) => context.baseChainsOf(rule.chain).length > 0);
  const changedElements = [
    ...change.elementsAdded,
    ...change.elementsRemoved,
    ...change.elementsChanged.flatMap(({ before, after }) => [before, after]),
  ];
  if (changedElements.length === 0) return judgeAttributes(change, active.length > 0);
  if (isOnlyComments(change)) return { severity: 'low', reason: `Only comments of elements of ${name} changed` };
  const effects = new Set<Effect>();
  for (const rule of active) for (const effect of effectsOf(context.effect(rule), context)) effects.add(effect);
  if (change.after.kind === 'map' && active.length > 0) {
    const verdicts = new Set(changedElements.flatMap((element) => verdictsOf(element, context)));
    if (verdicts.size > 0) {
      const decisive = [...verdicts].filter((verdict) => verdict !== 'jump' && verdict !== 'goto');
      const severity = decisive.some((verdict) => verdict === 'accept' || verdict === 'drop') ? 'critical' : 'high';
      return {
        severity,
        reason: `${capital(elements)} in verdict map ${change.after.name}: ${describeVerdicts(change)}`,
      };
    }
  }
  if (isAddressMap(change.after)) {
    const use = active.length === 0 ? '; no rule in use looks into it' : '';
    return {
      severity: 'critical',
      reason: `${capital(elements)} in map ${change.after.name}, which leads to other destinations: ${describeVerdicts(change)}${use}`,
    };
  }
  if (active.length === 0) {
    return { severity: 'low', reason: `${capital(elements)} in ${name}, which no rule in use looks into` };
  }
  if (effects.has('drop') && change.elementsAdded.some((element) => holdsWireServer(element))) {
    return {
      severity: 'critical',
      reason: `${name} now holds the Azure WireServer ${WIRESERVER}, and a rule drops what it holds: the guest agent may stop working`,
    };
  }
  return worst(
    [...effects].map((effect) => judgeUse(effect, name, elements)),
    { severity: 'low', reason: `${capital(elements)} in ${name}, which rules only count, log or remember by` },
  );
}

/** A map says itself what happens: addresses as data are destinations (or sources) to translate to. */
function isAddressMap(set: NftSet): boolean {
  const data = set.raw['map'];
  return set.kind === 'map' && data !== undefined && /ipv[46]_addr|"[sd]addr"/.test(JSON.stringify(data));
}

function judgeUse(effect: Effect, name: string, elements: string): Assessment {
  switch (effect) {
    case 'drop':
      return { severity: 'critical', reason: `${capital(elements)} in ${name}, which a drop rule looks into` };
    case 'accept':
      return { severity: 'critical', reason: `${capital(elements)} in ${name}, which an accept rule looks into` };
    case 'dnat':
    case 'redirect':
      return { severity: 'critical', reason: `${capital(elements)} in ${name}: traffic goes to other destinations` };
    case 'return':
    case 'jump':
    case 'goto':
    case 'notrack':
    case 'queue':
    case 'divert':
    case 'snat':
    case 'masquerade':
    case 'unknown':
      return {
        severity: 'high',
        reason: `${capital(elements)} in ${name}, which a rule that steers traffic (${effect}) looks into`,
      };
    case 'mangle':
    case 'expect':
      return {
        severity: 'medium',
        reason: `${capital(elements)} in ${name}, by which packets are marked or rewritten`,
      };
  }
}

function judgeAttributes(change: SetChange, isUsed: boolean): Assessment {
  const names = change.attributes.map(({ name }) => name);
  const name = `${change.after.kind} ${change.after.name}`;
  if (names.every((one) => one === 'comment'))
    return { severity: 'low', reason: `Only the comment of ${name} changed` };
  const isOther = names.includes('type') || names.includes('map') || names.includes('kind');
  return {
    severity: isOther && isUsed ? 'high' : 'medium',
    reason: `${capital(names.join(', '))} of ${name} changed`,
  };
}

function verdictsOf(element: Json, context: TableContext): Effect[] {
  const data = isJsonArray(element) ? (element[1] ?? null) : null;
  const effects = verdictEffects(data);
  // A jump does what its chain does.
  return [...effects, ...verdictTargets(data).flatMap((target) => [...context.closure(target).effects])].filter(
    (effect) => effect !== 'return' || effects.includes('return'),
  );
}

function describeVerdicts(change: SetChange): string {
  const show = (element: Json | undefined): string => (element === undefined ? '' : printMember(element));
  const [changed] = change.elementsChanged;
  if (changed !== undefined) return `${show(changed.before)} became ${show(changed.after)}`;
  const [added] = change.elementsAdded;
  return added !== undefined ? `${show(added)} is new` : `${show(change.elementsRemoved[0])} is gone`;
}

function isOnlyComments(change: SetChange): boolean {
  const isMap = change.after.kind === 'map';
  return (
    change.elementsAdded.length + change.elementsRemoved.length === 0 &&
    change.elementsChanged.every(({ before, after }) => withoutComment(before, isMap) === withoutComment(after, isMap))
  );
}

/** An element's content but for its comment; one that carries nothing else is its bare value. */
function withoutComment(element: Json, isMap: boolean): string {
  const [key = null, data = null] = isMap && isJsonArray(element) ? element : [element];
  if (!isJsonObject(key) || !isJsonObject(key['elem'])) return canonicalValue([key, data]);
  const { comment: _comment, expires: _expires, ...carried } = key['elem'];
  const isBare = Object.keys(carried).length === 1;
  return canonicalValue([isBare ? (carried['val'] ?? null) : { elem: carried }, data]);
}

function describeElements(change: SetChange): string {
  const count = (list: readonly unknown[], verb: string): string[] =>
    list.length === 0 ? [] : [`${counted(list.length, 'element')} ${verb}`];
  return [
    ...count(change.elementsAdded, 'added'),
    ...count(change.elementsRemoved, 'removed'),
    ...count(change.elementsChanged, 'changed'),
  ].join(', ');
}

/** An element as nft prints it: `192.0.2.0/24`, `2201 : 10.0.0.11`. */
export function printMember(element: Json): string {
  return printElement(typeExpression(element), 'plain');
}

/** What a set that was added or removed as a whole means by itself: rules that use it are changes of their own. */
export function judgeSetAsWhole(set: NftSet, users: readonly NftRule[], verb: 'added' | 'removed'): Assessment {
  const size = set.elements.length === 0 ? '' : ` with ${counted(set.elements.length, 'element')}`;
  if (users.length === 0)
    return { severity: 'low', reason: `${capital(set.kind)} ${set.name}${size} was ${verb}; no rule uses it` };
  return {
    severity: 'medium',
    reason: `${capital(set.kind)} ${set.name}${size} was ${verb}; used by ${counted(users.length, 'rule')}`,
  };
}
