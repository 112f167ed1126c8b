/** Listings of large hosts as `nft --json list ruleset` prints them, the same every time. */

const METAINFO = { metainfo: { version: '1.0.6', release_name: 'Lester Gooch #5', json_schema_version: 1 } };

const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const match = (op: string, left: object, right: unknown) => ({ match: { op, left, right } });
const counter = (packets: number) => ({ counter: { packets, bytes: packets * 60 } });

/**
 * kube-proxy in its nftables mode: a chain per service and per endpoint, found through one verdict map. Loads as it is.
 *
 * @param ruleCount  rules, at least; about half as many chains and a sixth as many map elements
 */
export function kubeProxyListing(ruleCount: number): string {
  const place = { family: 'ip', table: 'kube-proxy' };
  let handle = 1;
  const next = (): { handle: number } => {
    handle += 1;
    return { handle };
  };
  const chains: object[] = [];
  const rules: object[] = [];
  const elements: unknown[] = [];
  const addChain = (name: string, hook: object = {}): void => {
    chains.push({ chain: { ...place, name, ...next(), ...hook } });
  };
  const addRule = (chain: string, ...expr: object[]): void => {
    rules.push({ rule: { ...place, chain, ...next(), expr } });
  };
  addChain('mark-for-masquerade');
  addChain('services');
  addChain('nat-prerouting', { type: 'nat', hook: 'prerouting', prio: -100, policy: 'accept' });
  addRule('mark-for-masquerade', {
    mangle: { key: { meta: { key: 'mark' } }, value: { '|': [{ meta: { key: 'mark' } }, 16384] } },
  });
  addRule('nat-prerouting', { jump: { target: 'services' } });
  const key = { concat: [payload('ip', 'daddr'), { meta: { key: 'l4proto' } }, payload('th', 'dport')] };
  addRule('services', { vmap: { key, data: '@service-ips' } });
  for (let service = 0; rules.length < ruleCount; service += 1) {
    const vip = `10.${96 + (service >> 16)}.${(service >> 8) & 255}.${service & 255}`;
    const name = `service-${service.toString(36).toUpperCase().padStart(8, '0')}-default/svc-${service}/tcp/http`;
    const endpoints = [0, 1].map(
      (one) =>
        `endpoint-${service.toString(36).toUpperCase().padStart(8, '0')}-default/svc-${service}/tcp/http__${one}`,
    );
    addChain(name);
    addRule(
      name,
      match('==', payload('ip', 'daddr'), vip),
      match('!=', payload('ip', 'saddr'), { prefix: { addr: '10.244.0.0', len: 16 } }),
      match('==', payload('tcp', 'dport'), 80),
      counter(service),
      { jump: { target: 'mark-for-masquerade' } },
    );
    const targets = endpoints.map((target, index) => [index, { goto: { target } }]);
    addRule(name, { vmap: { key: { numgen: { mode: 'random', mod: 2, offset: 0 } }, data: { set: targets } } });
    for (const [index, endpoint] of endpoints.entries()) {
      const address = `10.244.${(service >> 7) & 255}.${((service << 1) & 255) + index}`;
      addChain(endpoint);
      addRule(endpoint, match('==', payload('ip', 'saddr'), address), counter(service), {
        jump: { target: 'mark-for-masquerade' },
      });
      addRule(endpoint, match('==', { meta: { key: 'l4proto' } }, 'tcp'), counter(service), {
        dnat: { addr: address, port: 8080 },
      });
    }
    elements.push([{ concat: [vip, 'tcp', 80] }, { goto: { target: name } }]);
  }
  const map = {
    ...place,
    name: 'service-ips',
    type: ['ipv4_addr', 'inet_proto', 'inet_service'],
    ...next(),
    map: 'verdict',
    elem: elements,
  };
  return JSON.stringify({
    nftables: [METAINFO, { table: { family: 'ip', name: 'kube-proxy', handle: 1 } }, ...chains, { map }, ...rules],
  });
}

/**
 * A blocklist: one set of single addresses, every fourth a network.
 *
 * @param every  of this many elements one is left out, to have something to find
 */
export function blocklistListing(elementCount: number, every = 0): string {
  const place = { family: 'inet', table: 'filter' };
  const elem: unknown[] = [];
  for (let index = 0; index < elementCount; index += 1) {
    if (every > 0 && index % every === every - 1) continue;
    const base = `${1 + ((index >> 16) & 127)}.${(index >> 8) & 255}.${index & 255}`;
    elem.push(index % 4 === 0 ? { prefix: { addr: `${base}.128`, len: 25 } } : `${base}.7`);
  }
  return JSON.stringify({
    nftables: [
      METAINFO,
      { table: { family: 'inet', name: 'filter', handle: 1 } },
      { chain: { ...place, name: 'input', handle: 1, type: 'filter', hook: 'input', prio: 0, policy: 'accept' } },
      { set: { ...place, name: 'blocklist', type: 'ipv4_addr', handle: 2, flags: ['interval'], elem } },
      {
        rule: {
          ...place,
          chain: 'input',
          handle: 3,
          expr: [match('==', payload('ip', 'saddr'), '@blocklist'), { drop: null }],
        },
      },
    ],
  });
}
