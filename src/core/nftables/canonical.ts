import { isJsonArray, type Json, type JsonObject } from '../json.ts';
import { parseStatementText } from './statement-text.ts';

/**
 * The text that stands for a piece of a listing when two are compared: keys sorted, moving parts left out, and what nft
 * spells in several ways spelled in one. Not meant to be read back.
 *
 * Left out: counter values, what a quota has used, when an element was last seen or expires. Spelled one way: bit masks
 * (`["fin","syn"]`, `{"|":[…]}`, nested or flat), the order of flags and of the members of an anonymous set.
 */
export function canonicalStatements(statements: readonly Json[]): string {
  let text = '';
  for (const statement of statements) text += `${canonicalStatement(statement, 0)};`;
  return text;
}

/** As `canonicalStatements`, for one expression, element or attribute. */
export function canonicalValue(value: Json): string {
  return write(value, 0);
}

/** An object's members without those named, canonical. */
export function canonicalMembers(object: JsonObject, except: ReadonlySet<string>): string {
  return writeMembers(object, 1, except);
}

/** Deeper values are compared by their plain text; nft nests a dozen levels at most. */
export const DEPTH_MAX = 200;

function canonicalStatement(statement: Json, depth: number): string {
  if (typeof statement === 'string') {
    const repaired = parseStatementText(statement);
    if (repaired !== null) return canonicalStatement(repaired, depth);
  }
  if (statement === null || typeof statement !== 'object' || isJsonArray(statement)) return write(statement, depth);
  let text = '';
  let count = 0;
  for (const key in statement) {
    if (count > 0) return write(statement, depth);
    count += 1;
    const body = statement[key] as Json;
    switch (key) {
      case 'match':
        text = writeMatch(body, depth + 1);
        break;
      case 'counter':
        text = isPlainObject(body) && 'packets' in body ? '{"counter":null}' : `{"counter":${write(body, depth + 1)}}`;
        break;
      case 'last':
        text = '{"last":null}';
        break;
      case 'quota':
        text = isPlainObject(body)
          ? `{"quota":${writeMembers(body, depth + 1, QUOTA_MOVING)}}`
          : `{"quota":${write(body, depth + 1)}}`;
        break;
      default:
        text = `{${quote(key)}:${write(body, depth + 1)}}`;
    }
  }
  return count === 0 ? '{}' : text;
}

function writeMatch(body: Json, depth: number): string {
  if (!isPlainObject(body)) return `{"match":${write(body, depth)}}`;
  const { op, left, right } = body;
  if (left === undefined || right === undefined || Object.keys(body).length !== (op === undefined ? 2 : 3)) {
    return `{"match":${write(body, depth)}}`;
  }
  // `in` takes any of the flags; every other operator compares with all of them at once.
  const value =
    isArray(right) && right.length > 1
      ? op === 'in'
        ? `[${right
            .map((flag) => write(flag, depth + 1))
            .sort()
            .join(',')}]`
        : writeOr(right, depth + 1)
      : write(right, depth + 1);
  return `{"match":[${write(op ?? '==', depth)},${write(left, depth + 1)},${value}]}`;
}

function write(value: Json, depth: number): string {
  if (typeof value === 'string') return quote(value);
  if (value === null || typeof value !== 'object') return String(value);
  if (depth > DEPTH_MAX) return flatText(value);
  if (isArray(value)) {
    if (value.length === 0) return '[]';
    let text = `[${write(value[0] as Json, depth + 1)}`;
    for (let index = 1; index < value.length; index += 1) text += `,${write(value[index] as Json, depth + 1)}`;
    return `${text}]`;
  }
  let only = '';
  let count = 0;
  for (const key in value) {
    only = key;
    count += 1;
    if (count > 1) return writeMembers(value, depth);
  }
  if (count === 0) return '{}';
  const body = value[only] as Json;
  if (isArray(body)) {
    switch (only) {
      case 'set':
        return `{"set":[${body
          .map((member) => write(member, depth + 1))
          .sort()
          .join(',')}]}`;
      case '|':
        return writeOr(body, depth + 1);
      case '&':
        return writeAnd(body, depth + 1);
      default:
    }
  }
  switch (only) {
    case 'counter':
    case 'quota':
    case 'last':
      return canonicalStatement(value, depth);
    case 'match':
      return writeMatch(body, depth + 1);
    default:
      return `{${quote(only)}:${only === 'flags' ? writeFlags(body, depth + 1) : write(body, depth + 1)}}`;
  }
}

const NOTHING: ReadonlySet<string> = new Set();
const QUOTA_MOVING: ReadonlySet<string> = new Set(['used', 'used_unit']);

function writeMembers(object: JsonObject, depth: number, except: ReadonlySet<string> = NOTHING): string {
  const members: string[] = [];
  for (const key in object) {
    if (except.has(key)) continue;
    const body = object[key] as Json;
    switch (key) {
      case 'expires':
        break;
      case 'flags':
        members.push(`"flags":${writeFlags(body, depth + 1)}`);
        break;
      // Statements of an element stand as its members.
      case 'counter':
      case 'quota':
      case 'last':
        members.push(canonicalStatement({ [key]: body }, depth).slice(1, -1));
        break;
      case 'stmt':
        members.push(
          isArray(body)
            ? `"stmt":[${body.map((one) => canonicalStatement(one, depth + 1)).join(',')}]`
            : `"stmt":[${canonicalStatement(body, depth + 1)}]`,
        );
        break;
      default:
        members.push(`${quote(key)}:${write(body, depth + 1)}`);
    }
  }
  if (members.length > 1) members.sort();
  return `{${members.join(',')}}`;
}

/** One flag is written with and without its list. */
function writeFlags(flags: Json, depth: number): string {
  if (!isArray(flags)) return `[${write(flags, depth)}]`;
  return `[${flags
    .map((flag) => write(flag, depth))
    .sort()
    .join(',')}]`;
}

function writeAnd(operands: readonly Json[], depth: number): string {
  const texts = operands.map((operand, index) =>
    index === 1 && isArray(operand) ? writeOr(operand, depth) : write(operand, depth),
  );
  return `{"&":[${texts.join(',')}]}`;
}

function writeOr(operands: readonly Json[], depth: number): string {
  const texts: string[] = [];
  const pending: { value: Json; depth: number }[] = operands.map((value) => ({ value, depth }));
  for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
    const inner = isPlainObject(item.value) && Object.keys(item.value).length === 1 ? item.value['|'] : undefined;
    if (inner !== undefined && isArray(inner))
      for (const value of inner) pending.push({ value, depth: item.depth + 1 });
    else texts.push(write(item.value, item.depth));
  }
  return texts.length === 1 ? (texts[0] as string) : `{"|":[${texts.sort().join(',')}]}`;
}

function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isPlainObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const NEEDS_ESCAPE = /["\\\u0000-\u001f]/;

function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}

/** Whether a value can be walked by recursion, and turned to JSON. */
export function isShallow(value: Json, depth = 0): boolean {
  if (value === null || typeof value !== 'object') return true;
  if (depth > DEPTH_MAX) return false;
  if (isArray(value)) {
    for (const item of value)
      if (item !== null && typeof item === 'object' && !isShallow(item, depth + 1)) return false;
    return true;
  }
  const members = value as JsonObject;
  for (const key in members) if (!isShallow(members[key] as Json, depth + 1)) return false;
  return true;
}

/** JSON text of a value nested too deep for recursion. */
export function flatText(value: Json): string {
  const parts: string[] = [];
  const pending: (string | { readonly value: Json })[] = [{ value }];
  for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
    if (typeof item === 'string') {
      parts.push(item);
    } else if (item.value === null || typeof item.value !== 'object') {
      parts.push(JSON.stringify(item.value));
    } else if (isArray(item.value)) {
      pending.push(']');
      for (let index = item.value.length - 1; index >= 0; index -= 1) {
        pending.push({ value: item.value[index] as Json });
        if (index > 0) pending.push(',');
      }
      parts.push('[');
    } else {
      const members = item.value as JsonObject;
      const keys = Object.keys(members);
      pending.push('}');
      for (let index = keys.length - 1; index >= 0; index -= 1) {
        const key = keys[index] as string;
        pending.push({ value: members[key] as Json });
        pending.push(`${index > 0 ? ',' : ''}${JSON.stringify(key)}:`);
      }
      parts.push('{');
    }
  }
  return parts.join('');
}
