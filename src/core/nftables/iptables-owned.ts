import type { NftChain, NftRuleset, NftTable } from './model.ts';

/** The base chains iptables-nft makes in each of its tables: hook, type and priority are fixed. */
const IPTABLES_CHAINS: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  ['filter', chains('filter', 0, ['INPUT', 'FORWARD', 'OUTPUT'])],
  ['security', chains('filter', 150, ['INPUT', 'FORWARD', 'OUTPUT'])],
  ['raw', chains('filter', -300, ['PREROUTING', 'OUTPUT'])],
  [
    'mangle',
    new Map([
      ...chains('filter', -150, ['PREROUTING', 'INPUT', 'FORWARD', 'POSTROUTING']),
      ['OUTPUT', place('route', 'output', -150)],
    ]),
  ],
  [
    'nat',
    new Map([
      ['PREROUTING', place('nat', 'prerouting', -100)],
      ['OUTPUT', place('nat', 'output', -100)],
      ['INPUT', place('nat', 'input', 100)],
      ['POSTROUTING', place('nat', 'postrouting', 100)],
    ]),
  ],
]);

function chains(type: string, priority: number, names: readonly string[]): Map<string, string> {
  return new Map(names.map((name) => [name, place(type, name.toLowerCase(), priority)]));
}

function place(type: string, hook: string, priority: number): string {
  return `${type} ${hook} ${priority}`;
}

/**
 * Whether iptables-save shows this table in full, so that its nft listing (where xt matches have no parameters) adds
 * nothing. Strict: iptables' family and name, no base chain but iptables' own at their places, nothing beside chains
 * and rules, and no statement that iptables could not have written. A native table called `ip filter` is not owned.
 */
export function isIptablesOwnedTable(table: NftTable): boolean {
  const own = table.family === 'ip' || table.family === 'ip6' ? IPTABLES_CHAINS.get(table.name) : undefined;
  if (own === undefined || table.chains.size === 0) return false;
  if (table.sets.size > 0 || table.flowtables.size > 0 || table.objects.size > 0 || table.flags.length > 0)
    return false;
  let baseChains = 0;
  for (const chain of table.chains.values()) {
    if (!chain.isBaseChain) continue;
    baseChains += 1;
    if (own.get(chain.name) !== `${chain.type} ${chain.hook} ${chain.priority}`) return false;
  }
  return baseChains > 0 && [...table.chains.values()].every(isIptablesChain);
}

function isIptablesChain(chain: NftChain): boolean {
  return chain.rules.every((rule) => rule.expr.every(isIptablesStatement));
}

// iptables-nft translates addresses, interfaces, protocols, ports and masks; everything else it writes as xt.
const IPTABLES_STATEMENTS: ReadonlySet<string> = new Set([
  'match',
  'counter',
  'xt',
  'accept',
  'drop',
  'return',
  'jump',
  'goto',
  'reject',
  'log',
  'limit',
  'mangle',
  'notrack',
  'dnat',
  'snat',
  'masquerade',
  'redirect',
  'queue',
]);

function isIptablesStatement(statement: NftChain['rules'][number]['expr'][number]): boolean {
  if (statement === null || typeof statement !== 'object' || Array.isArray(statement)) return false;
  for (const [kind, body] of Object.entries(statement)) {
    if (!IPTABLES_STATEMENTS.has(kind)) return false;
    // A named object or a set is nothing iptables knows.
    if (kind !== 'xt' && /"@|"(?:map|set|concat|objref)":/.test(JSON.stringify(body ?? null))) return false;
    if ((kind === 'counter' || kind === 'limit') && typeof body === 'string') return false;
  }
  return true;
}

/** The ruleset without the tables that the predicate picks. */
export function withoutTables(ruleset: NftRuleset, predicate: (table: NftTable) => boolean): NftRuleset {
  return { ...ruleset, tables: new Map([...ruleset.tables].filter(([, table]) => !predicate(table))) };
}
