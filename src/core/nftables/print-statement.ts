import { flatText } from './canonical.ts';
import { type Datatype, datatypeOf, flagNames, printData, printElement, printExpression } from './print-expression.ts';
import { listOf, printStateful, quoted, words } from './print-stateful.ts';
import type { NftExpression, NftStatement } from './typed.ts';

type StatementOf<Kind extends NftStatement['kind']> = Extract<NftStatement, { kind: Kind; form: 'fields' }>;
type FieldsOf<Kind extends NftStatement['kind']> = StatementOf<Kind>['fields'];

const NOTHING: NftExpression = { kind: 'value', value: '' };

/**
 * A statement as `nft list` prints it; an opaque one as its JSON.
 *
 * @param family  of the table: what a `reject` answers by default depends on it
 */
export function printStatement(statement: NftStatement, family = 'inet'): string {
  switch (statement.form) {
    case 'opaque':
      return typeof statement.json === 'string' ? oneLine(statement.json) : flatText(statement.json);
    case 'bare':
      return statement.kind === 'last' ? 'last used never' : statement.kind;
    case 'name':
      return (
        REFERENCES.get(statement.kind)?.(quoted(statement.name)) ?? `${statement.kind} name ${quoted(statement.name)}`
      );
    case 'expression': {
      const text = printExpression(statement.expression, 'text');
      return REFERENCES.get(statement.kind)?.(text) ?? `${statement.kind} name ${text}`;
    }
    case 'fields':
      return printFields(statement, family);
  }
}

const REFERENCES: ReadonlyMap<string, (name: string) => string> = new Map([
  ['ct helper', (name: string) => `ct helper set ${name}`],
  ['ct timeout', (name: string) => `ct timeout set ${name}`],
  ['ct expectation', (name: string) => `ct expectation set ${name}`],
  ['secmark', (name: string) => `meta secmark set ${name}`],
  ['reset', (name: string) => `reset ${name}`],
]);

/** A chain within a rule spans lines in what nft 1.0.6 prints. */
function oneLine(text: string): string {
  return text
    .replace(/\s*\n\s*/g, '; ')
    .replace(/\{; /, '{ ')
    .replace(/; \}$/, ' }');
}

function printFields(statement: Extract<NftStatement, { form: 'fields' }>, family: string): string {
  switch (statement.kind) {
    case 'match':
      return printMatch(statement.fields);
    case 'jump':
    case 'goto':
      return `${statement.kind} ${statement.fields.target ?? ''}`;
    case 'vmap': {
      const { key = NOTHING, data = NOTHING } = statement.fields;
      return `${printExpression(key)} vmap ${printData(data, datatypeOf(key), 'plain')}`;
    }
    case 'counter':
    case 'last':
    case 'limit':
    case 'quota':
    case 'ct count':
      return printStateful(statement);
    case 'log':
      return printLog(statement.fields);
    case 'reject':
      return printReject(statement.fields, family);
    case 'snat':
    case 'dnat':
      return printNat(statement.kind, statement.fields);
    case 'masquerade':
    case 'redirect': {
      const { port, flags } = statement.fields;
      return words(statement.kind, port === undefined ? undefined : `to :${printExpression(port)}`, flagList(flags));
    }
    case 'dup': {
      const { addr, dev } = statement.fields;
      // In a netdev table there are only devices to send a copy to.
      const to = addr && printExpression(addr, family === 'netdev' ? 'text' : 'plain');
      return words('dup to', to, dev && `device ${printExpression(dev, 'text')}`);
    }
    case 'fwd': {
      const { family, addr, dev } = statement.fields;
      if (addr === undefined) return words('fwd to', dev && printExpression(dev, 'text'));
      return words('fwd', family, 'to', printExpression(addr), dev && `device ${printExpression(dev, 'text')}`);
    }
    case 'queue': {
      const { num, flags } = statement.fields;
      return words('queue', flags && `flags ${listOf(flags).join(',')}`, num && `to ${printExpression(num)}`);
    }
    case 'mangle': {
      const { key = NOTHING, value = NOTHING } = statement.fields;
      return `${printExpression(key)} set ${printExpression(value, datatypeOf(key))}`;
    }
    case 'set':
    case 'map':
    case 'meter':
      return printUpdate(statement);
    case 'flow':
      return `flow ${statement.fields.op ?? 'add'} ${statement.fields.flowtable ?? ''}`;
    case 'tproxy': {
      const { family, addr, port } = statement.fields;
      // An address of IPv6 stands in brackets here, with a port or without.
      const bare = addr?.kind === 'value' && port === undefined && String(addr.value).includes(':');
      return words('tproxy', family, `to ${bare ? `[${printExpression(addr)}]` : endpoint(addr, port)}`);
    }
    case 'synproxy': {
      const { mss, wscale, flags } = statement.fields;
      return words(
        'synproxy',
        mss === undefined ? undefined : `mss ${mss}`,
        wscale === undefined ? undefined : `wscale ${wscale}`,
        listOf(flags).join(' '),
      );
    }
    case 'xt':
      return words('xt', statement.fields.type, statement.fields.name && quoted(statement.fields.name));
  }
}

function printMatch({ op = '==', left = NOTHING, right = NOTHING }: FieldsOf<'match'>): string {
  const masked = printMaskedFlags(op, left, right);
  if (masked !== null) return masked;
  const type = typeForRight(left, right);
  const value = printExpression(right, type);
  if (op === 'in' || (op === '==' && !needsOperator(left, right))) return `${printExpression(left)} ${value}`;
  return `${printExpression(left)} ${op} ${value}`;
}

/** A bit field is compared as a whole only when that is said. */
function needsOperator(left: NftExpression, right: NftExpression): boolean {
  if (left.kind === '&' || left.kind === '|' || left.kind === '^' || left.kind === '<<' || left.kind === '>>')
    return true;
  const isBits = datatypeOf(left) === 'flags';
  return isBits && (right.kind === 'value' || right.kind === 'list' || right.kind === '|');
}

function typeForRight(left: NftExpression, right: NftExpression): Datatype {
  const type = datatypeOf(left);
  // A route look-up is compared with an interface or with whether there is one.
  if (left.kind === 'fib' && typeof type !== 'string') {
    return right.kind === 'value' && typeof right.value === 'boolean' ? 'presence' : 'text';
  }
  return type;
}

/** `tcp flags syn / fin,syn,rst,ack`. */
function printMaskedFlags(op: string, left: NftExpression, right: NftExpression): string | null {
  if (left.kind !== '&' || (op !== '==' && op !== '!=')) return null;
  const [subject = NOTHING, mask = NOTHING, ...others] = left.operands;
  if (others.length > 0) return null;
  if (datatypeOf(subject) !== 'flags' || subject.kind !== 'payload') return null;
  if (right.kind === 'set' || right.kind === 'set_reference') return null;
  const value = flagNames(right).join(',');
  const masked = flagNames(mask);
  if (op === '!=' && right.kind === 'value' && right.value === 0)
    return `${printExpression(subject)} ${masked.join(',')}`;
  // nft reads a slash only before several flags.
  if (masked.length < 2) return null;
  return `${printExpression(subject)} ${op === '!=' ? '!= ' : ''}${value} / ${masked.join(',')}`;
}

function printLog({ prefix, level, flags, group, snaplen, ...others }: FieldsOf<'log'>): string {
  const threshold = others['queue-threshold'];
  return words(
    'log',
    prefix === undefined ? undefined : `prefix ${quoted(prefix)}`,
    group === undefined ? undefined : `group ${group}`,
    snaplen === undefined ? undefined : `snaplen ${snaplen}`,
    threshold === undefined ? undefined : `queue-threshold ${threshold}`,
    level === undefined || level === 'warn' ? undefined : `level ${level}`,
    logFlags(listOf(flags)),
  );
}

function logFlags(flags: readonly string[]): string | undefined {
  if (flags.length === 0) return undefined;
  const tcp = flags.filter((flag) => flag.startsWith('tcp ')).map((flag) => flag.slice(4));
  const others = flags.filter((flag) => !flag.startsWith('tcp ')).map((flag) => `flags ${flag}`);
  return words(tcp.length === 0 ? undefined : `flags tcp ${tcp.join(',')}`, ...others);
}

const REJECT_DEFAULT: ReadonlyMap<string, string> = new Map([
  ['ip', 'icmp'],
  ['ip6', 'icmpv6'],
]);

function printReject({ type, expr }: FieldsOf<'reject'>, family: string): string {
  if (type === undefined) return 'reject';
  const code = expr === undefined ? '' : printExpression(expr);
  if (code === 'port-unreachable' && (type === 'icmpx' || type === REJECT_DEFAULT.get(family))) return 'reject';
  return words('reject with', type, code);
}

function printNat(kind: string, { addr, port, family, flags, type_flags }: FieldsOf<'dnat'>): string {
  const prefix = listOf(type_flags).includes('prefix') ? 'prefix' : undefined;
  const to = addr === undefined && port === undefined ? undefined : `to ${endpoint(addr, port)}`;
  // Of a map of networks nft lists the flag `netmap`, which its text has no word for: `prefix` says it.
  const own = listOf(flags).filter((flag) => flag !== 'netmap');
  return words(kind, family, prefix, to, own.length === 0 ? undefined : own.join(','));
}

function flagList(flags: string | readonly string[] | undefined): string | undefined {
  return flags === undefined ? undefined : listOf(flags).join(',');
}

/** `10.0.0.1:80`, `[2001:db8::1]:80`, `:80`. */
function endpoint(addr: NftExpression | undefined, port: NftExpression | undefined): string {
  if (addr === undefined) return `:${port === undefined ? '' : printExpression(port)}`;
  const address = printExpression(addr);
  const isSix = address.includes(':') && (addr.kind === 'value' || addr.kind === 'range');
  if (port === undefined) return address;
  const bracketed =
    isSix && addr.kind === 'range' ? addr.operands.map((end) => `[${printExpression(end)}]`).join('-') : `[${address}]`;
  return `${isSix ? bracketed : address}:${printExpression(port)}`;
}

function printUpdate(statement: StatementOf<'set'> | StatementOf<'map'> | StatementOf<'meter'>): string {
  const { stmt } = statement.fields;
  const statements = (stmt === undefined ? [] : 'kind' in stmt ? [stmt] : stmt).map((one) => printStatement(one));
  if (statement.kind === 'meter') {
    const { name, size, key = NOTHING } = statement.fields;
    const inner = words(printElement(key, datatypeOf(key)), ...statements);
    return words('meter', name, size === undefined ? undefined : `size ${size}`, `{ ${inner} }`);
  }
  const { op = 'add', elem = NOTHING } = statement.fields;
  const key = words(printElement(elem, datatypeOf(elem)), ...statements);
  if (statement.kind === 'set') return `${op} ${statement.fields.set ?? ''} { ${key} }`;
  return `${op} ${statement.fields.map ?? ''} { ${key} : ${printExpression(statement.fields.data ?? NOTHING)} }`;
}
