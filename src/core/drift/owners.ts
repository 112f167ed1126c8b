/**
 * Who writes a chain or a set. An `ephemeral` one holds what its owner makes and removes by itself all day (an endpoint,
 * a container, a ban): changes there are folded with a count. A structural one is its owner's too, but changes only
 * when somebody acts (a zone, a jail, a rule of ufw): its changes are listed and judged like any other.
 */
export interface Owner {
  readonly name: string;
  readonly ephemeral: boolean;
}

interface OwnerPattern extends Owner {
  readonly pattern: RegExp;
  /** Where the name means this owner; anywhere when absent. */
  readonly table?: RegExp;
}

const KUBE_PROXY_TABLE = /^ip6?\/kube-proxy$/;
const DOCKER_TABLE = /^ip6?\/docker-bridges$/;

// First match wins, so the ephemeral forms of a tool stand before its structural ones.
const CHAIN_OWNERS: readonly OwnerPattern[] = [
  // kube-proxy (iptables mode): one chain per service, endpoint, load balancer; the top ones list the services.
  { name: 'kube-proxy', ephemeral: true, pattern: /^KUBE-(SEP|SVC|SVL|FW|XLB|EXT)-[A-Z0-9]{16}$/ },
  {
    name: 'kube-proxy',
    ephemeral: true,
    pattern: /^KUBE-(SERVICES|NODEPORTS|EXTERNAL-SERVICES|PROXY-FIREWALL|NODE-PORT)$/,
  },
  { name: 'kube-proxy', ephemeral: false, pattern: /^KUBE-/ },
  // kube-proxy (nftables mode): <verb>-<hash>-<namespace>/<service>/<protocol>/<port>. `firewall-` is of whom a person
  // lets in.
  {
    name: 'kube-proxy',
    ephemeral: true,
    pattern: /^(service|endpoint|external)-[A-Z0-9]{8}-/,
    table: KUBE_PROXY_TABLE,
  },
  // Calico: cali-pi-, cali-po-, cali-tw-, cali-fw- … one chain per policy and workload endpoint.
  { name: 'calico', ephemeral: true, pattern: /^cali-(pi|po|pri|pro|tw|fw|th|fh|sm|gi|go|rpf)-/ },
  { name: 'calico', ephemeral: false, pattern: /^(cali-|filter-cali-|nat-cali-|mangle-cali-|raw-cali-)/ },
  { name: 'cilium', ephemeral: false, pattern: /^(OLD_)?CILIUM_/ },
  { name: 'weave', ephemeral: false, pattern: /^WEAVE/ },
  { name: 'flannel', ephemeral: false, pattern: /^FLANNEL-/ },
  { name: 'cni', ephemeral: true, pattern: /^CNI-([0-9a-f]{8,}|DN-[0-9a-f]+|SN-)/ },
  { name: 'cni', ephemeral: false, pattern: /^(CNI-|NETAVARK)/ },
  { name: 'istio', ephemeral: false, pattern: /^ISTIO_/ },
  // DOCKER-USER is where people put their own rules: no one's churn.
  { name: 'docker', ephemeral: false, pattern: /^DOCKER-USER$/ },
  { name: 'docker', ephemeral: true, pattern: /^DOCKER(-(ISOLATION-STAGE-[12]|CT|BRIDGE|INTERNAL|FORWARD|INGRESS))?$/ },
  {
    name: 'docker',
    ephemeral: true,
    pattern: /^((filter-forward|nat-postrouting)-(in|out)__.+|raw-PREROUTING|nat-prerouting-and-output)$/,
    table: DOCKER_TABLE,
  },
  { name: 'docker', ephemeral: false, pattern: /^DOCKER/ },
  { name: 'fail2ban', ephemeral: true, pattern: /^(f2b-|fail2ban-)/ },
  { name: 'sshguard', ephemeral: true, pattern: /^sshguard$/ },
  { name: 'crowdsec', ephemeral: true, pattern: /^(CROWDSEC_CHAIN|crowdsec-chain)/ },
  { name: 'libvirt', ephemeral: false, pattern: /^(LIBVIRT_|libvirt_|guest_(input|output|nat))/ },
  { name: 'tailscale', ephemeral: false, pattern: /^ts-/ },
  { name: 'ufw', ephemeral: false, pattern: /^ufw6?-/ },
  {
    name: 'firewalld',
    ephemeral: false,
    pattern:
      /^((IN|FWDI|FWDO|FWD|PRE|POST)_[^ ]+|(INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING)_(direct|ZONES|POLICIES_(pre|post)|IN_ZONES|OUT_ZONES)(_SOURCE)?|(filter|nat|mangle|raw)_(IN|FWD|PRE|POST|INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING)_?[^ ]*)$/,
  },
  { name: 'shorewall', ephemeral: false, pattern: /^(shorewall|logdrop|logreject|sfilter|dynamic|smurfs|tcpflags)$/ },
];

// A whole table that one tool writes: `family/name` in nft.
const TABLE_OWNERS: readonly OwnerPattern[] = [
  { name: 'kube-proxy', ephemeral: false, pattern: /^(ip|ip6)\/kube-proxy$/ },
  { name: 'firewalld', ephemeral: false, pattern: /^(inet|ip|ip6)\/firewalld(_[a-z]+)?$/ },
  { name: 'docker', ephemeral: false, pattern: /^(ip|ip6)\/docker-bridges$/ },
  { name: 'fail2ban', ephemeral: true, pattern: /^(inet|ip|ip6)\/f2b-table$/ },
  { name: 'sshguard', ephemeral: true, pattern: /^(inet|ip|ip6)\/sshguard$/ },
  { name: 'crowdsec', ephemeral: true, pattern: /^(inet|ip|ip6)\/crowdsec6?$/ },
  { name: 'libvirt', ephemeral: false, pattern: /^(ip|ip6)\/libvirt_network$/ },
  { name: 'calico', ephemeral: false, pattern: /^(inet|ip|ip6)\/calico$/ },
];

const SET_OWNERS: readonly OwnerPattern[] = [
  { name: 'fail2ban', ephemeral: true, pattern: /^(f2b-|addr6?-set-|fail2ban-)/ },
  { name: 'sshguard', ephemeral: true, pattern: /^sshguard[46]?$/ },
  { name: 'crowdsec', ephemeral: true, pattern: /^crowdsec6?-blacklists/ },
  // Whom a load balancer lets in: what a person wrote into the service.
  { name: 'kube-proxy', ephemeral: false, pattern: /^KUBE-(6-)?LOAD-BALANCER-SOURCE-/ },
  { name: 'kube-proxy', ephemeral: true, pattern: /^KUBE-/ },
  { name: 'calico', ephemeral: true, pattern: /^cali[46]0/ },
  { name: 'ufw', ephemeral: false, pattern: /^ufw6?-/ },
];

/** Docker's bridges: the default one, Swarm's, and one per network, named by the network's id. */
export const DOCKER_BRIDGE = /^(docker[0-9]+|docker_gwbridge|br-[0-9a-f]{12})$/;

/** NodePort services and their health checks lie here unless a cluster was told otherwise. */
export const NODE_PORT_MIN = 30000;

/** Tools that add and lift bans. */
export function isBanTool({ name }: Owner): boolean {
  return name === 'fail2ban' || name === 'sshguard' || name === 'crowdsec';
}

/**
 * @param table  `filter`, or `family/name` for nft
 * @param chain  the chain's name as the tool prints it
 * @returns      the owner, or null when a person (or an unknown tool) writes it
 */
export function chainOwner(table: string, chain: string): Owner | null {
  return find(CHAIN_OWNERS, chain, table) ?? find(TABLE_OWNERS, table, table);
}

/** Names that mean their owner in its own nft table only. The host's own addresses, `nodeport-ips`, are no churn. */
const NFT_SET_OWNERS: readonly OwnerPattern[] = [
  {
    name: 'kube-proxy',
    ephemeral: true,
    pattern: /^(cluster-ips$|service-ips$|service-nodeports$|no-endpoint-(services|nodeports)$|affinity-)/,
    table: KUBE_PROXY_TABLE,
  },
  {
    name: 'docker',
    ephemeral: true,
    pattern: /^(filter-forward|nat-postrouting)-(in|out)-jumps$/,
    table: DOCKER_TABLE,
  },
];

/** As `chainOwner`, for a named set, map or ipset (no table). */
export function setOwner(table: string | null, set: string): Owner | null {
  if (table !== null) {
    const owner = find(NFT_SET_OWNERS, set, table);
    if (owner !== null) return owner;
  }
  return find(SET_OWNERS, set, table ?? '') ?? (table === null ? null : find(TABLE_OWNERS, table, table));
}

/** As `chainOwner`, for a table as a whole. */
export function tableOwner(table: string): Owner | null {
  return find(TABLE_OWNERS, table, table);
}

function find(patterns: readonly OwnerPattern[], name: string, where: string): Owner | null {
  const found = patterns.find(({ pattern, table }) => pattern.test(name) && (table?.test(where) ?? true));
  return found === undefined ? null : { name: found.name, ephemeral: found.ephemeral };
}
