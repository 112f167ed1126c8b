import { isExactInteger } from './exact-integers.ts';
import { listOf, printDuration, printStateful, quoted, words } from './print-stateful.ts';
import { isSymbolType, printSymbol, type SymbolTypeName, symbolTypeOfPayload } from './symbols.ts';
import { type NftExpression, printExpressionJson } from './typed.ts';

/** How nft prints values of a type; of a concatenation, part by part. */
export type Datatype =
  | 'plain'
  | 'text'
  | 'mark'
  | 'duration'
  | 'flags'
  | 'presence'
  | 'hex'
  | SymbolTypeName
  | readonly Datatype[];

/** An expression as nft prints it. `type` says how values are written; see `datatypeOf`. */
export function printExpression(expression: NftExpression, type: Datatype = 'plain'): string {
  switch (expression.kind) {
    case 'opaque':
      return JSON.stringify(expression.json);
    case 'value':
      return printValue(expression.value, type);
    case 'set_reference':
      return `@${expression.name}`;
    case 'list':
      return expression.items.map((item) => printExpression(item, type)).join(',');
    case 'set':
      if (typeof expression.members === 'string') return expression.members;
      return `{ ${expression.members.map((member) => printElement(member, type)).join(', ')} }`;
    case 'range':
      return expression.operands.map((operand) => printRangeEnd(operand, type)).join('-');
    case 'prefix':
      return `${printExpression(expression.fields.addr ?? NOTHING, type)}/${expression.fields.len ?? ''}`;
    case 'concat':
      return expression.operands.map((operand, index) => printExpression(operand, partOf(type, index))).join(' . ');
    case 'elem':
      return printElement(expression, type);
    case 'map': {
      const { key = NOTHING, data = NOTHING } = expression.fields;
      return `${printExpression(key)} map ${printData(data, datatypeOf(key), type)}`;
    }
    case 'accept':
    case 'drop':
    case 'continue':
    case 'return':
      return expression.kind;
    case 'jump':
    case 'goto':
      return `${expression.kind} ${expression.fields.target ?? ''}`;
    case '|':
      return type === 'flags'
        ? flagNames(expression).join(' | ')
        : expression.operands
            .map((operand) => printOperand(operand, binaryType(datatypeOf(expression), type)))
            .join(' | ');
    case '&':
    case '^':
    case '<<':
    case '>>': {
      // Three and more where nft has joined a chain of one operator, as it does from 1.1.0 on.
      const [left = NOTHING, ...others] = expression.operands;
      const own = datatypeOf(left);
      const typeOfRight = expression.kind === '<<' || expression.kind === '>>' ? 'plain' : binaryType(own, type);
      const right = others.map((operand) => ` ${expression.kind} ${printOperand(operand, typeOfRight)}`);
      return `${printOperand(left, type)}${right.join('')}`;
    }
    default:
      return printSelector(expression);
  }
}

const NOTHING: NftExpression = { kind: 'value', value: '' };

/** The ends of a range are numbers: `icmp type 0-8`, `ct expiration 60s-120s`, `tcp flags 0x1-0x5`. */
function printRangeEnd(end: NftExpression, type: Datatype): string {
  if (end.kind !== 'value' || typeof end.value === 'boolean') return printExpression(end, type);
  if (isSymbolType(type)) return printSymbol(end.value, type, true);
  if (type === 'duration' && typeof end.value === 'number') return `${end.value}s`;
  const bit = type === 'flags' && typeof end.value === 'string' ? TCP_FLAGS.get(end.value) : undefined;
  return bit === undefined ? printValue(end.value, type) : `0x${bit.toString(16)}`;
}

const TCP_FLAGS: ReadonlyMap<string, number> = new Map(
  ['fin', 'syn', 'rst', 'psh', 'ack', 'urg', 'ecn', 'cwr'].map((name, bit) => [name, 1 << bit]),
);

function binaryType(own: Datatype, wanted: Datatype): Datatype {
  if (own === 'mark' || own === 'flags') return own;
  return wanted === 'mark' ? 'mark' : own;
}

/** Within a bitwise expression a lower one stands in brackets. */
function printOperand(operand: NftExpression, type: Datatype): string {
  const text = printExpression(operand, type);
  const isCompound = operand.kind === '|' || operand.kind === 'list';
  if (!isCompound) return text;
  return `(${operand.kind === 'list' ? operand.items.map((item) => printExpression(item, type)).join(' | ') : text})`;
}

/** The names in a mask, however it is nested: `["fin","syn"]`, `{"|":["fin",{"|":["syn","rst"]}]}`. */
export function flagNames(expression: NftExpression): string[] {
  if (expression.kind === '|') return expression.operands.flatMap(flagNames);
  if (expression.kind === 'list') return expression.items.flatMap(flagNames);
  return [printExpression(expression, 'hex')];
}

function printSelector(expression: NftExpression): string {
  switch (expression.kind) {
    case 'payload': {
      const { protocol, field, tunnel, base, offset, len } = expression.fields;
      if (base !== undefined) return `@${base},${offset},${len}`;
      return words(tunnel, protocol, field);
    }
    case 'meta':
      return UNQUALIFIED_META.has(expression.fields.key ?? '')
        ? (expression.fields.key ?? '')
        : `meta ${expression.fields.key}`;
    case 'ct':
      return words('ct', expression.fields.dir, expression.fields.family, expression.fields.key);
    case 'rt':
      return words('rt', expression.fields.family, expression.fields.key);
    case 'fib':
      return words('fib', listOf(expression.fields.flags).join(' . '), expression.fields.result);
    case 'exthdr': {
      const { name, field, offset } = expression.fields;
      if (field === undefined) return `exthdr ${name}`;
      return name === 'rt0' ? `${name} ${field}[${offset ?? 0}]` : words(name, field);
    }
    case 'tcp option': {
      const { name, field, base, offset, len } = expression.fields;
      if (base !== undefined) return `tcp option ${isWholeOption(offset, len) ? base : `@${base},${offset},${len}`}`;
      return words('tcp option', name === undefined ? undefined : String(name), field);
    }
    case 'ip option':
    case 'sctp chunk':
      return words(expression.kind, expression.fields.name, expression.fields.field);
    case 'dccp option':
      return `dccp option ${expression.fields.type}`;
    case 'numgen':
      return `numgen ${expression.fields.mode} mod ${expression.fields.mod}${offsetOf(expression.fields.offset)}`;
    case 'jhash': {
      const { mod, offset, expr, seed } = expression.fields;
      const key = expr === undefined ? '' : printExpression(expr);
      return `jhash ${key} mod ${mod}${seed === undefined ? '' : ` seed 0x${seed.toString(16)}`}${offsetOf(offset)}`;
    }
    case 'symhash':
      return `symhash mod ${expression.fields.mod}${offsetOf(expression.fields.offset)}`;
    case 'osf':
      return words(
        'osf',
        expression.fields.ttl === undefined ? undefined : `ttl ${expression.fields.ttl}`,
        expression.fields.key,
      );
    case 'socket':
      return words(
        'socket',
        expression.fields.key,
        expression.fields.level === undefined ? undefined : `level ${expression.fields.level}`,
      );
    case 'ipsec': {
      const { dir, spnum, family, key } = expression.fields;
      return words('ipsec', dir, spnum === undefined || spnum === 0 ? undefined : `spnum ${spnum}`, family, key);
    }
    case 'tunnel':
      return `tunnel ${expression.fields.key}`;
    default:
      return JSON.stringify(printExpressionJson(expression));
  }
}

/** An option that nft has no name for, asked for as a whole: its kind, or where a statement resets it nothing of it. */
function isWholeOption(offset: number | undefined, len: number | undefined): boolean {
  return offset === 0 && (len === 8 || len === 0);
}

const UNQUALIFIED_META: ReadonlySet<string> = new Set(['iif', 'oif', 'iifname', 'oifname', 'iifgroup', 'oifgroup']);

function offsetOf(offset: number | undefined): string {
  return offset === undefined || offset === 0 ? '' : ` offset ${offset}`;
}

function printValue(value: string | number | boolean, type: Datatype): string {
  if (typeof value === 'boolean')
    return type === 'presence' ? (value ? 'exists' : 'missing') : value ? 'true' : 'false';
  if (isSymbolType(type)) return printSymbol(value, type, false);
  if (isExactInteger(value)) return type === 'hex' || type === 'flags' ? `0x${BigInt(value).toString(16)}` : value;
  if (typeof value === 'string')
    return type === 'text' && value !== '*' && !/^\d+$/.test(value) ? quoted(value) : value;
  if (type === 'mark') return `0x${value.toString(16).padStart(8, '0')}`;
  if (type === 'duration') return printDuration(value);
  return type === 'hex' || type === 'flags' ? `0x${value.toString(16)}` : String(value);
}

/** A member of a set, or of a map with its data: `192.0.2.0/24 timeout 1m comment "x" : drop`. */
export function printElement(element: NftExpression, type: Datatype, dataType: Datatype = 'plain'): string {
  if (element.kind === 'list' && element.items.length === 2) {
    const [key = NOTHING, data = NOTHING] = element.items;
    return `${printElement(key, type)} : ${printExpression(data, dataType)}`;
  }
  if (element.kind !== 'elem') return printExpression(element, type);
  const { val = NOTHING, timeout, expires, comment } = element.fields;
  const statements = element.statements.map(printStateful);
  return words(
    printExpression(val, type),
    ...statements,
    timeout === undefined ? undefined : `timeout ${printDuration(timeout)}`,
    expires === undefined ? undefined : `expires ${printDuration(expires)}`,
    comment === undefined ? undefined : `comment ${quoted(comment)}`,
  );
}

/** What follows `map` or `vmap`: a named map or the pairs. */
export function printData(data: NftExpression, keyType: Datatype, dataType: Datatype): string {
  if (data.kind !== 'set' || typeof data.members === 'string') return printExpression(data);
  return `{ ${data.members.map((member) => printElement(member, keyType, dataType)).join(', ')} }`;
}

/** How the values compared with (or assigned to) an expression are written. */
export function datatypeOf(expression: NftExpression): Datatype {
  switch (expression.kind) {
    case 'meta':
      return META_TYPES.get(expression.fields.key ?? '') ?? 'plain';
    case 'ct':
      return CT_TYPES.get(expression.fields.key ?? '') ?? 'plain';
    case 'socket':
      return expression.fields.key === 'mark' ? 'mark' : expression.fields.key === 'cgroupv2' ? 'text' : 'plain';
    case 'osf':
      return 'text';
    case 'fib':
      return expression.fields.result === 'oifname'
        ? 'text'
        : expression.fields.result === 'oif'
          ? ['presence', 'text']
          : 'presence';
    case 'exthdr':
      if (expression.fields.name === 'mh' && expression.fields.field === 'type') return 'mh_type';
      return expression.fields.field === undefined ? 'presence' : 'plain';
    case 'ip option':
    case 'sctp chunk':
      return expression.fields.field === undefined ? 'presence' : 'plain';
    case 'tcp option':
      return expression.fields.field === undefined &&
        (expression.fields.base === undefined || isWholeOption(expression.fields.offset, expression.fields.len))
        ? 'presence'
        : 'plain';
    case 'payload':
      if (expression.fields.base !== undefined) return 'hex';
      if (expression.fields.protocol === 'tcp' && expression.fields.field === 'flags') return 'flags';
      return symbolTypeOfPayload(expression.fields.protocol, expression.fields.field) ?? 'plain';
    case 'rt':
      return expression.fields.key === 'ipsec' ? 'presence' : 'plain';
    case 'concat':
      return expression.operands.map(datatypeOf);
    case '&':
    case '|':
    case '^':
    case '<<':
    case '>>': {
      const own = datatypeOf(expression.operands[0] ?? NOTHING);
      return own;
    }
    default:
      return 'plain';
  }
}

const META_TYPES: ReadonlyMap<string, Datatype> = new Map(
  Object.entries({
    mark: 'mark',
    ipsec: 'presence',
    protocol: 'ether_type',
    pkttype: 'pkt_type',
    day: 'day',
    iifgroup: 'devgroup',
    oifgroup: 'devgroup',
    ...Object.fromEntries(
      [
        'iif',
        'oif',
        'iifname',
        'oifname',
        'ibrname',
        'obrname',
        'iifkind',
        'oifkind',
        'sdifname',
        'sdif',
        'rtclassid',
        'hour',
        'time',
        'ibridge',
        'obridge',
      ].map((key) => [key, 'text']),
    ),
  } as Record<string, Datatype>),
);

const CT_TYPES: ReadonlyMap<string, Datatype> = new Map<string, Datatype>([
  ['mark', 'mark'],
  ['helper', 'text'],
  ['expiration', 'duration'],
  ['direction', 'ct_dir'],
  ['state', 'flags'],
  ['status', 'flags'],
  ['event', 'hex'],
]);

function partOf(type: Datatype, index: number): Datatype {
  return typeof type === 'string' ? type : (type[index] ?? 'plain');
}
