import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../json.ts';

/** One ruleset of a snapshot document, counted. */
export interface RulesetSummary {
  /** Its key in the snapshot: `ipv4`, `nft`, … */
  readonly name: string;
  readonly tables: number;
  readonly chains: number;
  readonly rules: number;
  /** Base chains that do not accept by default: `filter/INPUT DROP`. */
  readonly closed: readonly string[];
}

/** Counts the rulesets of a snapshot document, whoever wrote it. What was not read is left out. */
export function summarizeRulesets(snapshot: { readonly [field: string]: unknown }): RulesetSummary[] {
  const counts = new Map<string, { tables: Set<string>; chains: number; rules: number; closed: string[] }>();
  const rulesets = asObject(snapshot['rulesets']);
  for (const [name, ruleset] of Object.entries(rulesets)) {
    if (isJsonObject(ruleset)) counts.set(name, { tables: new Set(), chains: 0, rules: 0, closed: [] });
  }
  for (const { ruleset, table, chain, policy, rules } of everyChain(rulesets)) {
    const count = counts.get(ruleset);
    if (count === undefined) continue;
    count.tables.add(table);
    count.chains += 1;
    count.rules += rules.length;
    if (isClosed(policy)) count.closed.push(`${table}/${chain} ${policy}`);
  }
  return [...counts].map(([name, { tables, ...rest }]) => ({ name, tables: tables.size, ...rest }));
}

/** A rule, or a default policy, that drops or rejects, under the names that the reference's agent has for them. */
export interface BlockingRule {
  readonly family: string;
  readonly chain: string;
  readonly target: string;
  readonly protocol: string | null;
  readonly dst_port: string | null;
  readonly source: string | null;
  readonly raw_rule: string;
}

/** Default policies first, then rules in order; at most `max` of them, and whether there are more. */
export function blockingRules(
  snapshot: { readonly [field: string]: unknown },
  max: number,
): { readonly listed: readonly BlockingRule[]; readonly more: boolean } {
  const policies: BlockingRule[] = [];
  const rules: BlockingRule[] = [];
  let more = false;
  const add = (list: BlockingRule[], rule: BlockingRule): void => {
    if (list.length < max) list.push(rule);
    else more = true;
  };
  for (const { ruleset, table, chain, policy, rules: listed } of everyChain(asObject(snapshot['rulesets']))) {
    const place = { family: ruleset, chain: `${table}/${chain}` };
    const none = { protocol: null, dst_port: null, source: null };
    if (isClosed(policy))
      add(policies, { ...place, ...none, target: policy ?? '', raw_rule: `default policy ${policy}` });
    for (const rule of listed) {
      if (!isJsonObject(rule)) continue;
      const target = text(rule['target']) ?? text(rule['verdict']) ?? '';
      if (!/^(?:drop|reject)$/i.test(target)) continue;
      add(rules, {
        ...place,
        target,
        protocol: text(rule['protocol']),
        dst_port: text(rule['dst_port']),
        source: text(rule['source']) ?? text(rule['src_addr']),
        raw_rule: text(rule['raw_rule']) ?? text(rule['rule']) ?? '',
      });
    }
  }
  const all = [...policies, ...rules];
  return { listed: all.slice(0, max), more: more || all.length > max };
}

interface DocumentedChain {
  readonly ruleset: string;
  readonly table: string;
  readonly chain: string;
  readonly policy: string | null;
  readonly rules: readonly Json[];
}

function* everyChain(rulesets: JsonObject): Generator<DocumentedChain> {
  for (const [ruleset, body] of Object.entries(rulesets)) {
    for (const [table, { chains }] of members(asObject(body)['tables'])) {
      for (const [chain, { default_policy: named, policy, rules }] of members(chains)) {
        const listed = rules !== undefined && isJsonArray(rules) ? rules : [];
        yield { ruleset, table, chain, policy: text(named) ?? text(policy), rules: listed };
      }
    }
  }
}

function members(value: Json | undefined): [string, JsonObject][] {
  return Object.entries(asObject(value)).map(([name, member]) => [name, asObject(member)]);
}

function isClosed(policy: string | null): boolean {
  return policy !== null && /^(?:drop|reject)$/i.test(policy);
}

function asObject(value: unknown): JsonObject {
  return isJsonObject(value as Json) ? (value as JsonObject) : {};
}

function text(value: Json | undefined): string | null {
  if (typeof value === 'number') return String(value);
  return typeof value === 'string' ? value : null;
}
