import type { Family } from './model.ts';

/** A value as a program reads it: a number, a string, a range, a masked number, or a list of those. */
export type TypedValue =
  | string
  | number
  | boolean
  | { readonly low: number; readonly high: number }
  | { readonly value: number; readonly mask: number }
  | readonly TypedValue[];

/** How an option's value is written. `canonical` gives the spelling that iptables-save prints, or null. */
export interface Grammar {
  /** The word docs/support.md shows: `port`, `address/mask`, … */
  readonly kind: string;
  canonical(text: string, family: Family): string | null;
  /** The value of a canonical spelling. */
  typed(canonical: string): TypedValue;
  /** How the tools quote it; bare when absent. */
  readonly quote?: (value: string) => string;
}

export interface OptionSpec {
  /** As iptables-save prints it, with its dashes. */
  readonly name: string;
  readonly aliases: readonly string[];
  /** One grammar per argument; none for a flag. */
  readonly grammars: readonly Grammar[];
  /** The one argument may be missing. */
  readonly optional: boolean;
  readonly negatable: boolean;
  /** The value the tools leave out when they save. */
  readonly silentDefault: string | null;
  /** The value the tools add when the option is missing, so that both spellings are one rule. */
  readonly statedDefault: string | null;
}

/** One `-m` or `-j` extension. */
export interface ExtensionSpec {
  readonly kind: 'match' | 'target';
  readonly name: string;
  readonly families: readonly Family[];
  /** In the order iptables-save prints them. */
  readonly options: readonly OptionSpec[];
  /** Another name of the same extension: `icmpv6` for `icmp6`. */
  readonly aliases: readonly string[];
  /** The protocol that loads this match when one of its options follows `-p`. */
  readonly protocol: number | null;
  /** False where the order of the options is part of what they say (`policy`, `u32`). */
  readonly sorted: boolean;
  /**
   * False for a match that counts, remembers or draws lots: its place among the others decides how often it is asked.
   * The others may be evaluated in any order.
   */
  readonly pure: boolean;
  /** What the tools do beyond option by option: defaults that depend on others, options that become others. */
  readonly rewrite: ((options: RuleOption[], family: Family) => RuleOption[]) | null;
}

/** One option of a match or target as a rule uses it. */
export interface RuleOption {
  /** Canonical, with dashes; as written when unknown. */
  readonly name: string;
  readonly negated: boolean;
  /** Canonical spellings; as written where they could not be read. */
  readonly values: readonly string[];
  /** null: not in the table. */
  readonly spec: OptionSpec | null;
  /** False when the option is unknown, or a value is not what its grammar wants. */
  readonly understood: boolean;
}

/** The option's values, typed: a flag is true, several arguments are a list. */
export function optionValue(option: RuleOption): TypedValue {
  const { spec, values } = option;
  if (values.length === 0) return true;
  const typed = values.map((value, index): TypedValue => {
    const grammar = option.understood ? spec?.grammars[index] : undefined;
    return grammar === undefined ? value : grammar.typed(value);
  });
  return typed.length === 1 ? (typed[0] as TypedValue) : typed;
}
