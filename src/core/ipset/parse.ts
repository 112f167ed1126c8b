import { type Diagnostic, excerpt } from '../diagnostics.ts';
import type { Ipset, IpsetCollection, IpsetEntry, IpsetOption } from './model.ts';

export interface ParsedIpset {
  readonly sets: IpsetCollection;
  readonly diagnostics: readonly Diagnostic[];
}

interface SetBuilding {
  readonly name: string;
  readonly type: string;
  readonly options: readonly IpsetOption[];
  readonly entries: Map<string, IpsetEntry>;
}

const DIAGNOSTICS_PER_CODE_MAX = 1000;

const SET_FLAGS: ReadonlySet<string> = new Set(['counters', 'comment', 'forceadd', 'skbinfo']);
const ENTRY_FLAGS: ReadonlySet<string> = new Set(['nomatch', 'wildcard', 'physdev']);

/**
 * Reads what `ipset save` printed, every type of set.
 *
 * @param text  LF or CRLF; the sets keep slices of it
 * Errors:      never throws. Codes IPSET_* in diagnostics; lines that are not understood are kept in `unparsed`
 * Source:      ipset(8); `ipset save` of ipset 7.17 on every type of test/core/ipset
 */
export function parseIpsetSave(text: string): ParsedIpset {
  const sets = new Map<string, SetBuilding>();
  const unparsed: string[] = [];
  const diagnostics: Diagnostic[] = [];
  const perCode = new Map<string, number>();
  let lineNumber = 0;
  const report = (code: string, severity: Diagnostic['severity'], line: string, message: string): void => {
    const count = (perCode.get(code) ?? 0) + 1;
    perCode.set(code, count);
    if (count > DIAGNOSTICS_PER_CODE_MAX) return;
    const shown = excerpt(line.length > 400 ? line.slice(0, 400) : line);
    diagnostics.push({ code, severity, line: lineNumber, column: 1, excerpt: shown, message });
  };
  const keep = (code: string, line: string, message: string): void => {
    report(code, 'warning', line, message);
    unparsed.push(line);
  };
  let start = 0;
  while (start < text.length) {
    let end = text.indexOf('\n', start);
    if (end === -1) end = text.length;
    const line = text.slice(start, end).trim();
    start = end + 1;
    lineNumber += 1;
    if (line === '' || line.startsWith('#')) continue;
    const words = splitWords(line);
    const [command, name, third] = words.values;
    if (words.open) report('IPSET_OPEN_QUOTE', 'error', line, 'a quote is never closed: truncated?');
    if (name === undefined || third === undefined) {
      keep('IPSET_UNKNOWN_LINE', line, 'neither create nor add; kept and compared as text');
    } else if (command === 'create' || command === '-N') {
      const known = sets.get(name);
      if (known !== undefined) {
        keep('IPSET_DUPLICATE_SET', line, 'a set of this name came before; kept and compared as text');
        continue;
      }
      sets.set(name, { name, type: third, options: readOptions(words, SET_FLAGS), entries: new Map() });
    } else if (command === 'add' || command === '-A') {
      const set = sets.get(name);
      if (set === undefined) {
        keep('IPSET_UNDECLARED_SET', line, 'an entry of a set that was not created; kept and compared as text');
      } else if (set.entries.has(third)) {
        keep('IPSET_DUPLICATE_ENTRY', line, 'the set has this member already; kept and compared as text');
      } else {
        set.entries.set(third, { member: third, options: readOptions(words, ENTRY_FLAGS) });
      }
    } else {
      keep('IPSET_UNKNOWN_LINE', line, 'neither create nor add; kept and compared as text');
    }
  }
  return { sets: { sets: new Map<string, Ipset>(sets), unparsed }, diagnostics };
}

interface Words {
  readonly values: readonly string[];
  readonly open: boolean;
}

/** Blanks separate; a double quote opens a string up to the next one, without escapes, as ipset prints comments. */
function splitWords(line: string): Words {
  const values: string[] = [];
  let at = 0;
  let open = false;
  while (at < line.length) {
    if (line[at] === ' ' || line[at] === '\t') {
      at += 1;
    } else if (line[at] === '"') {
      const close = line.indexOf('"', at + 1);
      open ||= close === -1;
      values.push(line.slice(at + 1, close === -1 ? line.length : close));
      at = close === -1 ? line.length : close + 1;
    } else {
      let end = at;
      while (end < line.length && line[end] !== ' ' && line[end] !== '\t') end += 1;
      values.push(line.slice(at, end));
      at = end;
    }
  }
  return { values, open };
}

function readOptions(words: Words, flags: ReadonlySet<string>): IpsetOption[] {
  const options: IpsetOption[] = [];
  const { values } = words;
  for (let at = 3; at < values.length; at += 1) {
    const name = values[at] as string;
    if (flags.has(name)) {
      options.push({ name, value: null });
    } else {
      at += 1;
      options.push({ name, value: values[at] ?? null });
    }
  }
  return options;
}
