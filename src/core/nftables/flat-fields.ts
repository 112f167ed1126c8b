import type { NftExpression, NftStatement } from './typed.ts';

/** The reference's flat view of a rule, derived from the typed statements. Absent fields are null. */
export interface FlatFields {
  /** What ends the rule: a verdict, or the statement that acts as one (`dnat`, `reject`, `vmap`, …). */
  readonly verdict: string | null;
  readonly jump_target: string | null;
  readonly goto_target: string | null;
  readonly fields: ReadonlyMap<string, FlatField>;
}

export interface FlatField {
  /** Values as nft prints them, comma-separated: `22,80-90`, `10.0.0.0/8`, `@blocklist`. */
  readonly value: string;
  readonly negated: boolean;
}

/** Names of the flat fields of matches, in document order; each has a `*_negated` beside it. */
export const FLAT_MATCH_FIELDS = [
  'nfproto',
  'protocol',
  'src_addr',
  'dst_addr',
  'src_port',
  'dst_port',
  'in_interface',
  'out_interface',
  'ct_state',
  'icmp_type',
  'icmp_code',
  'icmpv6_type',
  'icmpv6_code',
  'src_mac',
  'dst_mac',
  'ether_type',
  'tcp_flags',
  'mark',
  'ct_mark',
  'ct_status',
  'pkt_type',
  'skuid',
  'skgid',
] as const;

const FIELD_OF_META: ReadonlyMap<string, string> = new Map([
  ['iif', 'in_interface'],
  ['iifname', 'in_interface'],
  ['oif', 'out_interface'],
  ['oifname', 'out_interface'],
  ['l4proto', 'protocol'],
  ['nfproto', 'nfproto'],
  ['protocol', 'ether_type'],
  ['mark', 'mark'],
  ['pkttype', 'pkt_type'],
  ['skuid', 'skuid'],
  ['skgid', 'skgid'],
]);

const FIELD_OF_PAYLOAD: ReadonlyMap<string, string> = new Map([
  ['ip saddr', 'src_addr'],
  ['ip6 saddr', 'src_addr'],
  ['arp saddr ip', 'src_addr'],
  ['ip daddr', 'dst_addr'],
  ['ip6 daddr', 'dst_addr'],
  ['arp daddr ip', 'dst_addr'],
  ['ip protocol', 'protocol'],
  ['ip6 nexthdr', 'protocol'],
  ['ether saddr', 'src_mac'],
  ['ether daddr', 'dst_mac'],
  ['ether type', 'ether_type'],
  ['icmp type', 'icmp_type'],
  ['icmp code', 'icmp_code'],
  ['icmpv6 type', 'icmpv6_type'],
  ['icmpv6 code', 'icmpv6_code'],
  ['tcp flags', 'tcp_flags'],
  ...['tcp', 'udp', 'udplite', 'sctp', 'dccp', 'th'].flatMap((protocol): [string, string][] => [
    [`${protocol} sport`, 'src_port'],
    [`${protocol} dport`, 'dst_port'],
  ]),
]);

const PROTOCOLS: ReadonlySet<string> = new Set([
  'tcp',
  'udp',
  'udplite',
  'sctp',
  'dccp',
  'icmp',
  'icmpv6',
  'igmp',
  'esp',
  'ah',
]);

/** Statements after which nothing of the rule matters; `vmap` may go on when nothing in it fits. */
const ENDING: ReadonlySet<string> = new Set([
  'accept',
  'drop',
  'continue',
  'return',
  'jump',
  'goto',
  'reject',
  'queue',
  'dnat',
  'snat',
  'masquerade',
  'redirect',
  'vmap',
  'tproxy',
  'synproxy',
  'fwd',
]);

/** What a rule asks for and does, field by field as text: `dst_port` is `22,80-90`. Two matches on one field are joined. */
export function flatFields(statements: readonly NftStatement[]): FlatFields {
  const fields = new Map<string, FlatField>();
  let verdict: string | null = null;
  let jumpTarget: string | null = null;
  let gotoTarget: string | null = null;
  for (const statement of statements) {
    if (statement.form === 'fields') {
      if (statement.kind === 'match') addMatch(fields, statement.fields);
      else if (statement.kind === 'jump') jumpTarget = statement.fields.target ?? null;
      else if (statement.kind === 'goto') gotoTarget = statement.fields.target ?? null;
    }
    if (ENDING.has(statement.kind)) verdict = statement.kind;
  }
  return { verdict, jump_target: jumpTarget, goto_target: gotoTarget, fields };
}

/** The flat field that a match on this expression fills, or null. */
export function fieldOf(left: NftExpression): string | null {
  if (left.kind === 'meta') return FIELD_OF_META.get(left.fields.key ?? '') ?? null;
  if (left.kind === 'ct') {
    const { key } = left.fields;
    if (key === 'state') return 'ct_state';
    if (key === 'mark') return 'ct_mark';
    if (key === 'status') return 'ct_status';
    return null;
  }
  if (left.kind === 'payload' && left.fields.tunnel === undefined) {
    return FIELD_OF_PAYLOAD.get(`${left.fields.protocol} ${left.fields.field}`) ?? null;
  }
  return null;
}

function addMatch(
  fields: Map<string, FlatField>,
  match: { readonly op?: string; readonly left?: NftExpression; readonly right?: NftExpression },
): void {
  const { op = '==', left, right } = match;
  if (left === undefined || right === undefined) return;
  const parts = left.kind === 'concat' && right.kind === 'concat' ? left.operands : [left];
  const values = left.kind === 'concat' && right.kind === 'concat' ? right.operands : [right];
  for (const [index, part] of parts.entries()) {
    const masked = part.kind === '&' ? part.operands[0] : undefined;
    const subject = masked ?? part;
    const name = fieldOf(subject);
    const value = values[index];
    if (subject.kind === 'payload' && !fields.has('protocol')) {
      const protocol = subject.fields.protocol ?? '';
      if (PROTOCOLS.has(protocol)) fields.set('protocol', { value: protocol, negated: false });
    }
    if (name === null || value === undefined) continue;
    const masks = part.kind === '&' ? part.operands.slice(1) : [];
    const mask = masks.map((one) => ` & ${valueText(one)}`).join('');
    const comparison = op === '<' || op === '>' || op === '<=' || op === '>=' ? op : '';
    const text = `${comparison}${valueText(value)}${mask}`;
    const known = fields.get(name);
    // A protocol that a port implied is replaced by one that is matched; two matches on one field both count.
    const isImplied = name === 'protocol' && known !== undefined && PROTOCOLS.has(known.value);
    const negated = op === '!=';
    if (known === undefined || (isImplied && known.value === text)) fields.set(name, { value: text, negated });
    else fields.set(name, { value: `${signed(known)} & ${signed({ value: text, negated })}`, negated: false });
  }
}

function signed(field: FlatField): string {
  return field.negated ? `!=${field.value}` : field.value;
}

/** A match's right side in one line: `22,80-90`, `10.0.0.0/8`, `@set`. */
export function valueText(value: NftExpression | undefined): string {
  if (value === undefined) return '';
  switch (value.kind) {
    case 'value':
      return String(value.value);
    case 'set_reference':
      return `@${value.name}`;
    case 'list':
      return value.items.map(valueText).join(',');
    case 'set':
      return typeof value.members === 'string' ? value.members : value.members.map(valueText).join(',');
    case 'range':
      return value.operands.map(valueText).join('-');
    case 'prefix':
      return `${valueText(value.fields.addr)}/${value.fields.len ?? ''}`;
    case 'concat':
      return value.operands.map(valueText).join(' . ');
    case 'elem':
      return valueText(value.fields.val);
    case '|':
      return value.operands.map(valueText).join('|');
    case '&':
    case '^':
    case '<<':
    case '>>':
      return value.operands.map(valueText).join(` ${value.kind} `);
    default:
      return value.kind;
  }
}
