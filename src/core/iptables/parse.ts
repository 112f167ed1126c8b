import { type Diagnostic, excerpt } from '../diagnostics.ts';
import { LineShapes } from './line-shapes.ts';
import {
  type Counter,
  type Family,
  type IptablesChain,
  IptablesRule,
  type IptablesRuleset,
  type IptablesTable,
  type RuleOrigin,
  type UnparsedLine,
} from './model.ts';
import { printFields } from './print.ts';
import { isVerdict, type RuleFields, RuleReader, readRule } from './read-rule.ts';
import { type Tokens, tokenizeRuleInto } from './tokens.ts';

export interface ParsedIptables {
  readonly ruleset: IptablesRuleset;
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * Reads what `iptables-save` or `ip6tables-save` printed: with or without counters, of either backend, several outputs
 * one after another, LF or CRLF, with or without a last newline; also `iptables -S` and files for iptables-restore.
 *
 * @param text     the output; the rules keep slices of it, so it stays in memory as long as they do
 * @param options  `family` decides how addresses and defaults are read; a text does not say it reliably itself
 * Errors:         never throws. Codes IPT_*; what was not understood is kept, in the rule's text or in `unparsed`
 */
export function parseIptablesSave(text: string, options: { readonly family: Family }): ParsedIptables {
  const reader = new DocumentReader(text, options.family);
  reader.read();
  return { ruleset: reader.ruleset(), diagnostics: reader.diagnostics() };
}

const DIAGNOSTICS_PER_CODE_MAX = 1000;
const NUMBERED_INSERTS_MAX = 10_000;
/** Rules that lists of addresses stand for, in one text: no tool saves lists, and a short line can name millions. */
const EXPANDED_RULES_MAX = 100_000;

interface ChainBuilding {
  readonly name: string;
  readonly origin: RuleOrigin;
  policy: string | null;
  packets: Counter | null;
  bytes: Counter | null;
  readonly rules: IptablesRule[];
  /** Rules of `-I` without a number, the last one first in evaluation order. */
  readonly inserted: IptablesRule[];
  numberedInserts: number;
}

interface TableBuilding {
  readonly name: string;
  readonly chains: Map<string, ChainBuilding>;
}

class DocumentReader {
  readonly #text: string;
  readonly #family: Family;
  readonly #reader: RuleReader;
  /** Of the table at hand: another one has other chains. */
  #shapes: LineShapes;
  #oddities = 0;
  readonly #tables = new Map<string, TableBuilding>();
  readonly #unparsed: UnparsedLine[] = [];
  readonly #diagnostics: Diagnostic[] = [];
  readonly #perCode = new Map<string, number>();
  readonly #targets = new Map<string, { table: TableBuilding; target: string; line: number; text: string }>();
  /** The arguments of the command at hand, and where it lies in the text; used again for every line. */
  readonly #tokens: Tokens = { values: [], starts: [], quoted: [] };
  #lineStart = 0;
  #commandStart = 0;
  #commandEnd = 0;
  #onOddity(code: string, argument: number, message: string): void {
    this.#oddities += 1;
    const column = (this.#tokens.starts[argument] ?? this.#commandStart) - this.#lineStart + 1;
    this.#report(code, 'warning', column, this.#text.slice(this.#commandStart, this.#commandEnd), message);
  }
  #table: TableBuilding | null = null;
  /** Whether the current table was opened by `*table` and still lacks its COMMIT. */
  #uncommitted = false;
  #line = 0;
  #expandedRules = 0;

  constructor(text: string, family: Family) {
    this.#text = text;
    this.#family = family;
    this.#shapes = new LineShapes(family);
    this.#reader = new RuleReader(family, (code, argument, message) => this.#onOddity(code, argument, message));
  }

  read(): void {
    const text = this.#text;
    let start = text.charCodeAt(0) === 0xfeff ? 1 : 0;
    while (start < text.length) {
      let next = text.indexOf('\n', start);
      if (next === -1) next = text.length;
      this.#line += 1;
      this.#readLine(start, next);
      start = next + 1;
    }
    if (this.#uncommitted) {
      this.#report('IPT_NO_COMMIT', 'error', 0, `*${this.#table?.name}`, 'the text ends inside a table: truncated?');
    }
    for (const { table, target, line, text: shown } of this.#targets.values()) {
      if (table.chains.has(target)) continue;
      this.#line = line;
      this.#report('IPT_UNKNOWN_TARGET', 'warning', 0, shown, `neither a target in the table nor a chain: ${target}`);
    }
  }

  ruleset(): IptablesRuleset {
    const tables = new Map<string, IptablesTable>();
    for (const table of this.#tables.values()) {
      const chains = new Map<string, IptablesChain>();
      for (const { name, policy, packets, bytes, rules, inserted } of table.chains.values()) {
        const ordered = inserted.length === 0 ? rules : [...inserted.reverse(), ...rules];
        chains.set(name, { name, policy, packets, bytes, rules: ordered });
      }
      tables.set(table.name, { name: table.name, chains });
    }
    return { family: this.#family, tables, unparsed: this.#unparsed };
  }

  diagnostics(): Diagnostic[] {
    for (const [code, count] of this.#perCode) {
      if (count <= DIAGNOSTICS_PER_CODE_MAX) continue;
      const more = count - DIAGNOSTICS_PER_CODE_MAX;
      this.#diagnostics.push({ code, severity: 'warning', line: 0, column: 0, excerpt: '', message: `${more} more` });
    }
    return this.#diagnostics;
  }

  #report(code: string, severity: Diagnostic['severity'], column: number, text: string, message: string): void {
    const count = (this.#perCode.get(code) ?? 0) + 1;
    this.#perCode.set(code, count);
    if (count > DIAGNOSTICS_PER_CODE_MAX) return;
    // The excerpt of a line of a megabyte is made from its first characters only.
    const shown = excerpt(text.length > 400 ? text.slice(0, 400) : text);
    this.#diagnostics.push({ code, severity, line: this.#line, column, excerpt: shown, message: excerpt(message) });
  }

  #readLine(from: number, to: number): void {
    const text = this.#text;
    let start = from;
    let end = to;
    while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
    while (start < end && isBlank(text.charCodeAt(start))) start += 1;
    if (start === end) return;
    switch (text[start]) {
      case '-':
      case '[':
        this.#readCommand(start, end, from);
        return;
      case ':':
        this.#readChain(text.slice(start, end));
        return;
      case '*':
        this.#openTable(text.slice(start + 1, end).trim());
        return;
      case '#':
        this.#readComment(text.slice(start, end));
        return;
      default:
        if (end - start === 6 && text.startsWith('COMMIT', start)) {
          this.#table = null;
          this.#uncommitted = false;
        } else {
          this.#keep(start, end);
        }
    }
  }

  #keep(start: number, end: number): void {
    const line = this.#text.slice(start, end);
    this.#report('IPT_UNKNOWN_LINE', 'warning', 1, line, 'neither a rule nor a declaration; kept and compared as text');
    this.#unparsed.push({ table: this.#table?.name ?? null, text: line });
  }

  #readComment(comment: string): void {
    if (/^# Warning: ip6?tables-legacy tables present/.test(comment)) {
      const message = 'rules of the legacy backend are in force too: read them with iptables-legacy-save';
      this.#report('IPT_LEGACY_TABLES_PRESENT', 'warning', 1, comment, message);
    } else if (/^# Table .* (?:is incompatible|contains incompatible)/.test(comment)) {
      const message = 'the tool cannot show this table or a part of it: read it with nft';
      this.#report('IPT_INCOMPATIBLE_TABLE', 'warning', 1, comment, message);
      this.#unparsed.push({ table: null, text: comment });
    } else if (/^# (?:Warning|ERROR|Error)/.test(comment)) {
      this.#report('IPT_TOOL_WARNING', 'warning', 1, comment, 'the tool warned about its own output');
      this.#unparsed.push({ table: null, text: comment });
    } else {
      const generator = /^# Generated by (ip6?)tables-save/.exec(comment);
      if (generator !== null && (generator[1] === 'ip6') !== (this.#family === 'ipv6')) {
        const message = `read as ${this.#family}, but generated by ${generator[1]}tables-save`;
        this.#report('IPT_OTHER_FAMILY', 'warning', 1, comment, message);
      }
    }
  }

  #openTable(name: string): void {
    if (this.#uncommitted) {
      this.#report('IPT_NO_COMMIT', 'error', 1, `*${name}`, `table ${this.#table?.name} has no COMMIT`);
    }
    if (this.#tables.has(name)) {
      this.#report('IPT_DUPLICATE_TABLE', 'warning', 1, `*${name}`, 'the table was there before: its rules are joined');
    }
    this.#table = this.#findTable(name);
    this.#shapes = new LineShapes(this.#family);
    this.#uncommitted = true;
  }

  #findTable(name: string): TableBuilding {
    let table = this.#tables.get(name);
    if (table === undefined) {
      table = { name, chains: new Map() };
      this.#tables.set(name, table);
    }
    return table;
  }

  /** The open table; in `iptables -S`, which names none, filter. */
  #currentTable(): TableBuilding {
    this.#table ??= this.#findTable('filter');
    return this.#table;
  }

  #findChain(table: TableBuilding, name: string): ChainBuilding | undefined {
    return table.chains.get(name);
  }

  #addChain(table: TableBuilding, name: string, policy: string | null): ChainBuilding {
    const chain: ChainBuilding = {
      name,
      origin: { family: this.#family, table: table.name, chain: name, source: this.#text },
      policy,
      packets: null,
      bytes: null,
      rules: [],
      inserted: [],
      numberedInserts: 0,
    };
    table.chains.set(name, chain);
    return chain;
  }

  #readChain(line: string): void {
    const parts = /^:(\S+)(?:\s+(\S+))?(?:\s+\[([0-9]+):([0-9]+)\])?$/.exec(line);
    if (parts === null) {
      this.#report('IPT_UNREADABLE_CHAIN', 'warning', 1, line, 'not a chain declaration; kept and compared as text');
      this.#unparsed.push({ table: this.#table?.name ?? null, text: line });
      return;
    }
    const policy = parts[2] === undefined || parts[2] === '-' ? null : parts[2];
    const chain = this.#declareChain(parts[1] as string, policy);
    if (parts[3] !== undefined) {
      chain.packets = readCounter(parts[3]);
      chain.bytes = readCounter(parts[4] as string);
    }
  }

  #declareChain(name: string, policy: string | null): ChainBuilding {
    const table = this.#currentTable();
    const known = this.#findChain(table, name);
    if (known === undefined) return this.#addChain(table, name, policy);
    if (known.policy !== null && policy !== null && known.policy !== policy) {
      const message = `chain ${name} was declared with policy ${known.policy} before; the later one is kept`;
      this.#report('IPT_POLICY_CONFLICT', 'warning', 1, `:${name} ${policy}`, message);
    }
    known.policy = policy ?? known.policy;
    return known;
  }

  #readCommand(start: number, end: number, lineStart: number): void {
    const text = this.#text;
    let at = start;
    let packets: Counter | null = null;
    let bytes: Counter | null = null;
    if (text[at] === '[') {
      const close = text.indexOf(']', at);
      const colon = text.indexOf(':', at);
      const readable = close !== -1 && close < end && colon !== -1 && colon < close;
      if (!readable || !isDigits(text, at + 1, colon) || !isDigits(text, colon + 1, close)) {
        this.#keep(start, end);
        return;
      }
      packets = readCounter(text.slice(at + 1, colon));
      bytes = readCounter(text.slice(colon + 1, close));
      at = close + 1;
      while (at < end && isBlank(text.charCodeAt(at))) at += 1;
    }
    const tokens = this.#tokens;
    this.#lineStart = lineStart;
    this.#commandStart = at;
    this.#commandEnd = end;
    const open = tokenizeRuleInto(tokens, text, at, end);
    if (open !== -1) {
      const column = open - lineStart + 1;
      this.#report('IPT_OPEN_QUOTE', 'error', column, text.slice(start, end), 'a quote is never closed: truncated?');
    }
    const command = tokens.values[0];
    if (command === '-A' || command === '--append') this.#readRule(tokens, 1, at, end, lineStart, packets, bytes, null);
    else this.#readOtherCommand(tokens, start, at, end, lineStart, packets, bytes);
  }

  #readOtherCommand(
    tokens: Tokens,
    start: number,
    at: number,
    end: number,
    lineStart: number,
    packets: Counter | null,
    bytes: Counter | null,
  ): void {
    const { values } = tokens;
    let command = 0;
    // `iptables -t nat -A …` in the files people write.
    if (values[0] === '-t' && values.length > 2) {
      this.#table = this.#findTable(values[1] as string);
      this.#shapes = new LineShapes(this.#family);
      command = 2;
    }
    const name = values[command + 1];
    if (name === undefined) {
      this.#keep(start, end);
      return;
    }
    switch (values[command]) {
      case '-A':
      case '--append':
        this.#readRule(tokens, command + 1, at, end, lineStart, packets, bytes, null);
        return;
      case '-I':
      case '--insert': {
        const number = /^[0-9]+$/.test(values[command + 2] ?? '') ? Number(values[command + 2]) : 1;
        this.#readRule(tokens, command + 1, at, end, lineStart, packets, bytes, number);
        return;
      }
      case '-N':
      case '--new-chain':
        this.#declareChain(name, null);
        return;
      case '-P':
      case '--policy': {
        const chain = this.#declareChain(name, values[command + 2] ?? 'ACCEPT');
        const counters = values.indexOf('-c');
        if (counters !== -1 && isCounter(values[counters + 1]) && isCounter(values[counters + 2])) {
          chain.packets = readCounter(values[counters + 1] as string);
          chain.bytes = readCounter(values[counters + 2] as string);
        }
        return;
      }
      default:
        this.#keep(start, end);
    }
  }

  #readRule(
    tokens: Tokens,
    chainAt: number,
    at: number,
    end: number,
    lineStart: number,
    packets: Counter | null,
    bytes: Counter | null,
    insertAt: number | null,
  ): void {
    const chainName = tokens.values[chainAt];
    if (chainName === undefined) {
      this.#keep(at, end);
      return;
    }
    const table = this.#currentTable();
    let chain = this.#findChain(table, chainName);
    if (chain === undefined) {
      chain = this.#addChain(table, chainName, null);
      // `iptables -S CHAIN` and hand-written files name a chain only in its rules.
      const column = (tokens.starts[chainAt] ?? at) - lineStart + 1;
      this.#report('IPT_UNDECLARED_CHAIN', 'info', column, chainName, 'no declaration of this chain comes before');
    }
    if (insertAt === null && this.#shapes.fits(tokens, (name) => table.chains.has(name))) {
      chain.rules.push(new IptablesRule(chain.origin, at, end, packets, bytes));
      return;
    }
    const fields = this.#reader;
    this.#oddities = 0;
    fields.check(tokens);
    if (fields.onlyFamily !== null && fields.onlyFamily !== this.#family) {
      this.#report('IPT_OTHER_FAMILY', 'info', 1, this.#text.slice(at, end), `a rule for ${fields.onlyFamily} only`);
      return;
    }
    this.#noteTarget(fields, table, at, end);
    const rulePackets = fields.counters === null ? packets : readCounter(fields.counters[0]);
    const ruleBytes = fields.counters === null ? bytes : readCounter(fields.counters[1]);
    if (fields.source?.includes(',') !== true && fields.destination?.includes(',') !== true) {
      if (this.#oddities === 0 && fields.counters === null && fields.onlyFamily === null) {
        this.#shapes.add(fields.shape());
      }
      const rule = new IptablesRule(chain.origin, at, end, rulePackets, ruleBytes);
      this.#place(chain, rule, insertAt, at, end);
      return;
    }
    const text = this.#text.slice(at, end);
    const count = addressesIn(fields.source) * addressesIn(fields.destination);
    if (this.#expandedRules + count > EXPANDED_RULES_MAX) {
      const message = 'too many addresses in lists: kept and compared as text';
      this.#report('IPT_TOO_MANY_ADDRESSES', 'error', 1, text, message);
      this.#unparsed.push({ table: table.name, text });
      return;
    }
    this.#expandedRules += count;
    for (const line of expandAddresses(readRule(text, this.#family), chain.name)) {
      const rule = IptablesRule.fromText(chain.origin, line, rulePackets, ruleBytes);
      this.#place(chain, rule, insertAt, at, end);
    }
  }

  #place(chain: ChainBuilding, rule: IptablesRule, insertAt: number | null, at: number, end: number): void {
    if (insertAt === null) {
      chain.rules.push(rule);
    } else if (insertAt <= 1) {
      chain.inserted.push(rule);
    } else if (chain.numberedInserts < NUMBERED_INSERTS_MAX) {
      chain.numberedInserts += 1;
      const index = insertAt - 1 - chain.inserted.length;
      if (index >= 0) chain.rules.splice(index, 0, rule);
      else chain.inserted.splice(chain.inserted.length - (insertAt - 1), 0, rule);
    } else {
      const message = 'too many numbered inserts into one chain: appended';
      this.#report('IPT_TOO_MANY_INSERTS', 'error', 1, this.#text.slice(at, end), message);
      chain.rules.push(rule);
    }
  }

  #noteTarget(fields: RuleReader, table: TableBuilding, at: number, end: number): void {
    const target = fields.target;
    if (target === null || target.spec !== null || isVerdict(target.name) || table.chains.has(target.name)) return;
    const key = `${table.name}\n${target.name}`;
    if (this.#targets.has(key)) return;
    this.#targets.set(key, { table, target: target.name, line: this.#line, text: this.#text.slice(at, end) });
  }
}

function addressesIn(list: string | null): number {
  return list === null ? 1 : list.split(',').length;
}

/** `-s a,b -d c,d` is four rules to the tools, the sources outermost. */
function expandAddresses(fields: RuleFields, chain: string): string[] {
  const texts: string[] = [];
  for (const source of (fields.source ?? '').split(',')) {
    for (const destination of (fields.destination ?? '').split(',')) {
      const one = { ...fields, source: source || null, destination: destination || null };
      texts.push(`-A ${chain} ${printFields(one)}`);
    }
  }
  return texts;
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9 || code === 13;
}

function isDigits(text: string, start: number, end: number): boolean {
  for (let at = start; at < end; at += 1) {
    const code = text.charCodeAt(at);
    if (code < 48 || code > 57) return false;
  }
  return end > start;
}

function isCounter(text: string | undefined): boolean {
  return text !== undefined && /^[0-9]+$/.test(text);
}

function readCounter(digits: string): Counter {
  const value = Number(digits);
  return Number.isSafeInteger(value) ? value : digits.replace(/^0+(?=[0-9])/, '');
}
