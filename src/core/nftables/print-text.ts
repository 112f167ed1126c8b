import { isJsonArray, isJsonObject, type Json } from '../json.ts';
import type { NftChain, NftObject, NftRule, NftRuleset, NftSet, NftTable } from './model.ts';
import { type Datatype, datatypeOf, printElement, printExpression } from './print-expression.ts';
import { printDuration, printLimit, quoted } from './print-stateful.ts';
import { printStatement } from './print-statement.ts';
import { filledByRules } from './references.ts';
import { isSymbolType } from './symbols.ts';
import { type NftStatement, typeExpression, typeStatement } from './typed.ts';

/**
 * A rule in one line, as `nft list ruleset` prints it, comment included. For people: names and comments are as they are
 * in the kernel, so a terminal wants the result through `printable`.
 *
 * @param options  `stateless`: without what counters, quotas and timers stand at, as `nft --stateless` prints
 */
export function printRuleText(rule: NftRule, options: { readonly stateless?: boolean } = {}): string {
  const statements = rule.expr
    .map((statement) =>
      printStatement(typeStatement(options.stateless ? withoutState(statement) : statement), rule.family),
    )
    .join(' ');
  return rule.comment === null ? statements : `${statements} comment ${quoted(rule.comment)}`;
}

function withoutState(statement: Json): Json {
  if (!isJsonObject(statement)) return statement;
  const { counter, quota, last } = statement;
  if (isJsonObject(counter) && counter['packets'] !== undefined) return { counter: null };
  if (isJsonObject(quota)) {
    const { used: _used, used_unit: _unit, ...limit } = quota;
    return { quota: limit };
  }
  return last === undefined ? statement : { last: null };
}

/** The ruleset as `nft list ruleset` prints it, one line a rule. What was unparsed follows in comments. */
export function printNftText(ruleset: NftRuleset): string {
  const blocks = [...ruleset.tables.values()].map(printTable);
  const unparsed = ruleset.unparsed.map((item) => `# unparsed: ${JSON.stringify(item)}\n`);
  return [...blocks, ...unparsed].join('');
}

function printTable(table: NftTable): string {
  const lines: string[] = [];
  if (table.comment !== null) lines.push(`\tcomment ${quoted(table.comment)}`);
  const flags = table.flags.map((flag) => (flag === 'unreadable' ? 'dormant' : flag));
  if (flags.length > 0) lines.push(`\tflags ${flags.join(',')}`);
  const filled = filledByRules(table);
  const blocks = [
    ...[...table.objects.values()].map(printObject),
    ...[...table.sets.values()].map((set) => printSet(set, filled.has(set.name))),
    ...[...table.flowtables.values()].map(printFlowtable),
    ...[...table.chains.values()].map((chain) => printChain(table.family, chain)),
  ];
  const head = lines.length === 0 ? '' : `${lines.join('\n')}\n${blocks.length > 0 ? '\n' : ''}`;
  return `table ${table.family} ${table.name} {\n${head}${blocks.join('\n')}}\n`;
}

function block(head: string, lines: readonly (string | null)[]): string {
  const body = lines.filter((line) => line !== null).map((line) => `\t\t${line}\n`);
  return `\t${head} {\n${body.join('')}\t}\n`;
}

function printChain(family: string, chain: NftChain): string {
  return block(`chain ${chain.name}`, [
    chain.comment === null || chain.comment === '' ? null : `comment ${quoted(chain.comment)}`,
    chain.isBaseChain ? printHook(family, chain) : null,
    ...chain.rules.map((rule) => printRuleText(rule)),
  ]);
}

function printHook(family: string, chain: NftChain): string {
  const devices = chain.devices.map(quoted);
  const device =
    devices.length === 0 ? '' : devices.length === 1 ? ` device ${devices[0]}` : ` devices = { ${devices.join(', ')} }`;
  const priority = printPriority(family, chain.hook, chain.priority);
  const policy = chain.policy === null ? '' : ` policy ${chain.policy};`;
  return `type ${chain.type} hook ${chain.hook}${device} priority ${priority};${policy}`;
}

const PRIORITIES: readonly (readonly [string, number, string])[] = [
  ['raw', -300, ''],
  ['mangle', -150, ''],
  ['dstnat', -100, 'prerouting'],
  ['filter', 0, ''],
  ['security', 50, ''],
  ['srcnat', 100, 'postrouting'],
];

const BRIDGE_PRIORITIES: typeof PRIORITIES = [
  ['dstnat', -300, 'prerouting'],
  ['filter', -200, ''],
  ['out', 100, 'output'],
  ['srcnat', 300, 'postrouting'],
];

/** nft names a priority that is one of the standard ones, or at most 10 beside it: `mangle - 5`. */
function printPriority(family: string, hook: string | null, priority: number | string | null): string {
  if (typeof priority !== 'number') return priority ?? '';
  const named = family === 'bridge' ? BRIDGE_PRIORITIES : PRIORITIES;
  for (const [name, value, onlyAt] of named) {
    if (onlyAt !== '' && onlyAt !== hook) continue;
    if ((family === 'arp' || family === 'netdev') && name !== 'filter') continue;
    const beside = priority - value;
    if (beside === 0) return name;
    if (Math.abs(beside) <= 10) return `${name} ${beside > 0 ? '+' : '-'} ${Math.abs(beside)}`;
  }
  return String(priority);
}

/** @param isFilled  by rules: then it is dynamic, also where nft 1.0 does not list the flag */
function printSet(set: NftSet, isFilled: boolean): string {
  const { type, map, timeout, size, policy, stmt } = set.raw;
  const interval = set.raw['gc-interval'];
  const keyType = datatypeOfNames(type);
  const dataType = datatypeOfNames(map);
  const isTypeof = isJsonObject(type) && 'typeof' in type;
  const data = map === undefined ? '' : ` : ${isTypeof ? printTypeof(map) : printType(map)}`;
  const all = [...new Set([...set.flags, ...(isFilled ? ['dynamic'] : [])])].sort();
  // A default timeout says the flag by itself.
  const flags = all.length === 1 && all[0] === 'timeout' && typeof timeout === 'number' ? [] : all;
  const elements = set.elements.map((element) => printElement(typeExpression(element), keyType, dataType));
  return block(`${set.kind} ${set.name}`, [
    `${isTypeof ? 'typeof' : 'type'} ${printType(type)}${data}`,
    typeof policy === 'string' ? `policy ${policy}` : null,
    typeof size === 'number' ? `size ${size}` : null,
    flags.length === 0 ? null : `flags ${flags.join(',')}`,
    typeof timeout === 'number' ? `timeout ${printDuration(timeout)}` : null,
    typeof interval === 'number' ? `gc-interval ${printDuration(interval)}` : null,
    set.raw['auto-merge'] === true ? 'auto-merge' : null,
    set.comment === null ? null : `comment ${quoted(set.comment)}`,
    stmt === undefined
      ? null
      : (isJsonArray(stmt) ? stmt : [stmt]).map((one) => printStatement(typeStatement(one))).join(' '),
    elements.length === 0 ? null : `elements = { ${elements.join(', ')} }`,
  ]);
}

function printType(type: Json | undefined): string {
  if (type === undefined) return '';
  if (typeof type === 'string') return type;
  if (isJsonArray(type)) return type.map(printType).join(' . ');
  if (isJsonObject(type) && type['typeof'] !== undefined) return printExpression(typeExpression(type['typeof']));
  return printExpression(typeExpression(type));
}

/** nft lists the data of a map by its type alone; behind `typeof` it reads expressions only: one of that type. */
const OF_TYPE: ReadonlyMap<string, string> = new Map([
  ['ipv4_addr', 'ip daddr'],
  ['ipv6_addr', 'ip6 daddr'],
  ['ether_addr', 'ether daddr'],
  ['inet_service', 'tcp dport'],
  ['inet_proto', 'meta l4proto'],
  ['mark', 'meta mark'],
  ['classid', 'meta priority'],
  ['ifname', 'iifname'],
  ['iface_index', 'iif'],
]);

function printTypeof(type: Json): string {
  if (isJsonArray(type)) return type.map(printTypeof).join(' . ');
  return (typeof type === 'string' ? OF_TYPE.get(type) : undefined) ?? printType(type);
}

const TEXT_TYPES: ReadonlySet<string> = new Set([
  'ifname',
  'iface_index',
  'counter',
  'quota',
  'limit',
  'synproxy',
  'ct helper',
  'ct timeout',
  'ct expectation',
  'secmark',
  'tunnel',
  'string',
]);

function datatypeOfNames(type: Json | undefined): Datatype {
  if (type !== undefined && isJsonArray(type)) return type.map(datatypeOfNames);
  if (isJsonObject(type) && type['typeof'] !== undefined) return datatypeOf(typeExpression(type['typeof']));
  if (typeof type !== 'string') return 'plain';
  if (type.includes(' . ')) return type.split(' . ').map(datatypeOfNames);
  if (type === 'mark' || isSymbolType(type)) return type;
  if (type === 'tcp_flag') return 'flags';
  return type === 'time' ? 'duration' : TEXT_TYPES.has(type) ? 'text' : 'plain';
}

function printFlowtable(flowtable: NftObject): string {
  const { hook, prio, dev, flags } = flowtable.raw;
  const devices = dev === undefined ? [] : isJsonArray(dev) ? dev : [dev];
  const priority = typeof prio === 'number' ? printPriority('netdev', null, prio) : String(prio ?? '');
  return block(`flowtable ${flowtable.name}`, [
    `hook ${typeof hook === 'string' ? hook : 'ingress'} priority ${priority}`,
    devices.length === 0 ? null : `devices = { ${devices.map((device) => quoted(String(device))).join(', ')} }`,
    flags === undefined ? null : `flags ${String(flags)}`,
  ]);
}

function printObject(object: NftObject): string {
  const { raw } = object;
  const member = (name: string): string =>
    typeof raw[name] === 'object' ? JSON.stringify(raw[name]) : String(raw[name] ?? '');
  const comment = object.comment === null ? null : `comment ${quoted(object.comment)}`;
  const lines = ((): (string | null)[] => {
    switch (object.type) {
      case 'counter':
        return [`packets ${member('packets')} bytes ${member('bytes')}`];
      case 'quota':
        return [`${raw['inv'] === true ? 'over ' : ''}${printBytes(raw['bytes'])}${usedBytes(raw['used'])}`];
      case 'limit': {
        const { rate, per, burst, inv, rate_unit, burst_unit } = raw;
        const fields = { rate, per, burst, inv, rate_unit, burst_unit };
        const typed: NftStatement = typeStatement({
          limit: Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
            [key: string]: Json;
          },
        });
        return [typed.kind === 'limit' && typed.form === 'fields' ? printLimit(typed.fields) : JSON.stringify(fields)];
      }
      case 'ct helper':
        return [`type ${quoted(member('type'))} protocol ${member('protocol')}`, `l3proto ${member('l3proto')}`];
      case 'ct timeout':
        return [
          `protocol ${member('protocol')}`,
          `l3proto ${member('l3proto')}`,
          `policy = ${printPolicy(raw['policy'])}`,
        ];
      case 'ct expectation':
        return ['protocol', 'dport', 'timeout', 'size', 'l3proto'].map((name) =>
          name === 'timeout' && typeof raw[name] === 'number'
            ? `timeout ${printMilliseconds(raw[name])}`
            : `${name} ${member(name)}`,
        );
      case 'secmark':
        return [quoted(member('context'))];
      case 'synproxy':
        return [
          `mss ${member('mss')}`,
          `wscale ${member('wscale')}`,
          [raw['flags'] ?? []].flat().map(String).join(' ') || null,
        ];
      default:
        return Object.keys(raw)
          .filter((name) => !PLACE.has(name))
          .map((name) => `${name} ${member(name)}`);
    }
  })();
  return block(`${object.type} ${object.name}`, [comment, ...lines]);
}

const PLACE: ReadonlySet<string> = new Set(['family', 'table', 'name', 'handle', 'comment']);

function usedBytes(used: Json | undefined): string {
  return typeof used === 'number' && used > 0 ? ` used ${printBytes(used)}` : '';
}

/** The largest unit that divides it, as nft does. */
function printBytes(bytes: Json | undefined): string {
  if (typeof bytes !== 'number') return String(bytes ?? 0);
  if (bytes > 0 && bytes % 1048576 === 0) return `${bytes / 1048576} mbytes`;
  if (bytes > 0 && bytes % 1024 === 0) return `${bytes / 1024} kbytes`;
  return `${bytes} bytes`;
}

function printMilliseconds(milliseconds: number): string {
  return milliseconds % 1000 === 0 ? printDuration(milliseconds / 1000) : `${milliseconds}ms`;
}

function printPolicy(policy: Json | undefined): string {
  if (!isJsonObject(policy)) return JSON.stringify(policy ?? {});
  const states = Object.entries(policy).map(([state, seconds]) => `${state} : ${String(seconds)}`);
  return `{ ${states.join(', ')} }`;
}
