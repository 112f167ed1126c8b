/**
 * The statements and expressions of libnftables-json(5) in one table: what `typed.ts` decodes, what a diagnostic calls
 * unknown, and what the typed unions of this folder are derived from.
 *
 * A field's shape: `text`, `number`, `integer` (of 64 bits: a string of digits where no number holds it), `flag` (true or
 * false), `flags` (one name or a list), `scalar` (text, number or boolean), `expression`, `statements` (one or a list).
 * A statement's body is `bare` (null), a `name` (of an object), a lone `expression` (an object chosen by a map), or its
 * `fields`.
 */
export type FieldShape = 'text' | 'number' | 'integer' | 'flag' | 'flags' | 'scalar' | 'expression' | 'statements';

export interface StatementShape {
  readonly bare?: true;
  readonly name?: true;
  readonly expression?: true;
  readonly fields?: Readonly<Record<string, FieldShape>>;
}

export interface ExpressionShape {
  readonly fields?: Readonly<Record<string, FieldShape>>;
  /** The body is a list of operands. */
  readonly operands?: true;
  /** The body is a list of members, which are `[key, data]` in a map, or the `@name` of a set. */
  readonly members?: true;
}

const NAT = { addr: 'expression', port: 'expression', family: 'text', flags: 'flags', type_flags: 'flags' } as const;
const LIMIT = {
  rate: 'integer',
  rate_unit: 'text',
  per: 'text',
  burst: 'integer',
  burst_unit: 'text',
  inv: 'flag',
} as const;
const QUOTA = { val: 'integer', val_unit: 'text', used: 'integer', used_unit: 'text', inv: 'flag' } as const;
const OBJECT_REFERENCE = { name: true, expression: true } as const;

export const STATEMENTS = {
  accept: { bare: true },
  drop: { bare: true },
  continue: { bare: true },
  return: { bare: true },
  notrack: { bare: true },
  jump: { fields: { target: 'text' } },
  goto: { fields: { target: 'text' } },
  match: { fields: { op: 'text', left: 'expression', right: 'expression' } },
  vmap: { fields: { key: 'expression', data: 'expression' } },
  counter: { bare: true, ...OBJECT_REFERENCE, fields: { packets: 'integer', bytes: 'integer' } },
  limit: { ...OBJECT_REFERENCE, fields: LIMIT },
  quota: { ...OBJECT_REFERENCE, fields: QUOTA },
  last: { bare: true, fields: { used: 'number' } },
  log: {
    bare: true,
    fields: {
      prefix: 'text',
      level: 'text',
      flags: 'flags',
      group: 'number',
      snaplen: 'number',
      'queue-threshold': 'number',
    },
  },
  reject: { bare: true, fields: { type: 'text', expr: 'expression' } },
  snat: { bare: true, fields: NAT },
  dnat: { bare: true, fields: NAT },
  masquerade: { bare: true, fields: { port: 'expression', flags: 'flags', type_flags: 'flags' } },
  redirect: { bare: true, fields: { port: 'expression', flags: 'flags', type_flags: 'flags' } },
  dup: { fields: { addr: 'expression', dev: 'expression' } },
  fwd: { fields: { dev: 'expression', addr: 'expression', family: 'text' } },
  queue: { bare: true, fields: { num: 'expression', flags: 'flags' } },
  mangle: { fields: { key: 'expression', value: 'expression' } },
  reset: { expression: true },
  set: { fields: { op: 'text', elem: 'expression', set: 'text', stmt: 'statements' } },
  map: { fields: { op: 'text', elem: 'expression', data: 'expression', map: 'text', stmt: 'statements' } },
  meter: { fields: { name: 'text', key: 'expression', stmt: 'statements', size: 'number' } },
  flow: { fields: { op: 'text', flowtable: 'text' } },
  'ct helper': OBJECT_REFERENCE,
  'ct timeout': OBJECT_REFERENCE,
  'ct expectation': OBJECT_REFERENCE,
  'ct count': { fields: { val: 'number', inv: 'flag' } },
  secmark: OBJECT_REFERENCE,
  tunnel: OBJECT_REFERENCE,
  tproxy: { fields: { family: 'text', addr: 'expression', port: 'expression' } },
  synproxy: { bare: true, ...OBJECT_REFERENCE, fields: { mss: 'number', wscale: 'number', flags: 'flags' } },
  xt: { bare: true, fields: { type: 'text', name: 'text' } },
} as const satisfies Readonly<Record<string, StatementShape>>;

export const EXPRESSIONS = {
  payload: {
    fields: { protocol: 'text', field: 'text', tunnel: 'text', base: 'text', offset: 'number', len: 'number' },
  },
  exthdr: { fields: { name: 'text', field: 'text', offset: 'number' } },
  'tcp option': { fields: { name: 'scalar', field: 'text', base: 'number', offset: 'number', len: 'number' } },
  'ip option': { fields: { name: 'text', field: 'text' } },
  'sctp chunk': { fields: { name: 'text', field: 'text' } },
  'dccp option': { fields: { type: 'number' } },
  meta: { fields: { key: 'text' } },
  rt: { fields: { key: 'text', family: 'text' } },
  ct: { fields: { key: 'text', dir: 'text', family: 'text' } },
  fib: { fields: { result: 'text', flags: 'flags' } },
  numgen: { fields: { mode: 'text', mod: 'number', offset: 'number' } },
  jhash: { fields: { mod: 'number', offset: 'number', expr: 'expression', seed: 'number' } },
  symhash: { fields: { mod: 'number', offset: 'number' } },
  osf: { fields: { key: 'text', ttl: 'text' } },
  socket: { fields: { key: 'text', level: 'number' } },
  ipsec: { fields: { key: 'text', dir: 'text', family: 'text', spnum: 'number' } },
  tunnel: { fields: { key: 'text' } },
  prefix: { fields: { addr: 'expression', len: 'number' } },
  range: { operands: true },
  concat: { operands: true },
  '|': { operands: true },
  '&': { operands: true },
  '^': { operands: true },
  '<<': { operands: true },
  '>>': { operands: true },
  set: { members: true },
  map: { fields: { key: 'expression', data: 'expression' } },
  elem: {
    fields: {
      val: 'expression',
      timeout: 'number',
      expires: 'number',
      comment: 'text',
    },
  },
  // The data of a verdict map.
  accept: { fields: {} },
  drop: { fields: {} },
  continue: { fields: {} },
  return: { fields: {} },
  jump: { fields: { target: 'text' } },
  goto: { fields: { target: 'text' } },
} as const satisfies Readonly<Record<string, ExpressionShape>>;

/** Statements that an element carries as its members. */
export const ELEMENT_STATEMENTS: ReadonlySet<string> = new Set(['counter', 'limit', 'quota', 'last', 'ct count']);
