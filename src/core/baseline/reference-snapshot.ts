import { excerpt } from '../diagnostics.ts';
import { OperationError } from '../errors.ts';
import type { HostFirewall, IptablesKey, IptablesSource, SourceKey, UnreadSource } from '../host-firewall.ts';
import { parseIptablesSave } from '../iptables/index.ts';
import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../json.ts';
import { type NftRuleset, type NftTable, parseNftRuleset } from '../nftables/index.ts';

/** Snapshots of the reference have no `schema_version` and no raw capture. */
export function isReferenceSnapshot(document: JsonObject): boolean {
  return document['schema_version'] === undefined && document['capture'] === undefined;
}

/**
 * Rebuilds the rulesets of a reference snapshot from the rules' own text: `raw_rule` of iptables, `raw_expressions` of
 * nft. What the format left out is taken as unread, so that it is named and never compared; attributes of nft tables and
 * chains that it left out, and sets, of which it keeps a part, are taken to be as they are now.
 *
 * @param name     of the snapshot, for messages
 * @param current  the capture that it will be compared with
 * Errors: `BASELINE_FORMAT`, with the place in the document
 */
export function readReferenceSnapshot(name: string, document: JsonObject, current: HostFirewall): HostFirewall {
  const reader = new Reader(name);
  const rulesets = reader.object(document['rulesets'], 'rulesets');
  const unread: UnreadSource[] = [];
  const reasons = ['it was written by the Python reference: rules are compared by their text alone'];
  const lacks = (source: SourceKey, reason: string, backend: UnreadSource['backend'] = null): void => {
    unread.push({ source, backend, reason });
  };

  const framework = typeof document['framework'] === 'string' ? document['framework'] : 'unknown';
  const iptables: IptablesSource[] = [];
  for (const family of ['ipv4', 'ipv6'] as const) {
    const ruleset = rulesets[family];
    if (!isJsonObject(ruleset)) continue;
    const text = iptablesSaveText(reader, ruleset, `rulesets.${family}`);
    const backend = backendOf(framework, family, current);
    iptables.push({ key: family, family, backend, ruleset: parseIptablesSave(text, { family }).ruleset });
  }
  for (const { key, family, backend } of current.iptables) {
    if (iptables.some((source) => source.family === family && source.backend === backend)) continue;
    lacks(key, 'this baseline does not hold it', backend);
  }
  const nft = isJsonObject(rulesets['nft']) ? nftRuleset(reader, rulesets['nft'], current.nft) : null;
  if (nft === null && current.nft !== null) lacks('nft', 'this baseline does not hold native nftables tables');
  if (nft !== null) {
    reasons.push('nft: sets, maps, flowtables and stateful objects are kept in part by this format and not compared');
  }
  if (current.ipsets !== null) lacks('ipsets', 'this baseline does not hold ipsets');
  if (iptables.length === 0 && nft === null) throw reader.fault('rulesets', 'holds no ruleset');

  return {
    host: current.host,
    framework: {
      framework: FRAMEWORKS.find((known) => known === framework) ?? 'unknown',
      confidence: 'low',
      evidence: ['stated by the reference snapshot'],
      warnings: [],
    },
    iptables,
    nft,
    ipsets: null,
    coverage: { state: 'partial', reasons: reasons.map((reason) => ({ text: `baseline: ${reason}`, family: null })) },
    unread,
    unseen: [],
    readByNftSave: iptables.filter(({ backend }) => backend === 'nft').map(({ family }) => family),
    diagnostics: [],
  };
}

const FRAMEWORKS = ['iptables-legacy', 'iptables-nft', 'nftables', 'mixed', 'unknown'] as const;

/** The reference reads the default iptables; where its framework does not say which that was, it is as it is now. */
function backendOf(framework: string, key: IptablesKey, current: HostFirewall): IptablesSource['backend'] {
  if (framework === 'iptables-legacy') return 'legacy';
  if (framework === 'iptables-nft') return 'nft';
  return current.iptables.find((source) => source.key === key)?.backend ?? 'nft';
}

const RULE = /^(?:\[\d+:\d+\] )?-A \S/;
const CHAIN = /^\S{1,64}$/;

/** The text that iptables-save would have given: rules keep their order within a chain, which is all that counts. */
function iptablesSaveText(reader: Reader, ruleset: JsonObject, path: string): string {
  const lines: string[] = [];
  for (const [table, body] of reader.entries(ruleset['tables'], `${path}.tables`)) {
    const chains = reader.entries(body['chains'], `${path}.tables.${table}.chains`);
    if (!CHAIN.test(table)) throw reader.fault(`${path}.tables`, `has a table called ${excerpt(table)}`);
    lines.push(`*${table}`);
    for (const [chain, { default_policy: policy }] of chains) {
      if (!CHAIN.test(chain)) throw reader.fault(`${path}.tables.${table}`, `has a chain called ${excerpt(chain)}`);
      lines.push(`:${chain} ${typeof policy === 'string' && CHAIN.test(policy) ? policy : '-'} [0:0]`);
    }
    for (const [chain, { rules }] of chains) {
      const at = `${path}.tables.${table}.chains.${chain}.rules`;
      for (const rule of reader.list(rules, at)) {
        const text = reader.object(rule, at)['raw_rule'];
        if (typeof text !== 'string' || !RULE.test(text.trim()) || /[\n\r]/.test(text.trim())) {
          throw reader.fault(at, 'has a rule without a raw_rule of one line');
        }
        lines.push(text.trim());
      }
    }
    lines.push('COMMIT');
  }
  return `${lines.join('\n')}\n`;
}

/** A listing as nft would have given it, read like any other. */
function nftRuleset(reader: Reader, ruleset: JsonObject, current: NftRuleset | null): NftRuleset {
  const version = ruleset['nft_version'];
  const items: JsonObject[] = [
    { metainfo: { json_schema_version: 1, ...(typeof version === 'string' ? { version } : {}) } },
  ];
  for (const [key, body] of reader.entries(ruleset['tables'], 'rulesets.nft.tables')) {
    const path = `rulesets.nft.tables.${key}`;
    const slash = key.indexOf('/');
    if (slash < 1) throw reader.fault(path, 'is not family/name');
    const table = { family: key.slice(0, slash), table: key.slice(slash + 1) };
    const now = current?.tables.get(key);
    items.push({ table: { ...(now?.raw ?? {}), family: table.family, name: table.table } });
    for (const member of membersNow(table, now)) items.push(member);
    for (const [name, chain] of reader.entries(body['chains'], `${path}.chains`)) {
      items.push({ chain: chainItem(table, name, chain, now) });
      const at = `${path}.chains.${name}.rules`;
      for (const one of reader.list(chain['rules'], at)) {
        const rule = reader.object(one, at);
        const expr = rule['raw_expressions'];
        if (expr === undefined || !isJsonArray(expr)) throw reader.fault(at, 'has a rule without raw_expressions');
        const { handle, comment } = rule;
        items.push({
          rule: {
            ...table,
            chain: name,
            expr,
            ...(typeof handle === 'number' ? { handle } : {}),
            ...(typeof comment === 'string' ? { comment } : {}),
          },
        });
      }
    }
  }
  return parseNftRuleset(JSON.stringify({ nftables: items })).ruleset;
}

function chainItem(place: JsonObject, name: string, chain: JsonObject, now: NftTable | undefined): JsonObject {
  const { type, hook, priority, policy, handle } = chain;
  const known = now?.chains.get(name)?.raw ?? {};
  const stated = { type, hook, prio: priority, policy, handle };
  // A field that is null there is one that the chain does not have; a device is what the format never had.
  const given = Object.entries(stated).filter(([, value]) => value !== null && value !== undefined);
  const { dev, comment } = known;
  return {
    ...place,
    name,
    ...(dev === undefined ? {} : { dev }),
    ...(comment === undefined ? {} : { comment }),
    ...(Object.fromEntries(given) as JsonObject),
  };
}

/** Sets and objects as they are now. */
function membersNow(place: JsonObject, now: NftTable | undefined): JsonObject[] {
  if (now === undefined) return [];
  return [
    ...[...now.sets.values()].map(({ kind, raw, elements }) => ({ [kind]: { ...raw, ...place, elem: elements } })),
    ...[...now.flowtables.values(), ...now.objects.values()].map(({ type, raw }) => ({ [type]: { ...raw, ...place } })),
  ];
}

class Reader {
  readonly #name: string;

  constructor(name: string) {
    this.#name = name;
  }

  object(value: Json | undefined, path: string): JsonObject {
    if (!isJsonObject(value)) throw this.fault(path, 'is no object');
    return value;
  }

  entries(value: Json | undefined, path: string): [string, JsonObject][] {
    return Object.entries(this.object(value ?? {}, path)).map(([name, member]) => [
      name,
      this.object(member, `${path}.${name}`),
    ]);
  }

  list(value: Json | undefined, path: string): readonly Json[] {
    if (value === undefined || value === null) return [];
    if (!isJsonArray(value)) throw this.fault(path, 'is no list');
    return value;
  }

  fault(path: string, what: string): OperationError {
    return new OperationError('BASELINE_FORMAT', this.#name, `${excerpt(path)} ${what}`, {
      nextStep: 'its digest is good: whatever wrote it wrote this; record a new baseline',
    });
  }
}
