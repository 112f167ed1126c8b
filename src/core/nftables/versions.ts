import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../json.ts';
import { canonicalStatements, canonicalValue, DEPTH_MAX } from './canonical.ts';
import { parseStatementText } from './statement-text.ts';

/**
 * What two nft versions print differently for one kernel state, beyond spelling: one of them knows less. Used only when
 * baseline and current were listed by different versions; found by listing the same kernel with 1.0.6 and 1.1.3.
 */
export function canonicalAcrossVersions(statements: readonly Json[]): string {
  return canonicalStatements(statements.map((statement) => loosen(repaired(statement), 0)));
}

function repaired(statement: Json): Json {
  return typeof statement === 'string' ? (parseStatementText(statement) ?? statement) : statement;
}

/** Negative when `a` is the older of two versions; 0 when they are equal or cannot be compared. */
export function compareVersions(a: string | null, b: string | null): number {
  if (a === null || b === null) return 0;
  const left = a.split('.').map(Number);
  const right = b.split('.').map(Number);
  for (let index = 0; index < Math.max(left.length, right.length); index += 1) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (Number.isNaN(difference)) return 0;
    if (difference !== 0) return difference;
  }
  return 0;
}

// 1.1 prints the codes of ICMP as numbers, 1.0 as the names of `nft describe icmp code`.
const ICMP_CODES: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map([
  [
    'icmp',
    new Map([
      ['net-unreachable', 0],
      ['host-unreachable', 1],
      ['prot-unreachable', 2],
      ['port-unreachable', 3],
      ['frag-needed', 4],
      ['net-prohibited', 9],
      ['host-prohibited', 10],
      ['admin-prohibited', 13],
    ]),
  ],
  [
    'icmpv6',
    new Map([
      ['no-route', 0],
      ['admin-prohibited', 1],
      ['addr-unreachable', 3],
      ['port-unreachable', 4],
      ['policy-fail', 5],
      ['reject-route', 6],
    ]),
  ],
]);

const MPTCP_SUBTYPES: ReadonlyMap<string, number> = new Map(
  ['mp-capable', 'mp-join', 'dss', 'add-addr', 'remove-addr', 'mp-prio', 'mp-fail', 'mp-fastclose', 'mp-tcprst'].map(
    (name, value) => [name, value],
  ),
);

function loosen(value: Json, depth: number): Json {
  if (value === null || typeof value !== 'object' || depth > DEPTH_MAX) return value;
  if (isJsonArray(value)) return value.map((item) => loosen(item, depth + 1));
  const keys = Object.keys(value);
  const only = keys.length === 1 ? (keys[0] as string) : '';
  const body = only === '' ? undefined : (value[only] as Json);
  if (isJsonObject(body)) {
    if (only === 'match') return loosenMatch(body, depth);
    if (only === 'meter') return loosenMeter(body, depth);
    // 1.0 loses the statements of an element of an anonymous set of one.
    if (only === 'elem') return loosenElement(body, depth);
  }
  return mapMembers(value, (member) => loosen(member, depth + 1));
}

function loosenMatch(match: JsonObject, depth: number): Json {
  const left = match['left'] ?? null;
  let right = match['right'] ?? null;
  const names = namesOf(left);
  if (names !== null) right = numbersFor(right, names, depth);
  right = soleMember(loosen(right, depth + 1), match['op']);
  const prefix = isJsonObject(right) && isJsonObject(right['prefix']) ? right['prefix'] : null;
  if (prefix !== null && typeof prefix['addr'] === 'number' && typeof prefix['len'] === 'number') {
    // 1.0 prints a masked mark as a prefix of 32 bits, 1.1 as the mask.
    const mask = prefix['len'] <= 0 ? 0 : (0xffffffff << (32 - Math.min(prefix['len'], 32))) >>> 0;
    return { match: { ...match, left: { '&': [loosen(left, depth + 1), mask] }, right: prefix['addr'] } };
  }
  return { match: { ...match, left: loosen(left, depth + 1), right } };
}

/** A set of one is the value itself, unless the operator takes flags apart. */
function soleMember(right: Json, op: Json | undefined): Json {
  if (op === 'in' || !isJsonObject(right)) return right;
  const members = right['set'];
  if (members === undefined || !isJsonArray(members) || members.length !== 1) return right;
  return members[0] as Json;
}

function loosenMeter(meter: JsonObject, depth: number): Json {
  const { name, key, stmt, size: _size, ...others } = meter;
  const isTimed = isJsonObject(key) && isJsonObject(key['elem']) && 'timeout' in key['elem'];
  const statements = stmt === undefined ? [] : isJsonArray(stmt) ? stmt : [stmt];
  return {
    set: {
      ...others,
      op: isTimed ? 'update' : 'add',
      elem: loosen(key ?? null, depth + 1),
      set: `@${typeof name === 'string' ? name : ''}`,
      stmt: statements.map((statement) => loosen(statement, depth + 1)),
    },
  };
}

function loosenElement(element: JsonObject, depth: number): Json {
  const kept = Object.keys(element).filter((key) => !LOST_IN_ELEMENTS.has(key));
  const value = loosen(element['val'] ?? null, depth + 1);
  if (kept.length === 1 && kept[0] === 'val') return value;
  const members: Record<string, Json> = {};
  for (const key of kept) members[key] = key === 'val' ? value : (element[key] as Json);
  return { elem: members };
}

const LOST_IN_ELEMENTS: ReadonlySet<string> = new Set(['counter', 'limit', 'quota', 'last', 'ct count', 'expires']);

type Names = ReadonlyMap<string, number> | { readonly parts: readonly (ReadonlyMap<string, number> | null)[] };

/** How the right side of a match on `left` is named in one version and numbered in another. */
function namesOf(left: Json): Names | null {
  if (!isJsonObject(left)) return null;
  const { payload, concat } = left;
  const option = left['tcp option'];
  if (isJsonObject(payload) && payload['field'] === 'code') {
    return (typeof payload['protocol'] === 'string' ? ICMP_CODES.get(payload['protocol']) : undefined) ?? null;
  }
  if (isJsonObject(option) && option['name'] === 'mptcp') return MPTCP_SUBTYPES;
  if (concat === undefined || !isJsonArray(concat)) return null;
  const parts = concat.map((part) => {
    const names = namesOf(part);
    return names instanceof Map ? (names as ReadonlyMap<string, number>) : null;
  });
  return parts.some((part) => part !== null) ? { parts } : null;
}

function numbersFor(value: Json, names: Names, depth: number): Json {
  if (depth > DEPTH_MAX) return value;
  if (typeof value === 'string') return names instanceof Map ? (names.get(value) ?? value) : value;
  if (value === null || typeof value !== 'object') return value;
  if (isJsonArray(value)) return value.map((item) => numbersFor(item, names, depth + 1));
  const concat = value['concat'];
  if (concat !== undefined && isJsonArray(concat) && 'parts' in names) {
    return {
      concat: concat.map((part, index) => {
        const own = names.parts[index] ?? null;
        return own === null ? part : numbersFor(part, own, depth + 1);
      }),
    };
  }
  return mapMembers(value, (member) => numbersFor(member, names, depth + 1));
}

function mapMembers(object: JsonObject, change: (member: Json) => Json): JsonObject {
  return Object.fromEntries(Object.entries(object).map(([key, member]) => [key, change(member)]));
}

/** The type of a set's key or data, where `typeof` and concatenations are resolved; parts that a version cannot name are `integer`. */
function typeParts(type: Json | undefined): string[] {
  if (typeof type === 'string') return type.split(' . ');
  if (type === undefined || type === null || typeof type !== 'object') return [String(type)];
  if (isJsonArray(type)) return type.flatMap(typeParts);
  const of = type['typeof'];
  if (!isJsonObject(of)) return ['integer'];
  const concat = of['concat'];
  return (concat !== undefined && isJsonArray(concat) ? concat : [of]).map(datatypeOf);
}

/** Whether two listings can mean the same set type: 1.0 prints `integer` for what 1.1 prints as `typeof`. */
export function sameTypeAcrossVersions(a: Json | undefined, b: Json | undefined): boolean {
  const left = typeParts(a);
  const right = typeParts(b);
  // 1.0 prints only the first part of a concatenation that it cannot name.
  const isCut = (type: Json | undefined, parts: readonly string[]): boolean =>
    typeof type === 'string' && parts.length === 1 && left.length !== right.length;
  if (left.length !== right.length && !isCut(a, left) && !isCut(b, right)) return false;
  const shared = Math.min(left.length, right.length);
  return left
    .slice(0, shared)
    .every((part, index) => part === right[index] || part === 'integer' || right[index] === 'integer');
}

function datatypeOf(expression: Json): string {
  if (!isJsonObject(expression)) return 'integer';
  const kind = Object.keys(expression)[0] ?? '';
  const body = expression[kind];
  if (!isJsonObject(body)) return 'integer';
  return (
    DATATYPES.get(
      [kind, body['protocol'], body['field'] ?? body['key']].filter((part) => part !== undefined).join(' '),
    ) ?? 'integer'
  );
}

// Where the expression has a type of its own; all others are integers to a version that cannot print typeof.
const DATATYPES: ReadonlyMap<string, string> = new Map([
  ['payload ip saddr', 'ipv4_addr'],
  ['payload ip daddr', 'ipv4_addr'],
  ['payload ip6 saddr', 'ipv6_addr'],
  ['payload ip6 daddr', 'ipv6_addr'],
  ['payload ether saddr', 'ether_addr'],
  ['payload ether daddr', 'ether_addr'],
  ['payload ip protocol', 'inet_proto'],
  ['payload ip6 nexthdr', 'inet_proto'],
  ...['tcp', 'udp', 'udplite', 'sctp', 'dccp', 'th'].flatMap((protocol): [string, string][] => [
    [`payload ${protocol} sport`, 'inet_service'],
    [`payload ${protocol} dport`, 'inet_service'],
  ]),
  ['meta l4proto', 'inet_proto'],
  ['meta iif', 'iface_index'],
  ['meta oif', 'iface_index'],
  ['meta iifname', 'ifname'],
  ['meta oifname', 'ifname'],
  ['meta mark', 'mark'],
  ['ct mark', 'mark'],
]);

/** Equal in every version: the canonical text of a set's `type` or `map`. */
export function canonicalType(type: Json): string {
  return typeof type === 'string' && type.includes(' . ') ? canonicalValue(type.split(' . ')) : canonicalValue(type);
}
