import type { Json } from '../json.ts';
import { isJsonArray, isJsonObject } from '../json.ts';
import { WIRESERVER } from './addresses.ts';

const WIRESERVER_NUMBER = numberOf(WIRESERVER) as number;

/** Whether a value of a listing (address, prefix, range, set, element) holds the WireServer's address. */
export function holdsWireServer(value: Json, depth = 0): boolean {
  if (depth > 50) return false;
  if (typeof value === 'string') return value === WIRESERVER;
  if (isJsonArray(value)) return value.some((item) => holdsWireServer(item, depth + 1));
  if (!isJsonObject(value)) return false;
  const { prefix, range } = value;
  if (isJsonObject(prefix) && typeof prefix['addr'] === 'string' && typeof prefix['len'] === 'number') {
    const start = numberOf(prefix['addr']);
    if (start === null || prefix['len'] < 0 || prefix['len'] > 32) return false;
    const size = 2 ** (32 - prefix['len']);
    return Math.floor(start / size) === Math.floor(WIRESERVER_NUMBER / size);
  }
  if (range !== undefined && isJsonArray(range) && typeof range[0] === 'string' && typeof range[1] === 'string') {
    const start = numberOf(range[0]);
    const end = numberOf(range[1]);
    return start !== null && end !== null && start <= WIRESERVER_NUMBER && WIRESERVER_NUMBER <= end;
  }
  return Object.values(value).some((member) => holdsWireServer(member, depth + 1));
}

function numberOf(address: string): number | null {
  const parts = address.split('.');
  if (parts.length !== 4 || parts.some((part) => !/^\d{1,3}$/.test(part))) return null;
  return parts.reduce((sum, part) => sum * 256 + Number(part), 0);
}

/** Whether one of a rule's statements matches the WireServer as destination (not by exclusion). */
export function namesWireServer(statements: readonly Json[]): boolean {
  return statements.some((statement) => {
    if (!isJsonObject(statement) || !isJsonObject(statement['match'])) return false;
    const { op, left, right } = statement['match'];
    if (op === '!=' || !isJsonObject(left) || right === undefined) return false;
    const payload = left['payload'];
    return isJsonObject(payload) && payload['field'] === 'daddr' && holdsWireServer(right);
  });
}
