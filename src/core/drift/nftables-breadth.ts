import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../json.ts';
import type { NftRule, NftTable } from '../nftables/index.ts';
import { dottedMaskBits, isInnerInterface, isWideRange, WIDE_PREFIX_MAX } from './addresses.ts';
import type { RuleEffect } from './nftables-effects.ts';
import type { PortSpan } from './services.ts';

/** How much a rule's matches let through: the same scale as for iptables. */

/** No source that narrows: no address, network, set or interface that it must come from. */
export function isFromAnywhere(rule: NftRule, table: NftTable): boolean {
  return matchesOf(rule).every((match) => {
    const parts = listIn(match.left, 'concat');
    if (parts !== null) return leavesSourceOpen(match, parts, table);
    const { protocol, field, meta } = subjectOf(match.left);
    if (field === 'saddr') return protocol !== 'ether' && narrowsLittle(match, table);
    return meta !== 'iif' && meta !== 'iifname' ? true : narrowsLittle(match, table);
  });
}

/**
 * Nearly everything from outside passes all that the rule asks for, or can be sent so that it does: a whole transport
 * protocol, any new connection, one outer interface, half the address space, a port that the sender chooses.
 */
export function isNearlyAll(rule: NftRule, effect: RuleEffect, table: NftTable): boolean {
  if (effect.isHidden) return false;
  const matches = matchesOf(rule);
  const limits = rule.expr.filter((statement) => isJsonObject(statement) && 'limit' in statement).length;
  if (matches.length + limits !== effect.conditions.length) return false;
  const devices = matches.filter(({ left, op }) => op !== '!=' && /^[io]if(name)?$/.test(subjectOf(left).meta ?? ''));
  return devices.length < 2 && matches.every((match) => narrowsLittle(match, table));
}

/** The destination ports that the rule asks for by a list, a set or a verdict map; null when it names none. */
export function namedPorts(rule: NftRule, table: NftTable): readonly PortSpan[] | null {
  for (const statement of rule.expr) {
    if (!isJsonObject(statement)) continue;
    const { match, vmap } = statement;
    if (isJsonObject(match) && match['op'] !== '!=' && subjectOf(match['left'] ?? null).field === 'dport') {
      return valuesOf(membersOf(match['right'] ?? null, table)).flatMap(spanOf);
    }
    if (isJsonObject(vmap) && subjectOf(vmap['key'] ?? null).field === 'dport') {
      const pairs = valuesOf(membersOf(vmap['data'] ?? null, table)).filter(isJsonArray);
      return pairs
        .filter(([, verdict]) => !isJsonObject(verdict) || !('drop' in verdict))
        .flatMap(([key]) => spanOf(key ?? null));
    }
  }
  return null;
}

interface Match {
  readonly op: string;
  readonly left: Json;
  readonly right: Json;
}

function matchesOf({ expr }: NftRule): Match[] {
  return expr.flatMap((statement) => {
    const match = isJsonObject(statement) ? statement['match'] : undefined;
    if (!isJsonObject(match)) return [];
    return [{ op: String(match['op']), left: match['left'] ?? null, right: match['right'] ?? null }];
  });
}

/** `{ name: […] }` */
function listIn(value: Json | undefined, name: string): readonly Json[] | null {
  const list = value !== undefined && isJsonObject(value) ? value[name] : undefined;
  return list !== undefined && isJsonArray(list) ? list : null;
}

interface Subject {
  readonly meta: string | null;
  readonly ct: string | null;
  readonly protocol: string | null;
  readonly field: string | null;
  /** `& mask` */
  readonly mask: Json;
}

function subjectOf(left: Json | undefined): Subject {
  const text = (value: Json | undefined): string | null => (typeof value === 'string' ? value : null);
  const masked = listIn(left, '&');
  const bare: Json | undefined = masked === null ? left : (masked[0] ?? null);
  const member = (name: string): JsonObject => {
    const body = isJsonObject(bare) ? bare[name] : undefined;
    return isJsonObject(body) ? body : {};
  };
  const isTunnel = member('payload')['tunnel'] !== undefined;
  return {
    meta: text(member('meta')['key']),
    ct: text(member('ct')['key']),
    protocol: isTunnel ? null : text(member('payload')['protocol']),
    field: isTunnel ? null : text(member('payload')['field']),
    mask: masked?.[1] ?? null,
  };
}

/** A combination of fields, `ip saddr . tcp dport`: open to all when one of those that it may have is. */
function leavesSourceOpen({ op, right }: Match, parts: readonly Json[], table: NftTable): boolean {
  const at = parts.findIndex((part) => subjectOf(part).field === 'saddr');
  if (at === -1 || op === '!=') return true;
  return valuesOf(membersOf(right, table)).some((value) => {
    return isWide(listIn(bareElement(value), 'concat')?.[at] ?? null);
  });
}

function narrowsLittle(match: Match, table: NftTable): boolean {
  const { op, left, right } = match;
  const { meta, ct, protocol, field, mask } = subjectOf(left);
  const isNegated = op === '!=';
  const values = valuesOf(membersOf(right, table)).map(bareElement);
  const has = (...names: string[]): boolean =>
    values.some((value) => typeof value === 'string' && names.includes(value));
  if (isJsonObject(left) && isJsonObject(left['fib'])) {
    return left['fib']['result'] === 'type' && !isNegated && has('local', 'unicast');
  }
  // 0 is the mark of what nobody marked.
  if (meta === 'mark' || ct === 'mark') return values.length === 1 && (values[0] === 0) !== isNegated;
  if (mask !== null && field === 'saddr') return typeof mask === 'string' && dottedMaskBits(mask) <= WIDE_PREFIX_MAX;
  if (field === 'flags' && protocol === 'tcp') return !isNegated && values.length === 1 && values[0] === 'syn';
  if (mask !== null) return false;
  switch (meta) {
    case null:
      break;
    case 'l4proto':
      return isNegated || has('tcp', 'udp');
    case 'nfproto':
      return true;
    case 'protocol':
      return isNegated || has('ip', 'ip6');
    case 'pkttype':
      return !isNegated && has('host', 'unicast');
    case 'iif':
    case 'iifname':
    case 'oif':
    case 'oifname':
      return isNegated || values.some((name) => typeof name === 'string' && !isInnerInterface(name));
    default:
      return meta === 'length' || meta === 'iiftype';
  }
  if (ct === 'state') return has('new') !== isNegated;
  if (ct !== null) return ct === 'direction' && has('original') !== isNegated;
  switch (field) {
    case 'saddr':
    case 'daddr':
      if (isNegated) return !values.some((value) => prefixLength(value) === 0);
      return values.some(isWide);
    case 'protocol':
    case 'nexthdr':
      return isNegated || has('tcp', 'udp');
    case 'version':
    case 'length':
    case 'ttl':
    case 'hoplimit':
      return true;
    case 'sport':
      return true;
    case 'dport':
      return isNegated || countPorts(op, values) >= 0x8000;
    default:
      return false;
  }
}

/** The items of a set or a list, or the value itself. */
function valuesOf(right: Json): readonly Json[] {
  if (isJsonArray(right)) return right;
  return listIn(right, 'set') ?? [right];
}

/** A named set by what it holds. */
function membersOf(right: Json, table: NftTable): Json {
  if (typeof right !== 'string' || right[0] !== '@') return right;
  return { set: [...(table.sets.get(right.slice(1))?.elements ?? [])] };
}

/** An element without its timeout, counter and comment. */
function bareElement(value: Json): Json {
  return isJsonObject(value) && isJsonObject(value['elem']) ? (value['elem']['val'] ?? null) : value;
}

function prefixLength(value: Json): number | null {
  const prefix = isJsonObject(value) ? value['prefix'] : undefined;
  return isJsonObject(prefix) && typeof prefix['len'] === 'number' ? prefix['len'] : null;
}

function isWide(value: Json): boolean {
  const length = prefixLength(value);
  if (length !== null) return length <= WIDE_PREFIX_MAX;
  const [first, last] = listIn(value, 'range') ?? [];
  return typeof first === 'string' && typeof last === 'string' && isWideRange(first, last);
}

function spanOf(value: Json | undefined): PortSpan[] {
  const bare = bareElement(value ?? null);
  const [low, high] = listIn(bare, 'range') ?? [bare, bare];
  return typeof low === 'number' && typeof high === 'number' ? [{ low, high }] : [];
}

function countPorts(op: string, values: readonly Json[]): number {
  const [value] = values;
  if (typeof value === 'number' && /^[<>]/.test(op)) return op[0] === '<' ? value : 0x10000 - value;
  return values.flatMap(spanOf).reduce((sum, { low, high }) => sum + high - low + 1, 0);
}
