import { readUnsigned } from './addresses.ts';
import type { ExtensionSpec, Grammar, OptionSpec, RuleOption } from './extension.ts';
import { findMatch, findOption, findOptionByPrefix, findTarget, protocolMatch } from './extensions.ts';
import type { Family } from './model.ts';
import { printProtocol, protocolNumber } from './names.ts';
import { type Tokens, tokenizeRule } from './tokens.ts';
import { canonicalNetwork } from './values.ts';

/** A match or target as a rule uses it. */
export interface ExtensionUse {
  /** Canonical: `icmp6` for `icmpv6`; as written when unknown. */
  readonly name: string;
  /** null: not in the table. For a target also: a verdict (`ACCEPT`) or a chain. */
  readonly spec: ExtensionSpec | null;
  /** In the order iptables-save prints them; in the order written when not understood. */
  readonly options: readonly RuleOption[];
  /** Every option is in the table and has a value it can have. */
  readonly understood: boolean;
}

/** What a rule says. Every value in the spelling that iptables-save prints; absent conditions are null. */
export interface RuleFields {
  /** By name where it has one: `tcp`, `ipv6-icmp`, `252`. */
  readonly protocol: string | null;
  readonly protocolNegated: boolean;
  /** With prefix length or mask: `10.0.0.0/8`. A list only in text that no tool saved. */
  readonly source: string | null;
  readonly sourceNegated: boolean;
  readonly destination: string | null;
  readonly destinationNegated: boolean;
  readonly inInterface: string | null;
  readonly inInterfaceNegated: boolean;
  readonly outInterface: string | null;
  readonly outInterfaceNegated: boolean;
  /** `-f`: second and further fragments. */
  readonly fragment: boolean;
  readonly fragmentNegated: boolean;
  readonly matches: readonly ExtensionUse[];
  /** null: the rule only counts. */
  readonly target: ExtensionUse | null;
  /** `-g` instead of `-j`. */
  readonly goto: boolean;
  /** Arguments that belong to no option, verbatim. */
  readonly stray: readonly string[];
  /** `-4` or `-6`: a line for one family only, in text for both. */
  readonly onlyFamily: Family | null;
  /** `-c packets bytes` inside the rule. */
  readonly counters: readonly [string, string] | null;
}

/** Told of what was odd: a code, the index of the argument, and a sentence. */
export type OddityListener = (code: string, argument: number, message: string) => void;

const VERDICTS: ReadonlySet<string> = new Set(['ACCEPT', 'DROP', 'RETURN', 'QUEUE']);

/** Whether a target is a verdict of the kernel, which no chain can be named as. */
export function isVerdict(target: string): boolean {
  return VERDICTS.has(target);
}

/** Reads one line from `-A` on. Never throws: what is not understood is kept as it was written. */
export function readRule(text: string, family: Family): RuleFields {
  return READERS[family].read(tokenizeRule(text));
}

/** Tells whether another value at the same place of a line means no more and no less than the one that was there. */
export interface Slot {
  canonical(text: string, family: Family): string | null;
}

/** A line without oddities, as a pattern for those that differ from it only in values. */
export interface LineShape {
  readonly values: readonly string[];
  readonly quoted: readonly boolean[];
  readonly slots: readonly (Slot | null)[];
}

const ANY_SLOT: Slot = { canonical: (text) => text };
const NETWORK_SLOT: Slot = { canonical: canonicalNetwork };
/** Filled by a chain's name, which the reader of the whole text has to look up. */
export const CHAIN_SLOT: Slot = { canonical: (name) => name };
export const JUMP_SLOT: Slot = {
  canonical: (name, family) => (findTarget(name, family) === undefined && !isVerdict(name) ? name : null),
};

/** Stand in for lists that are not kept while a line is only checked. */
const NOTHING_READ: string[] = [];
const NO_OPTIONS: RuleOption[] = [];

/** More matches than the kernel takes in one rule: a line that has them must not cost their square. */
const OWNERS_SEARCHED_MAX = 64;

interface Building {
  readonly name: string;
  readonly spec: ExtensionSpec | null;
  readonly options: RuleOption[];
  understood: boolean;
}

/**
 * Reads one line after another. Fields are plain and are used again from line to line: a reader per line costs as much
 * as the reading.
 */
export class RuleReader {
  private readonly family: Family;
  private readonly onOddity: OddityListener | null;
  private tokens: Tokens = { values: [], starts: [], quoted: [] };
  /** Values are checked and not kept. */
  private checking = false;
  private at = 0;
  /** While checking: how each argument was read, where its value may differ in a line of the same shape. */
  private slots: (Slot | null)[] = [];
  private protocol: string | null = null;
  private protocolNumber = 0;
  private protocolNegated = false;
  source: string | null = null;
  private sourceNegated = false;
  destination: string | null = null;
  private destinationNegated = false;
  private inInterface: string | null = null;
  private inInterfaceNegated = false;
  private outInterface: string | null = null;
  private outInterfaceNegated = false;
  private fragment = false;
  private fragmentNegated = false;
  private goto = false;
  target: Building | null = null;
  private matches: Building[] = [];
  private stray: string[] = [];
  private last: Building | null = null;
  onlyFamily: Family | null = null;
  counters: [string, string] | null = null;

  constructor(family: Family, onOddity: OddityListener | null) {
    this.family = family;
    this.onOddity = onOddity;
  }

  /**
   * Reads a line's arguments to find what is odd in them. Only the public fields are good afterwards: a ruleset as a
   * whole needs no more, and the rest costs as much again.
   */
  check(tokens: Tokens): void {
    this.checking = true;
    this.matches.length = 0;
    this.stray.length = 0;
    this.slots = new Array<Slot | null>(tokens.values.length).fill(null);
    this.readAll(tokens);
  }

  /** The shape of the line that was checked last. Only of use when nothing in it was odd. */
  shape(): LineShape {
    return { values: [...this.tokens.values], quoted: [...this.tokens.quoted], slots: this.slots };
  }

  /** Reads a line's arguments into fields in the order and with the defaults that iptables-save prints. */
  read(tokens: Tokens): RuleFields {
    this.checking = false;
    this.matches = [];
    this.stray = [];
    this.readAll(tokens);
    return {
      protocol: this.protocol,
      protocolNegated: this.protocolNegated,
      source: this.source,
      sourceNegated: this.sourceNegated,
      destination: this.destination,
      destinationNegated: this.destinationNegated,
      inInterface: this.inInterface,
      inInterfaceNegated: this.inInterfaceNegated,
      outInterface: this.outInterface,
      outInterfaceNegated: this.outInterfaceNegated,
      fragment: this.fragment,
      fragmentNegated: this.fragmentNegated,
      matches: this.matches.map((match) => finish(match, this.family)),
      target: this.target === null ? null : finish(this.target, this.family),
      goto: this.goto,
      stray: this.stray,
      onlyFamily: this.onlyFamily,
      counters: this.counters,
    };
  }

  private readAll(tokens: Tokens): void {
    this.tokens = tokens;
    this.at = 0;
    this.protocol = null;
    this.protocolNumber = 0;
    this.protocolNegated = false;
    this.source = null;
    this.sourceNegated = false;
    this.destination = null;
    this.destinationNegated = false;
    this.inInterface = null;
    this.inInterfaceNegated = false;
    this.outInterface = null;
    this.outInterfaceNegated = false;
    this.fragment = false;
    this.fragmentNegated = false;
    this.goto = false;
    this.target = null;
    this.last = null;
    this.onlyFamily = null;
    this.counters = null;
    const { values, quoted } = this.tokens;
    const count = values.length;
    while (this.at < count) {
      const token = values[this.at] as string;
      let negated = false;
      let option = token;
      if (token === '!' && quoted[this.at] === false && this.at + 1 < count) {
        negated = true;
        this.at += 1;
        option = values[this.at] as string;
      }
      if (quoted[this.at] === true || option.length < 2 || option.charCodeAt(0) !== 45) {
        this.keepStray(negated, option);
        this.at += 1;
        continue;
      }
      if (option.charCodeAt(1) === 45) this.longOption(option, negated);
      else this.shortOption(option, negated);
    }
  }

  private odd(code: string, argument: number, message: string): void {
    if (this.onOddity !== null) this.onOddity(code, argument, message);
  }

  private keepStray(negated: boolean, token: string): void {
    this.odd('IPT_STRAY_ARGUMENT', this.at, 'an argument that belongs to no option');
    if (this.last === null) {
      if (negated) this.stray.push('!');
      this.stray.push(token);
      return;
    }
    if (this.checking) return;
    this.last.options.push({ name: '', negated, values: [token], spec: null, understood: false });
    this.last.understood = false;
  }

  private shortOption(option: string, negated: boolean): void {
    const letter = option[1] as string;
    if (option.length === 2) {
      this.at += 1;
      this.global(letter, negated, null);
    } else if ('sdioptjgmcAI'.includes(letter)) {
      this.at += 1;
      this.global(letter, negated, option.slice(2).replace(/^=/, ''));
    } else {
      this.unknownOption(option, negated);
    }
  }

  private longOption(option: string, negated: boolean): void {
    const equals = option.indexOf('=');
    const name = equals === -1 ? option : option.slice(0, equals);
    const attached = equals === -1 ? null : option.slice(equals + 1);
    const owner = this.findOwner(name, findOption);
    if (owner !== null) {
      this.extensionOption(owner.use, owner.option, negated, attached);
      return;
    }
    const letter = LONG_GLOBALS.get(name) ?? abbreviatedGlobal(name);
    if (letter !== undefined) {
      this.at += 1;
      this.global(letter, negated, attached);
      return;
    }
    const implied = this.protocolNegated ? undefined : protocolMatch(this.protocolNumber, this.family);
    if (this.protocol !== null && implied !== undefined && !this.hasMatch(implied)) {
      const impliedOption = findOption(implied, name) ?? findOptionByPrefix(implied, name);
      if (impliedOption !== undefined) {
        this.extensionOption(this.open(implied.name, implied), impliedOption, negated, attached);
        return;
      }
    }
    const byPrefix = this.findOwner(name, findOptionByPrefix);
    if (byPrefix !== null) this.extensionOption(byPrefix.use, byPrefix.option, negated, attached);
    else this.unknownOption(option, negated);
  }

  private hasMatch(match: ExtensionSpec): boolean {
    return this.matches.slice(-OWNERS_SEARCHED_MAX).some(({ spec }) => spec === match);
  }

  private findOwner(
    name: string,
    find: (extension: ExtensionSpec, name: string) => OptionSpec | undefined,
  ): { use: Building; option: OptionSpec } | null {
    const target = this.target;
    if (target?.spec) {
      const option = find(target.spec, name);
      if (option !== undefined) return { use: target, option };
    }
    const last = this.matches.length - 1;
    for (let index = last; index >= 0 && index > last - OWNERS_SEARCHED_MAX; index -= 1) {
      const use = this.matches[index] as Building;
      const option = use.spec === null ? undefined : find(use.spec, name);
      if (option !== undefined) return { use, option };
    }
    return null;
  }

  private extensionOption(use: Building, spec: OptionSpec, negated: boolean, attached: string | null): void {
    const { values, quoted } = this.tokens;
    const optionAt = this.at;
    this.at += 1;
    let not = negated;
    const takesValue = spec.negatable && spec.grammars.length > 0;
    if (attached === null && takesValue && values[this.at] === '!' && quoted[this.at] === false) {
      not = true;
      this.at += 1;
    }
    const read: string[] = this.checking ? NOTHING_READ : [];
    let understood = !not || spec.negatable;
    if (!understood) this.odd('IPT_UNEXPECTED_NEGATION', optionAt, `${spec.name} cannot be negated`);
    const grammars = spec.grammars;
    for (let index = 0; index < grammars.length; index += 1) {
      const grammar = grammars[index] as Grammar;
      let value: string | undefined;
      if (index === 0 && attached !== null) value = attached;
      else if (this.at < values.length && !(spec.optional && this.startsOption())) {
        value = values[this.at];
        this.at += 1;
      }
      if (value === undefined) {
        if (!spec.optional) {
          understood = false;
          this.odd('IPT_MISSING_ARGUMENT', optionAt, `${spec.name} needs ${grammar.kind}`);
        }
        break;
      }
      const canonical = grammar.canonical(value, this.family);
      if (this.checking && (index > 0 || attached === null)) this.slots[this.at - 1] = grammar;
      if (canonical === null) {
        understood = false;
        this.odd('IPT_UNREADABLE_VALUE', this.at - 1, `${spec.name} wants ${grammar.kind}`);
      }
      if (!this.checking) read.push(canonical ?? value);
    }
    this.last = use;
    if (this.checking) return;
    use.options.push({ name: spec.name, negated: not, values: read, spec, understood });
    if (!understood) use.understood = false;
  }

  private startsOption(): boolean {
    const token = this.tokens.values[this.at] as string;
    return this.tokens.quoted[this.at] === false && (token === '!' || /^-[-A-Za-z]/.test(token));
  }

  private unknownOption(option: string, negated: boolean): void {
    this.odd('IPT_UNKNOWN_OPTION', this.at, 'an option that no match or target of this rule has');
    this.at += 1;
    const values: string[] = [];
    while (this.at < this.tokens.values.length && !this.startsOption()) {
      values.push(this.tokens.values[this.at] as string);
      this.at += 1;
    }
    if (this.last === null) {
      if (negated) this.stray.push('!');
      this.stray.push(option);
      for (const value of values) this.stray.push(value);
      return;
    }
    if (this.checking) return;
    this.last.options.push({ name: option, negated, values, spec: null, understood: false });
    this.last.understood = false;
  }

  private open(name: string, spec: ExtensionSpec | null): Building {
    const options = this.checking ? NO_OPTIONS : [];
    const use: Building = { name, spec, options, understood: spec !== null };
    this.matches.push(use);
    this.last = use;
    return use;
  }

  private global(letter: string, negatedBefore: boolean, attached: string | null): void {
    let negated = negatedBefore;
    const { values, quoted } = this.tokens;
    const optionAt = this.at - 1;
    if (letter === 'f') {
      this.fragment = true;
      this.fragmentNegated = negated;
      return;
    }
    if (letter === '4' || letter === '6') {
      this.onlyFamily = letter === '4' ? 'ipv4' : 'ipv6';
      return;
    }
    if (attached === null && 'sdiop'.includes(letter) && values[this.at] === '!' && quoted[this.at] === false) {
      negated = true;
      this.at += 1;
    }
    const value = attached ?? values[this.at];
    if (value === undefined) {
      this.odd('IPT_MISSING_ARGUMENT', optionAt, 'the line ends after an option that needs an argument');
      this.stray.push(...(negated ? ['!'] : []), values[optionAt] as string);
      return;
    }
    if (attached === null) this.at += 1;
    switch (letter) {
      case 'A':
        if (this.checking) this.slots[this.at - 1] = ANY_SLOT;
        return;
      case 't':
        return;
      case 'I':
        if (/^[0-9]+$/.test(values[this.at] ?? '')) this.at += 1;
        return;
      case 'c':
        this.readCounters(value);
        return;
      case 'p':
        this.readProtocol(value, negated);
        return;
      case 's':
        this.source = this.readNetworks(value, negated);
        this.sourceNegated = negated;
        return;
      case 'd':
        this.destination = this.readNetworks(value, negated);
        this.destinationNegated = negated;
        return;
      case 'i':
        this.inInterface = value === '+' && !negated ? null : value;
        this.inInterfaceNegated = negated;
        return;
      case 'o':
        this.outInterface = value === '+' && !negated ? null : value;
        this.outInterfaceNegated = negated;
        return;
      case 'm':
        this.openMatch(value);
        return;
      default:
        this.openTarget(letter, value);
    }
  }

  private openMatch(name: string): void {
    const spec = findMatch(name, this.family) ?? null;
    if (spec === null) this.odd('IPT_UNKNOWN_MATCH', this.at - 1, 'a match that is not in the table');
    this.open(name === 'udplite' ? name : (spec?.name ?? name), spec);
  }

  private openTarget(letter: string, name: string): void {
    const spec = letter === 'g' ? null : (findTarget(name, this.family) ?? null);
    if (this.target !== null) {
      this.odd('IPT_STRAY_ARGUMENT', this.at - 1, 'a second target');
      this.stray.push(`-${letter}`, name);
      return;
    }
    this.goto = letter === 'g';
    if (this.checking && spec === null && this.tokens.values[this.at - 1] === name) {
      this.slots[this.at - 1] = letter === 'g' ? CHAIN_SLOT : JUMP_SLOT;
    }
    this.target = { name, spec, options: this.checking ? NO_OPTIONS : [], understood: true };
    this.last = this.target;
  }

  private readProtocol(value: string, negated: boolean): void {
    const number = readUnsigned(value, 255) ?? protocolNumber(value);
    if (number === undefined) this.odd('IPT_UNREADABLE_VALUE', this.at - 1, '-p wants a protocol');
    this.protocolNumber = number ?? -1;
    this.protocol = number === 0 && !negated ? null : number === undefined ? value : printProtocol(number);
    this.protocolNegated = negated;
  }

  private readNetworks(value: string, negated: boolean): string | null {
    if (this.checking && this.tokens.values[this.at - 1] === value) this.slots[this.at - 1] = NETWORK_SLOT;
    const everything = this.family === 'ipv4' ? '0.0.0.0/0' : '::/0';
    let canonical = canonicalNetwork(value, this.family);
    if (canonical === null && value.includes(',')) {
      const parts = value.split(',').map((part) => canonicalNetwork(part, this.family));
      canonical = parts.includes(null) ? null : parts.join(',');
    }
    if (canonical === null) {
      this.odd('IPT_UNREADABLE_VALUE', this.at - 1, `not an ${this.family === 'ipv4' ? 'IPv4' : 'IPv6'} address`);
      return value;
    }
    return canonical === everything && !negated ? null : canonical;
  }

  private readCounters(value: string): void {
    const { values } = this.tokens;
    const both = /^([0-9]+),([0-9]+)$/.exec(value);
    if (both !== null) {
      this.counters = [both[1] as string, both[2] as string];
    } else if (/^[0-9]+$/.test(value) && /^[0-9]+$/.test(values[this.at] ?? '')) {
      this.counters = [value, values[this.at] as string];
      this.at += 1;
    } else {
      this.odd('IPT_UNREADABLE_VALUE', this.at - 1, '-c wants packets and bytes');
      this.stray.push('-c', value);
    }
  }
}

const READERS: Readonly<Record<Family, RuleReader>> = {
  ipv4: new RuleReader('ipv4', null),
  ipv6: new RuleReader('ipv6', null),
};

const LONG_GLOBALS: ReadonlyMap<string, string> = new Map([
  ['--append', 'A'],
  ['--insert', 'I'],
  ['--table', 't'],
  ['--protocol', 'p'],
  ['--proto', 'p'],
  ['--source', 's'],
  ['--src', 's'],
  ['--destination', 'd'],
  ['--dst', 'd'],
  ['--in-interface', 'i'],
  ['--out-interface', 'o'],
  ['--jump', 'j'],
  ['--goto', 'g'],
  ['--match', 'm'],
  ['--fragment', 'f'],
  ['--fragments', 'f'],
  ['--set-counters', 'c'],
  ['--ipv4', '4'],
  ['--ipv6', '6'],
]);

function abbreviatedGlobal(name: string): string | undefined {
  if (name.length < 4) return undefined;
  const letters = new Set<string>();
  for (const [long, letter] of LONG_GLOBALS) if (long.startsWith(name)) letters.add(letter);
  return letters.size === 1 ? [...letters][0] : undefined;
}

/** Puts an understood extension's options into the form that iptables-save prints. */
function finish(use: Building, family: Family): ExtensionUse {
  const { spec } = use;
  if (spec === null || !use.understood) return use;
  let options = use.options;
  if (spec.sorted && options.length > 1 && !isSorted(options, spec)) {
    options = options
      .map((option, index) => ({ option, index, order: spec.options.indexOf(option.spec as OptionSpec) }))
      .sort((a, b) => a.order - b.order || a.index - b.index)
      .map(({ option }) => option);
  }
  for (const option of spec.options) {
    if (option.statedDefault !== null && spec.rewrite === null && !options.some(({ name }) => name === option.name)) {
      const added = {
        name: option.name,
        negated: false,
        values: [option.statedDefault],
        spec: option,
        understood: true,
      };
      options = [added, ...options];
    }
  }
  if (spec.rewrite !== null) options = spec.rewrite(options, family);
  if (options.some(isSilent)) options = options.filter((option) => !isSilent(option));
  return { name: use.name, spec, options, understood: true };
}

function isSilent(option: RuleOption): boolean {
  const silent = option.spec?.silentDefault ?? null;
  return silent !== null && !option.negated && option.values[0] === silent;
}

function isSorted(options: readonly RuleOption[], spec: ExtensionSpec): boolean {
  let before = -1;
  for (const option of options) {
    const order = spec.options.indexOf(option.spec as OptionSpec);
    if (order < before) return false;
    before = order;
  }
  return true;
}
