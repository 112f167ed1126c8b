import { type RuleFields, readRule } from './read-rule.ts';

export type Family = 'ipv4' | 'ipv6';

/** Packets or bytes. A decimal string beyond 2^53 - 1, where a number would lose digits. */
export type Counter = number | string;

/** What one or several `iptables-save` outputs of one family say. Tables in the order they were met. */
export interface IptablesRuleset {
  readonly family: Family;
  readonly tables: ReadonlyMap<string, IptablesTable>;
  /** Lines that are neither rule nor declaration, and tables the tool could not show: compared as text. */
  readonly unparsed: readonly UnparsedLine[];
}

export interface UnparsedLine {
  /** null: before the first table. */
  readonly table: string | null;
  readonly text: string;
}

export interface IptablesTable {
  readonly name: string;
  /** In the order of the declarations; a chain that only rules name follows at the end. */
  readonly chains: ReadonlyMap<string, IptablesChain>;
}

export interface IptablesChain {
  readonly name: string;
  /** `ACCEPT`, `DROP` … of a built-in chain; null for a user-defined one (`-` in the text). */
  readonly policy: string | null;
  /** Of the policy; null where the text has no counters. */
  readonly packets: Counter | null;
  readonly bytes: Counter | null;
  /** In evaluation order. */
  readonly rules: readonly IptablesRule[];
}

/** Where a chain's rules stand and the text they were read from: one for all of them. */
export interface RuleOrigin {
  readonly family: Family;
  readonly table: string;
  readonly chain: string;
  readonly source: string;
}

/**
 * One rule, as its place in a text and its counters. What the line means is read from the text when it is asked for, so
 * that a hundred thousand rules cost little more than the text itself.
 */
export class IptablesRule {
  readonly #origin: RuleOrigin;
  readonly #start: number;
  readonly #end: number;
  /** null where the text has no counters. */
  readonly packets: Counter | null;
  readonly bytes: Counter | null;
  #fields: RuleFields | undefined;

  /** @param start,end  of the rule in `origin.source`, from `-A` on, without counters and line end */
  constructor(
    origin: RuleOrigin,
    start: number,
    end: number,
    packets: Counter | null = null,
    bytes: Counter | null = null,
  ) {
    this.#origin = origin;
    this.#start = start;
    this.#end = end;
    this.packets = packets;
    this.bytes = bytes;
  }

  /** A rule that is a text of its own. */
  static fromText(
    place: Omit<RuleOrigin, 'source'>,
    text: string,
    packets: Counter | null = null,
    bytes: Counter | null = null,
  ): IptablesRule {
    const { family, table, chain } = place;
    return new IptablesRule({ family, table, chain, source: text }, 0, text.length, packets, bytes);
  }

  get family(): Family {
    return this.#origin.family;
  }

  get table(): string {
    return this.#origin.table;
  }

  get chain(): string {
    return this.#origin.chain;
  }

  /** The line as it was read, from `-A` on, without counters and line end. */
  get text(): string {
    return this.#origin.source.slice(this.#start, this.#end);
  }

  /** What `JSON.stringify` writes of a rule; `ruleDocument` writes what it means. */
  toJSON(): {
    family: Family;
    table: string;
    chain: string;
    text: string;
    packets: Counter | null;
    bytes: Counter | null;
  } {
    const { family, table, chain, text, packets, bytes } = this;
    return { family, table, chain, text, packets, bytes };
  }

  /** The rule's protocol, addresses, interfaces, matches and target; not kept: for a pass over a whole ruleset. */
  readFields(): RuleFields {
    return readRule(this.text, this.family);
  }

  /** The same, read on first use, then kept. */
  get fields(): RuleFields {
    this.#fields ??= this.readFields();
    return this.#fields;
  }
}

/** A chain that the kernel calls from a hook: it has a policy. */
export function isBuiltIn(chain: IptablesChain): boolean {
  return chain.policy !== null;
}
