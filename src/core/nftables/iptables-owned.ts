import { isJsonObject, type Json } from '../json.ts';
import type { NftChain, NftRuleset, NftTable } from './model.ts';
import { type NftExpression, typeStatement } from './typed.ts';

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
  return [...table.chains.values()].some(({ isBaseChain }) => isBaseChain) && isShownByIptablesSave(table);
}

/**
 * Whether an iptables-save that reads the table leaves nothing of it out: owned, or what `iptables -X` leaves behind, a
 * table without a base chain.
 */
export function isShownByIptablesSave(table: NftTable): boolean {
  const own = table.family === 'ip' || table.family === 'ip6' ? IPTABLES_CHAINS.get(table.name) : undefined;
  if (own === undefined) return false;
  if (table.sets.size > 0 || table.flowtables.size > 0 || table.objects.size > 0 || table.flags.length > 0)
    return false;
  for (const chain of table.chains.values()) {
    if (!chain.isBaseChain) continue;
    if (own.get(chain.name) !== `${chain.type} ${chain.hook} ${chain.priority}`) return false;
  }
  return [...table.chains.values()].every(isIptablesChain);
}

/** Whether iptables has a table of this name. */
export function isIptablesName(name: string): boolean {
  return IPTABLES_CHAINS.has(name);
}

/** Whether a rule has a match or target of iptables, of which nft lists the name and no parameter. */
export function usesXtables(table: NftTable): boolean {
  return [...table.chains.values()].some(({ rules }) =>
    rules.some(({ expr }) => expr.some((statement) => isJsonObject(statement) && 'xt' in statement)),
  );
}

// Each rule of iptables counts; a native one mostly does not.
function isIptablesChain(chain: NftChain): boolean {
  return chain.rules.every(
    ({ expr }) => expr.every(isIptablesStatement) && expr.some((one) => isJsonObject(one) && 'counter' in one),
  );
}

/** What iptables-nft (1.8.9, 1.8.11) writes in nft's own terms; everything else is xt. */
function isIptablesStatement(statement: Json): boolean {
  const typed = typeStatement(statement);
  switch (typed.kind) {
    case 'xt':
    case 'accept':
    case 'drop':
    case 'return':
    case 'jump':
    case 'goto':
      return true;
    case 'counter':
    case 'limit':
      return typed.form === 'fields' || typed.form === 'bare';
    case 'log':
      return typed.form === 'fields' && typed.fields.group !== undefined;
    case 'mangle':
      return typed.form === 'fields' && typed.fields.key?.kind === 'meta' && typed.fields.key.fields.key === 'mark';
    case 'match':
      return typed.form === 'fields' && isIptablesField(typed.fields.left) && isPlainValue(typed.fields.right);
    default:
      return false;
  }
}

const IPTABLES_FIELDS: ReadonlySet<string> = new Set([
  'ip saddr',
  'ip daddr',
  'ip protocol',
  'ip frag-off',
  'ip6 saddr',
  'ip6 daddr',
  'ip6 nexthdr',
  'tcp sport',
  'tcp dport',
  'tcp flags',
  'udp sport',
  'udp dport',
  'meta iifname',
  'meta oifname',
  'meta l4proto',
  'meta mark',
]);

function isIptablesField(left: NftExpression | undefined): boolean {
  if (left?.kind === '&') return isIptablesField(left.operands[0]);
  if (left?.kind === 'meta') return IPTABLES_FIELDS.has(`meta ${left.fields.key}`);
  return left?.kind === 'payload' && IPTABLES_FIELDS.has(`${left.fields.protocol} ${left.fields.field}`);
}

/** No set, no map, no concatenation: those are nft's alone. */
function isPlainValue(right: NftExpression | undefined): boolean {
  switch (right?.kind) {
    case 'value':
    case 'prefix':
    case 'range':
    case 'list':
    case '|':
      return true;
    default:
      return false;
  }
}

/** The ruleset without the tables that the predicate picks. */
export function withoutTables(ruleset: NftRuleset, predicate: (table: NftTable) => boolean): NftRuleset {
  return { ...ruleset, tables: new Map([...ruleset.tables].filter(([, table]) => !predicate(table))) };
}
