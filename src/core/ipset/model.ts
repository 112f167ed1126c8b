/** What one `ipset save` says. */
export interface IpsetCollection {
  readonly sets: ReadonlyMap<string, Ipset>;
  /** Lines that are neither `create` nor `add`: compared as text. */
  readonly unparsed: readonly string[];
}

/** One option of a set or an entry: `maxelem` → `65536`; a flag has no value. */
export interface IpsetOption {
  readonly name: string;
  readonly value: string | null;
}

export interface Ipset {
  readonly name: string;
  /** `hash:net`, `bitmap:port`, `list:set` … */
  readonly type: string;
  /** In the order printed, sizing and seed included. */
  readonly options: readonly IpsetOption[];
  /** By member, in the order printed. */
  readonly entries: ReadonlyMap<string, IpsetEntry>;
}

/** A member and what is said of it: `nomatch`, `timeout 299`, `packets 0`, `comment "…"`, `skbmark 0x1/0x1` … */
export interface IpsetEntry {
  /** As printed: `203.0.113.0/24`, `10.1.1.1,tcp:80,10.2.0.0/16`. */
  readonly member: string;
  readonly options: readonly IpsetOption[];
}

/** The value of an option: null for a flag or when it is absent. */
export function ipsetOption(options: readonly IpsetOption[], name: string): string | null {
  return options.find((option) => option.name === name)?.value ?? null;
}
