import { createHash } from 'node:crypto';

/** Enough for more than 2,000 rules: 11 for a service with three endpoints. */
const SERVICES = 190;
const ENDPOINTS_PER_SERVICE = 3;

/**
 * A node's nat and filter tables as kube-proxy in iptables mode writes them, as restore text: the same chains, the same
 * order, chain names hashed in the same way, and the same text at every call. Addresses are those of clusters: service
 * addresses in 10.96.0.0/12, pods in 10.244.0.0/16.
 */
export function kubeProxyRules(): string {
  const services = Array.from({ length: SERVICES }, (_, index) => makeService(index));
  const chains = [
    'KUBE-MARK-MASQ',
    'KUBE-NODEPORTS',
    'KUBE-POSTROUTING',
    'KUBE-PROXY-CANARY',
    'KUBE-SERVICES',
    ...services.flatMap(({ chain, endpoints }) => [chain, ...endpoints.map((endpoint) => endpoint.chain)]),
  ];
  return [
    ...FILTER_TABLE,
    '*nat',
    ...['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'].map((chain) => `:${chain} ACCEPT [0:0]`),
    ...chains.map((chain) => `:${chain} - [0:0]`),
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
    '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
    '-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0',
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    ...services.flatMap(serviceRules),
    '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
    'COMMIT',
    '',
  ].join('\n');
}

interface Service {
  readonly name: string;
  readonly chain: string;
  readonly address: string;
  readonly port: number;
  readonly endpoints: readonly { readonly chain: string; readonly address: string; readonly port: number }[];
}

function makeService(index: number): Service {
  const name = `shop-${String(Math.floor(index / 10)).padStart(2, '0')}/service-${String(index).padStart(3, '0')}:http`;
  const endpoints = Array.from({ length: ENDPOINTS_PER_SERVICE }, (_, endpoint) => {
    const host = index * ENDPOINTS_PER_SERVICE + endpoint;
    const address = `10.244.${Math.floor(host / 200) + 1}.${(host % 200) + 10}`;
    return { chain: `KUBE-SEP-${hash(`${name}tcp${address}:8080`)}`, address, port: 8080 };
  });
  const address = `10.96.${Math.floor(index / 200) + 10}.${(index % 200) + 10}`;
  return { name, chain: `KUBE-SVC-${hash(`${name}tcp`)}`, address, port: 80, endpoints };
}

function serviceRules({ name, chain, address, port, endpoints }: Service): string[] {
  const at = `-d ${address}/32 -p tcp -m comment --comment "${name} cluster IP" -m tcp --dport ${port}`;
  const rules = [`-A KUBE-SERVICES ${at} -j ${chain}`, `-A ${chain} ! -s 10.244.0.0/16 ${at} -j KUBE-MARK-MASQ`];
  for (const [index, endpoint] of endpoints.entries()) {
    const comment = `-m comment --comment "${name}`;
    const share = (1 / (endpoints.length - index)).toFixed(11);
    const statistic = index === endpoints.length - 1 ? '' : ` -m statistic --mode random --probability ${share}`;
    rules.push(
      `-A ${chain} ${comment} -> ${endpoint.address}:${endpoint.port}"${statistic} -j ${endpoint.chain}`,
      `-A ${endpoint.chain} -s ${endpoint.address}/32 ${comment}" -j KUBE-MARK-MASQ`,
      `-A ${endpoint.chain} -p tcp ${comment}" -m tcp -j DNAT --to-destination ${endpoint.address}:${endpoint.port}`,
    );
  }
  return rules;
}

const FILTER_TABLE = [
  '*filter',
  ':INPUT ACCEPT [0:0]',
  ':FORWARD ACCEPT [0:0]',
  ':OUTPUT ACCEPT [0:0]',
  ':KUBE-FIREWALL - [0:0]',
  ':KUBE-FORWARD - [0:0]',
  '-A INPUT -j KUBE-FIREWALL',
  '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
  '-A OUTPUT -j KUBE-FIREWALL',
  '-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP',
  '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
  '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark 0x4000/0x4000 -j ACCEPT',
  '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
  'COMMIT',
];

/** Sixteen characters of base32 of a SHA-256, as kube-proxy names its chains. */
function hash(text: string): string {
  const digest = createHash('sha256').update(text).digest();
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  let bits = 0n;
  for (const byte of digest.subarray(0, 10)) bits = (bits << 8n) | BigInt(byte);
  return Array.from({ length: 16 }, (_, index) => alphabet[Number((bits >> BigInt(75 - 5 * index)) & 31n)]).join('');
}
