import { quoted } from './print-stateful.ts';

/**
 * Types whose numbers have names. nft prints a single value by its name and the ends of a range as numbers, while its
 * JSON names both: `icmp type 0-8` is listed as `{"range": ["echo-reply", "echo-request"]}`.
 */
interface SymbolType {
  readonly symbols: ReadonlyMap<string, number>;
  /** Names stand in quotes. */
  readonly inQuotes?: true;
  /** Numbers are hexadecimal, with this many digits at least. */
  readonly hexDigits?: number;
}

/** `name:number` by blanks; a name alone is one more than the one before it. */
function symbols(text: string): ReadonlyMap<string, number> {
  const table = new Map<string, number>();
  let next = 0;
  for (const entry of text.trim().split(/\s+/)) {
    const [name = '', number] = entry.split(':');
    const value = number === undefined ? next : Number(number);
    table.set(name, value);
    next = value + 1;
  }
  return table;
}

const SYMBOL_TYPES = {
  icmp_type: {
    symbols: symbols(`echo-reply destination-unreachable:3 source-quench redirect echo-request:8 router-advertisement
      router-solicitation time-exceeded parameter-problem timestamp-request timestamp-reply info-request info-reply
      address-mask-request address-mask-reply`),
  },
  icmp_code: {
    symbols: symbols(`net-unreachable host-unreachable prot-unreachable port-unreachable frag-needed net-prohibited:9
      host-prohibited admin-prohibited:13`),
  },
  icmpv6_type: {
    symbols: symbols(`destination-unreachable:1 packet-too-big time-exceeded parameter-problem echo-request:128
      echo-reply mld-listener-query mld-listener-report mld-listener-done nd-router-solicit nd-router-advert
      nd-neighbor-solicit nd-neighbor-advert nd-redirect router-renumbering ind-neighbor-solicit:141
      ind-neighbor-advert mld2-listener-report mld-listener-reduction:132`),
  },
  icmpv6_code: {
    symbols: symbols('no-route admin-prohibited addr-unreachable:3 port-unreachable policy-fail reject-route'),
  },
  igmp_type: {
    symbols: symbols(`membership-query:17 membership-report-v1 membership-report-v2:22 leave-group
      membership-report-v3:34`),
  },
  arp_op: { symbols: symbols('request:1 reply rrequest rreply inrequest:8 inreply nak') },
  dccp_pkttype: { symbols: symbols('request response data ack dataack closereq close reset sync syncack') },
  mh_type: {
    symbols: symbols(`binding-refresh-request home-test-init careof-test-init home-test careof-test binding-update
      binding-acknowledgement binding-error fast-binding-update fast-binding-acknowledgement
      fast-binding-advertisement experimental-mobility-header home-agent-switch-message`),
  },
  pkt_type: { symbols: symbols('host unicast:0 broadcast:1 multicast other') },
  ct_dir: { symbols: symbols('original reply') },
  day: { symbols: symbols('Sunday Monday Tuesday Wednesday Thursday Friday Saturday'), inQuotes: true },
  devgroup: { symbols: symbols('default'), inQuotes: true },
  ether_type: {
    symbols: symbols('ip:2048 arp:2054 ip6:34525 8021q:33024 8021ad:34984 vlan:33024'),
    hexDigits: 4,
  },
  dscp: {
    symbols: symbols(`cs0 cs1:8 cs2:16 cs3:24 cs4:32 cs5:40 cs6:48 cs7:56 df:0 be:0 lephb:1 af11:10 af12:12 af13:14
      af21:18 af22:20 af23:22 af31:26 af32:28 af33:30 af41:34 af42:36 af43:38 va:44 ef:46`),
    hexDigits: 2,
  },
  ecn: { symbols: symbols('not-ect ect1 ect0 ce'), hexDigits: 1 },
} as const satisfies Readonly<Record<string, SymbolType>>;

export type SymbolTypeName = keyof typeof SYMBOL_TYPES;

export function isSymbolType(name: unknown): name is SymbolTypeName {
  return typeof name === 'string' && Object.hasOwn(SYMBOL_TYPES, name);
}

export function printSymbol(value: string | number, type: SymbolTypeName, inRange: boolean): string {
  const { symbols: table, inQuotes, hexDigits }: SymbolType = SYMBOL_TYPES[type];
  const number = typeof value === 'number' ? value : inRange ? table.get(value) : undefined;
  if (number === undefined)
    return inQuotes === true && !/^\d+$/.test(String(value)) ? quoted(String(value)) : String(value);
  return hexDigits === undefined ? String(number) : `0x${number.toString(16).padStart(hexDigits, '0')}`;
}

const PAYLOAD_TYPES: ReadonlyMap<string, SymbolTypeName> = new Map([
  ['icmp type', 'icmp_type'],
  ['icmp code', 'icmp_code'],
  ['icmpv6 type', 'icmpv6_type'],
  ['icmpv6 code', 'icmpv6_code'],
  ['igmp type', 'igmp_type'],
  ['arp operation', 'arp_op'],
  ['dccp type', 'dccp_pkttype'],
  ['ether type', 'ether_type'],
  ['vlan type', 'ether_type'],
  ['ip dscp', 'dscp'],
  ['ip6 dscp', 'dscp'],
  ['ip ecn', 'ecn'],
  ['ip6 ecn', 'ecn'],
]);

/** The type of a payload field, where its numbers have names. */
export function symbolTypeOfPayload(protocol: string | undefined, field: string | undefined): SymbolTypeName | null {
  return PAYLOAD_TYPES.get(`${protocol} ${field}`) ?? null;
}
