import type { Json, JsonObject } from '../json.ts';

/**
 * What `nft --json list ruleset` says, as a tree. Every node keeps the JSON it came from (`raw`), so nothing a newer nft
 * adds is lost; the named fields are what the rest of this folder works with. Maps keep the order of the listing.
 */
export interface NftRuleset {
  /** The listing's `metainfo`, null when it has none. */
  readonly metainfo: JsonObject | null;
  /** nft's version, such as `1.0.6`; null when the listing does not say. */
  readonly version: string | null;
  /** By `family/name`. */
  readonly tables: ReadonlyMap<string, NftTable>;
  /** Top-level items that are no table, chain, rule, set, map, flowtable or known object, and text that is no JSON. */
  readonly unparsed: readonly Json[];
}

export interface NftTable {
  /** `family/name`, the key in the ruleset. */
  readonly key: string;
  readonly family: string;
  readonly name: string;
  readonly handle: number | null;
  /** `dormant`, `owner`, `persist`; `unreadable` stands for what nft 1.0.6 prints as other strings of its memory. */
  readonly flags: readonly string[];
  readonly comment: string | null;
  readonly raw: JsonObject;
  readonly chains: ReadonlyMap<string, NftChain>;
  /** Named sets and maps: they share one name space. */
  readonly sets: ReadonlyMap<string, NftSet>;
  readonly flowtables: ReadonlyMap<string, NftObject>;
  /** Counters, quotas, limits, ct helpers …, by `type/name`: names are unique within a type only. */
  readonly objects: ReadonlyMap<string, NftObject>;
}

export interface NftChain {
  readonly name: string;
  readonly handle: number | null;
  /** `filter`, `nat` or `route`; null for a chain that only jumps reach. */
  readonly type: string | null;
  readonly hook: string | null;
  /** A number, or a name such as `filter` or `mangle - 5` where a listing gives one. */
  readonly priority: number | string | null;
  readonly policy: string | null;
  /** Devices of an ingress or egress chain. Listings before nft 1.0.8 leave them out. */
  readonly devices: readonly string[];
  readonly isBaseChain: boolean;
  readonly comment: string | null;
  readonly raw: JsonObject;
  readonly rules: readonly NftRule[];
}

export interface NftRule {
  readonly family: string;
  readonly table: string;
  readonly chain: string;
  /** Null when the listing has none, or a zero. */
  readonly handle: number | null;
  readonly comment: string | null;
  /** The statements in order. A string is a statement that nft 1.0.6 prints as text. */
  readonly expr: readonly Json[];
  readonly raw: JsonObject;
  /** Content without moving parts, in one spelling: equal for equal rules. See `ruleIdentity`. */
  readonly identity: string;
}

export interface NftSet {
  readonly kind: 'set' | 'map';
  readonly name: string;
  readonly handle: number | null;
  readonly flags: readonly string[];
  readonly comment: string | null;
  /** Without `elem`. */
  readonly raw: JsonObject;
  /** As listed; in a map each is `[key, data]`. Empty too when the listing is terse. */
  readonly elements: readonly Json[];
}

export interface NftObject {
  /** `counter`, `quota`, `limit`, `ct helper`, `ct timeout`, `ct expectation`, `secmark`, `synproxy`, `tunnel`, `flowtable`. */
  readonly type: string;
  readonly name: string;
  readonly handle: number | null;
  readonly comment: string | null;
  readonly raw: JsonObject;
}

/** Keys of a listing that hold named objects, besides tables, chains, rules, sets, maps and flowtables. */
export const OBJECT_TYPES = [
  'counter',
  'quota',
  'limit',
  'ct helper',
  'ct timeout',
  'ct expectation',
  'secmark',
  'synproxy',
  'tunnel',
] as const;

export function tableKey(family: string, name: string): string {
  return `${family}/${name}`;
}
