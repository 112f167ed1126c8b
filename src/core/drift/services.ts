/** Inclusive on both ends. */
export interface PortSpan {
  readonly low: number;
  readonly high: number;
}

/** Services whose opening to any source gives away the host or its data. */
const SENSITIVE_PORTS: ReadonlyMap<number, string> = new Map([
  [22, 'SSH'],
  [23, 'Telnet'],
  [111, 'portmapper'],
  [135, 'RPC'],
  [139, 'NetBIOS'],
  [445, 'SMB'],
  [512, 'rexec'],
  [513, 'rlogin'],
  [514, 'rsh'],
  [873, 'rsync'],
  [1433, 'SQL Server'],
  [1521, 'Oracle'],
  [2049, 'NFS'],
  [2375, 'Docker'],
  [2376, 'Docker'],
  [2379, 'etcd'],
  [2380, 'etcd'],
  [3306, 'MySQL'],
  [3389, 'RDP'],
  [5432, 'PostgreSQL'],
  [5900, 'VNC'],
  [5985, 'WinRM'],
  [5986, 'WinRM'],
  [6379, 'Redis'],
  [6443, 'Kubernetes API'],
  [9200, 'Elasticsearch'],
  [10250, 'kubelet'],
  [11211, 'memcached'],
  [27017, 'MongoDB'],
]);

/** The first sensitive service that lies in these destination ports; null for none, and for a rule that names no port. */
export function sensitiveServiceIn(spans: readonly PortSpan[] | null): { name: string; port: number } | null {
  if (spans === null) return null;
  for (const [port, name] of SENSITIVE_PORTS) {
    if (spans.some(({ low, high }) => low <= port && port <= high)) return { name, port };
  }
  return null;
}
