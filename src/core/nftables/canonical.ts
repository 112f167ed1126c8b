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
  // Pieces are collected and joined once: half of the time of a parse goes to the garbage of strings added up.
  const out: string[] = [];
  for (const statement of statements) {
    writeStatement(statement, 0, out);
    out.push(';');
  }
  return out.join('');
}

/** As `canonicalStatements`, for one expression, element or attribute. */
export function canonicalValue(value: Json): string {
  if (typeof value === 'string') return quote(value);
  if (value === null || typeof value !== 'object') return String(value);
  return textOf(value, 0);
}

/** An object's members without those named, canonical. */
export function canonicalMembers(object: JsonObject, except: ReadonlySet<string>): string {
  const out: string[] = [];
  writeMembers(object, 1, out, except);
  return out.join('');
}

/** Deeper values are compared by their plain text; nft nests a dozen levels at most. */
export const DEPTH_MAX = 200;

type Out = string[];

function textOf(value: Json, depth: number): string {
  const out: Out = [];
  write(value, depth, out);
  return out.length === 1 ? (out[0] as string) : out.join('');
}

function writeStatement(statement: Json, depth: number, out: Out): void {
  if (typeof statement === 'string') {
    const repaired = parseStatementText(statement);
    if (repaired !== null) {
      writeStatement(repaired, depth, out);
      return;
    }
  }
  const kind = onlyKey(statement);
  if (kind === null) {
    write(statement, depth, out);
    return;
  }
  const body = (statement as JsonObject)[kind] as Json;
  switch (kind) {
    case 'match':
      writeMatch(body, depth + 1, out);
      return;
    case 'counter':
      if (isPlainObject(body) && 'packets' in body) {
        out.push('{"counter":null}');
        return;
      }
      break;
    case 'last':
      out.push('{"last":null}');
      return;
    case 'quota':
      if (isPlainObject(body)) {
        out.push('{"quota":');
        writeMembers(body, depth + 1, out, QUOTA_MOVING);
        out.push('}');
        return;
      }
      break;
    default:
  }
  if (body === null) {
    out.push(bareText(kind));
    return;
  }
  out.push('{');
  pushQuoted(kind, out);
  out.push(':');
  write(body, depth + 1, out);
  out.push('}');
}

function bareText(kind: string): string {
  switch (kind) {
    case 'accept':
      return '{"accept":null}';
    case 'drop':
      return '{"drop":null}';
    case 'counter':
      return '{"counter":null}';
    default:
      return `{${quote(kind)}:null}`;
  }
}

function writeMatch(body: Json, depth: number, out: Out): void {
  if (isPlainObject(body)) {
    const { op, left, right } = body;
    if (left !== undefined && right !== undefined && countMembers(body) === (op === undefined ? 2 : 3)) {
      out.push(matchHead(op));
      write(left, depth + 1, out);
      out.push(',');
      // `in` takes any of the flags; every other operator compares with all of them at once.
      if (isArray(right) && right.length > 1) {
        if (op === 'in') writeSorted(right, depth + 1, '[', out);
        else writeOr(right, depth + 1, out);
        if (op === 'in') out.push(']');
      } else {
        write(right, depth + 1, out);
      }
      out.push(']}');
      return;
    }
  }
  out.push('{"match":');
  write(body, depth, out);
  out.push('}');
}

function write(value: Json, depth: number, out: Out): void {
  if (typeof value === 'string') {
    pushQuoted(value, out);
    return;
  }
  if (value === null || typeof value !== 'object') {
    out.push(String(value));
    return;
  }
  if (depth > DEPTH_MAX) {
    out.push(flatText(value));
    return;
  }
  if (isArray(value)) {
    out.push('[');
    for (let index = 0; index < value.length; index += 1) {
      if (index > 0) out.push(',');
      write(value[index] as Json, depth + 1, out);
    }
    out.push(']');
    return;
  }
  const kind = onlyKey(value);
  if (kind === null) {
    writeMembers(value, depth, out);
    return;
  }
  const body = value[kind] as Json;
  switch (kind) {
    case 'payload':
    case 'meta':
      writeSelector(kind, body, depth + 1, out);
      return;
    case 'counter':
    case 'quota':
    case 'last':
    case 'match':
      writeStatement(value, depth, out);
      return;
    case 'flags':
      out.push('{"flags":');
      writeFlags(body, depth + 1, out);
      out.push('}');
      return;
    default:
  }
  if (isArray(body)) {
    switch (kind) {
      case 'set':
        writeSorted(body, depth + 1, '{"set":[', out);
        out.push(']}');
        return;
      case '|':
        writeOr(body, depth + 1, out);
        return;
      case '&':
        writeAnd(chainOf(kind, body), depth + 1, out);
        return;
      case '^':
      case '<<':
      case '>>':
        out.push('{"', kind, '":');
        write(chainOf(kind, body), depth + 1, out);
        out.push('}');
        return;
      default:
    }
  }
  out.push('{');
  pushQuoted(kind, out);
  out.push(':');
  write(body, depth + 1, out);
  out.push('}');
}

/** The two expressions that make up most listings; their texts are few, and shared. */
function writeSelector(kind: string, body: Json, depth: number, out: Out): void {
  if (isPlainObject(body)) {
    const { protocol, field, key } = body;
    const members = countMembers(body);
    if (members === 2 && typeof protocol === 'string' && typeof field === 'string') {
      out.push(sharedText(protocol, field));
      return;
    }
    if (members === 1 && typeof key === 'string') {
      out.push('{"', kind, '":{"key":');
      pushQuoted(key, out);
      out.push('}}');
      return;
    }
  }
  out.push('{"', kind, '":');
  write(body, depth, out);
  out.push('}');
}

const SHARED_TEXTS_MAX = 100;
/** By protocol, then field. Bounded: the names of a made-up listing are without end. */
const sharedTexts = new Map<string, Map<string, string>>();

function sharedText(protocol: string, field: string): string {
  let ofProtocol = sharedTexts.get(protocol);
  const known = ofProtocol?.get(field);
  if (known !== undefined) return known;
  const text = `{"payload":{"field":${quote(field)},"protocol":${quote(protocol)}}}`;
  if (ofProtocol === undefined && sharedTexts.size < SHARED_TEXTS_MAX) {
    ofProtocol = new Map();
    sharedTexts.set(protocol, ofProtocol);
  }
  if (ofProtocol !== undefined && ofProtocol.size < SHARED_TEXTS_MAX) ofProtocol.set(field, text);
  return text;
}

function matchHead(op: Json | undefined): string {
  switch (op) {
    case undefined:
    case '==':
      return '{"match":["==",';
    case '!=':
      return '{"match":["!=",';
    case 'in':
      return '{"match":["in",';
    default:
      return `{"match":[${canonicalValue(op)},`;
  }
}

const NO_EXCEPTION: ReadonlySet<string> = new Set();
const QUOTA_MOVING: ReadonlySet<string> = new Set(['used', 'used_unit']);

function writeMembers(object: JsonObject, depth: number, out: Out, except = NO_EXCEPTION): void {
  const keys: string[] = [];
  for (const key in object) if (!except.has(key) && key !== 'expires') keys.push(key);
  if (keys.length > 1) keys.sort();
  let separator = '{';
  for (const key of keys) {
    out.push(separator);
    writeMember(key, object[key] as Json, depth, out);
    separator = ',';
  }
  out.push(keys.length === 0 ? '{}' : '}');
}

function writeMember(key: string, body: Json, depth: number, out: Out): void {
  pushQuoted(key, out);
  out.push(':');
  switch (key) {
    case 'flags':
      writeFlags(body, depth + 1, out);
      break;
    // Statements of an element stand as its members.
    case 'counter':
      if (isPlainObject(body) && 'packets' in body) out.push('null');
      else write(body, depth + 1, out);
      break;
    case 'quota':
      if (isPlainObject(body)) writeMembers(body, depth + 1, out, QUOTA_MOVING);
      else write(body, depth + 1, out);
      break;
    case 'last':
      out.push('null');
      break;
    case 'stmt':
      out.push('[');
      for (const statement of isArray(body) ? body : [body]) {
        writeStatement(statement, depth + 1, out);
        out.push(',');
      }
      out.push(']');
      break;
    default:
      write(body, depth + 1, out);
  }
}

/** One flag is written with and without its list. */
function writeFlags(flags: Json, depth: number, out: Out): void {
  writeSorted(isArray(flags) ? flags : [flags], depth, '[', out);
  out.push(']');
}

function writeSorted(items: readonly Json[], depth: number, open: string, out: Out): void {
  const texts: string[] = [];
  for (const item of items) texts.push(typeof item === 'string' ? quote(item) : textOf(item, depth));
  out.push(open, texts.length > 1 ? texts.sort().join(',') : (texts[0] ?? ''));
}

/** `{"^": [{"^": [a, b]}, c]}` as nft lists it from 1.1.0 on: `[a, b, c]`. Bracketed on the left only: so nft reads it. */
function chainOf(kind: string, operands: readonly Json[]): readonly Json[] {
  const parts: (readonly Json[])[] = [operands];
  for (let first = operands[0] ?? null; onlyKey(first) === kind; ) {
    const inner = (first as JsonObject)[kind];
    if (inner === undefined || !isArray(inner) || inner.length === 0) break;
    parts.push(inner);
    first = inner[0] as Json;
  }
  if (parts.length === 1) return operands;
  return parts.reverse().flatMap((part, index) => (index === 0 ? part : part.slice(1)));
}

function writeAnd(operands: readonly Json[], depth: number, out: Out): void {
  out.push('{"&":[');
  for (const [index, operand] of operands.entries()) {
    if (index > 0) out.push(',');
    if (index > 0 && isArray(operand)) writeOr(operand, depth, out);
    else write(operand, depth, out);
  }
  out.push(']}');
}

function writeOr(operands: readonly Json[], depth: number, out: Out): void {
  const texts: string[] = [];
  const pending: { value: Json; depth: number }[] = operands.map((value) => ({ value, depth }));
  for (let item = pending.pop(); item !== undefined; item = pending.pop()) {
    const inner = onlyKey(item.value) === '|' ? (item.value as JsonObject)['|'] : undefined;
    if (inner !== undefined && isArray(inner))
      for (const value of inner) pending.push({ value, depth: item.depth + 1 });
    else texts.push(textOf(item.value, item.depth));
  }
  if (texts.length === 1) out.push(texts[0] as string);
  else out.push('{"|":[', texts.sort().join(','), ']}');
}

/** The name of an object's only member, null when it has none or several. */
export function onlyKey(value: Json): string | null {
  if (!isPlainObject(value)) return null;
  let only: string | null = null;
  for (const key in value) {
    if (only !== null) return null;
    only = key;
  }
  return only;
}

function countMembers(object: JsonObject): number {
  let count = 0;
  for (const _ in object) count += 1;
  return count;
}

function isArray(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isPlainObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function pushQuoted(text: string, out: Out): void {
  if (needsEscape(text)) out.push(JSON.stringify(text));
  else out.push('"', text, '"');
}

function quote(text: string): string {
  return needsEscape(text) ? JSON.stringify(text) : `"${text}"`;
}

function needsEscape(text: string): boolean {
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x20 || code === 0x22 || code === 0x5c) return true;
  }
  return false;
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
    } else if (isJsonArray(item.value)) {
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
