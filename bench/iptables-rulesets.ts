/** Rulesets as large hosts have them, made the same way every time. */

/** A pseudo-random sequence from a seed: the same rulesets on every machine. */
function makeRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/**
 * What kube-proxy writes in iptables mode: per service one rule in KUBE-SERVICES and a KUBE-SVC chain, per endpoint a
 * KUBE-SEP chain. Thousands of chains, most of two rules.
 */
export function kubeProxyRuleset(ruleCount: number, seed = 7): string {
  const random = makeRandom(seed);
  const hash = (): string => Array.from({ length: 16 }, () => BASE32[Math.floor(random() * 32)]).join('');
  const declared: string[] = [];
  const services: string[] = [];
  const chains: string[] = [];
  let rules = 0;
  for (let service = 0; rules < ruleCount; service += 1) {
    const name = `ns-${service % 40}/svc-${service}:http`;
    const serviceChain = `KUBE-SVC-${hash()}`;
    const vip = `10.96.${(service >> 8) & 255}.${service & 255}/32`;
    const port = 1024 + Math.floor(random() * 60000);
    declared.push(serviceChain);
    services.push(
      `-A KUBE-SERVICES -d ${vip} -p tcp -m comment --comment "${name} cluster IP" -m tcp --dport ${port} -j ${serviceChain}`,
    );
    chains.push(
      `-A ${serviceChain} ! -s 10.244.0.0/16 -d ${vip} -p tcp -m comment --comment "${name} cluster IP" -m tcp --dport ${port} -j KUBE-MARK-MASQ`,
    );
    rules += 2;
    const endpoints = 1 + Math.floor(random() * 4);
    for (let endpoint = 0; endpoint < endpoints; endpoint += 1) {
      const chain = `KUBE-SEP-${hash()}`;
      const address = `10.244.${Math.floor(random() * 256)}.${1 + Math.floor(random() * 254)}`;
      const share = endpoints - endpoint;
      const statistic = share > 1 ? ` -m statistic --mode random --probability ${(1 / share).toFixed(11)}` : '';
      declared.push(chain);
      chains.push(
        `-A ${serviceChain} -m comment --comment "${name} -> ${address}:8080"${statistic} -j ${chain}`,
        `-A ${chain} -s ${address}/32 -m comment --comment "${name}" -j KUBE-MARK-MASQ`,
        `-A ${chain} -p tcp -m comment --comment "${name}" -m tcp -j DNAT --to-destination ${address}:8080`,
      );
      rules += 3;
    }
  }
  return [
    '*nat',
    ':PREROUTING ACCEPT [0:0]',
    ':INPUT ACCEPT [0:0]',
    ':OUTPUT ACCEPT [0:0]',
    ':POSTROUTING ACCEPT [0:0]',
    ':KUBE-MARK-MASQ - [0:0]',
    ':KUBE-SERVICES - [0:0]',
    ...declared.map((chain) => `:${chain} - [0:0]`),
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000',
    ...services,
    ...chains,
    'COMMIT',
    '',
  ].join('\n');
}

/** A blocklist written rule by rule: everything in one chain. */
export function oneChainRuleset(ruleCount: number): string {
  const lines = ['*filter', ':INPUT DROP [0:0]', ':FORWARD DROP [0:0]', ':OUTPUT ACCEPT [0:0]'];
  for (let rule = 0; rule < ruleCount; rule += 1) {
    const address = `${11 + (rule >> 16)}.${(rule >> 8) & 255}.${rule & 255}.0/24`;
    lines.push(`-A INPUT -s ${address} -p tcp -m tcp --dport ${1 + (rule % 65535)} -j DROP`);
  }
  lines.push('COMMIT', '');
  return lines.join('\n');
}
