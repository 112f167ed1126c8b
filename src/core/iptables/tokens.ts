/** The arguments of one line, with where each began (0-based, in the text given) and whether it was quoted. */
export interface Tokens {
  readonly values: string[];
  readonly starts: number[];
  readonly quoted: boolean[];
}

const TAB = 9;
const CARRIAGE_RETURN = 13;
const SPACE = 32;
const QUOTE = 34;
const BACKSLASH = 92;

/**
 * Splits a line as iptables-restore does: blanks separate, a double quote opens a string that runs to the next bare
 * double quote and ends the argument there, and inside it a backslash makes the next character literal. Outside of
 * quotes a backslash and a single quote are ordinary characters.
 *
 * @returns  the arguments, and in `open` the position of a quote that is never closed (-1: none); what follows it is
 *           one argument, so nothing is lost
 * Source:   add_param_to_argv() of iptables, and `iptables-restore` itself on the lines of test/core/iptables
 */
export function tokenize(line: string, start = 0, end = line.length): Tokens & { readonly open: number } {
  const tokens: Tokens = { values: [], starts: [], quoted: [] };
  return { ...tokens, open: tokenizeInto(tokens, line, start, end) };
}

/**
 * As `tokenize`, into arrays used again from line to line; returns `open`. An argument that is the same as that of the
 * line before at the same place is the same string: neighbours differ in little, and a known string is found in a table
 * without hashing it anew.
 */
function tokenizeInto(tokens: Tokens, line: string, start: number, end: number): number {
  const { values, starts, quoted } = tokens;
  let count = 0;
  let open = -1;
  let at = start;
  while (at < end) {
    let code = line.charCodeAt(at);
    if (code === SPACE || code === TAB || code === CARRIAGE_RETURN) {
      at += 1;
      continue;
    }
    const from = at;
    while (code !== SPACE && code !== TAB && code !== QUOTE && code !== CARRIAGE_RETURN) {
      at += 1;
      if (at >= end) break;
      code = line.charCodeAt(at);
    }
    starts[count] = from;
    if (at >= end || code !== QUOTE) {
      const before = values[count];
      if (before === undefined || before.length !== at - from || !line.startsWith(before, from)) {
        values[count] = line.slice(from, at);
      }
      quoted[count] = false;
      count += 1;
      continue;
    }
    let value = line.slice(from, at);
    const quote = at;
    at += 1;
    let run = at;
    let closed = false;
    while (at < end) {
      code = line.charCodeAt(at);
      if (code === QUOTE) {
        closed = true;
        break;
      }
      if (code === BACKSLASH && at + 1 < end) {
        value += line.slice(run, at);
        at += 1;
        run = at;
      }
      at += 1;
    }
    value += line.slice(run, at);
    at += 1;
    if (!closed) open = quote;
    values[count] = value;
    quoted[count] = true;
    count += 1;
  }
  values.length = count;
  starts.length = count;
  quoted.length = count;
  return open;
}

/** Options whose value the tools save without quotes whatever is in it, and what can stand behind that value. */
const RAW_NAME = / --(?:hashlimit-name|name) /g;
/** A rule saves few names; a line with thousands must not be split thousands of times. */
const RAW_NAMES_TRIED_MAX = 16;
const AFTER_RAW_NAME = / --(?:hashlimit-|mask )/;

/**
 * As `tokenizeInto`, and where a quote stays open because a name was saved unquoted with a quote in it, the name is
 * read as one argument up to the options that are saved behind it. The target is saved last, so the last `-j` is it.
 */
export function tokenizeRuleInto(tokens: Tokens, line: string, start: number, end: number): number {
  const open = tokenizeInto(tokens, line, start, end);
  if (open === -1) return open;
  const text = line.slice(start, end);
  let tried = 0;
  for (const found of text.matchAll(RAW_NAME)) {
    tried += 1;
    if (tried > RAW_NAMES_TRIED_MAX) break;
    const from = found.index + found[0].length;
    const tail = text.slice(from);
    const jump = Math.max(tail.lastIndexOf(' -j '), tail.lastIndexOf(' -g '));
    const own = AFTER_RAW_NAME.exec(tail)?.index ?? -1;
    const length = own !== -1 && (jump === -1 || own < jump) ? own : jump === -1 ? tail.length : jump;
    if (!tail.slice(0, length).includes('"')) continue;
    const before = tokenize(line, start, start + from);
    const after = tokenize(line, start + from + length, end);
    if (before.open !== -1 || after.open !== -1) continue;
    replace(tokens.values, [...before.values, tail.slice(0, length), ...after.values]);
    replace(tokens.starts, [...before.starts, start + from, ...after.starts]);
    replace(tokens.quoted, [...before.quoted, true, ...after.quoted]);
    return -1;
  }
  return open;
}

function replace<T>(list: T[], items: readonly T[]): void {
  list.length = 0;
  // One by one: a line can have more arguments than a call may.
  for (const item of items) list.push(item);
}

export function tokenizeRule(line: string): Tokens {
  const tokens: Tokens = { values: [], starts: [], quoted: [] };
  tokenizeRuleInto(tokens, line, 0, line.length);
  return tokens;
}

const BARE = /^[-_A-Za-z0-9]+$/;

/** A string as the tools save it: bare while it is only letters, digits, `-` and `_`, else quoted and escaped. */
export function quoteString(value: string): string {
  return BARE.test(value) ? value : `"${value.replace(/["\\']/g, '\\$&')}"`;
}

/** A string of the string match: always quoted, with only `"` and `\` escaped. */
export function quotePattern(value: string): string {
  return `"${value.replace(/["\\]/g, '\\$&')}"`;
}

/** Any other argument: bare, unless it would not be read back as one argument, or as a negation. */
export function quoteArgument(value: string): string {
  return value === '' || value === '!' || /[\s"]/.test(value) ? `"${value.replace(/["\\]/g, '\\$&')}"` : value;
}
