import { createHash } from 'node:crypto';
import { type SimulatedVm, vmResourceId } from '../arm/simulated-vm.ts';

export const DEMO_SUBSCRIPTION_ID = '5f3a1c00-0de0-4a11-8f1e-e7000000d320';

/** Which tools a VM has, and what its firewall is loaded from. */
export interface FirewallDefinition {
  /** What the plain name `iptables` runs; `none` where the package is not installed. */
  readonly iptables: 'legacy' | 'nft' | 'none';
  readonly nft: boolean;
  readonly ipset: boolean;
  readonly osRelease: OsRelease;
  readonly load: readonly RuleSource[];
}

/** A file below `vms/<name>/` or, for what is too long to keep, `generated`; each is read by the restore tool it names. */
export interface RuleSource {
  readonly with: 'iptables' | 'ip6tables' | 'iptables-legacy' | 'ip6tables-legacy' | 'nft' | 'ipset';
  readonly from: string;
}

export interface OsRelease {
  readonly id: string;
  readonly versionId: string;
  readonly prettyName: string;
}

export interface FleetVm extends SimulatedVm {
  /** One line for people. */
  readonly summary: string;
  /** Null where no shell script can run. */
  readonly firewall: FirewallDefinition | null;
}

const DEBIAN_12: OsRelease = { id: 'debian', versionId: '12', prettyName: 'Debian GNU/Linux 12 (bookworm)' };
const UBUNTU_22: OsRelease = { id: 'ubuntu', versionId: '22.04', prettyName: 'Ubuntu 22.04.5 LTS' };
const UBUNTU_20: OsRelease = { id: 'ubuntu', versionId: '20.04', prettyName: 'Ubuntu 20.04.6 LTS' };

const IPTABLES_FILES: readonly RuleSource[] = [
  { with: 'iptables', from: 'iptables.rules' },
  { with: 'ip6tables', from: 'ip6tables.rules' },
];
const NFT_FILE: RuleSource = { with: 'nft', from: 'nftables.nft' };
const IPSET_FILE: RuleSource = { with: 'ipset', from: 'ipset.rules' };

/** Thirteen VMs in one subscription: ten whose firewall can be read, and three that answer with a reason. */
export const demoFleet: readonly FleetVm[] = [
  vm('web-legacy', 'rg-web', 'web', {
    summary: 'a web server with iptables-legacy and a drop policy',
    firewall: { iptables: 'legacy', nft: false, ipset: false, osRelease: UBUNTU_20, load: IPTABLES_FILES },
  }),
  vm('web-docker', 'rg-web', 'web', {
    summary: "iptables-nft with Docker's chains",
    firewall: { iptables: 'nft', nft: true, ipset: false, osRelease: DEBIAN_12, load: IPTABLES_FILES },
  }),
  vm('edge-nft', 'rg-web', 'edge', {
    summary: 'native nftables with sets, maps and a drop policy',
    firewall: { iptables: 'none', nft: true, ipset: false, osRelease: DEBIAN_12, load: [NFT_FILE] },
  }),
  vm('app-ufw', 'rg-web', 'app', {
    summary: 'the chains ufw generates, over iptables-nft',
    firewall: { iptables: 'nft', nft: true, ipset: false, osRelease: UBUNTU_22, load: IPTABLES_FILES },
  }),
  vm('bastion-fail2ban', 'rg-web', 'bastion', {
    summary: 'iptables-legacy with fail2ban bans in ipsets',
    firewall: {
      iptables: 'legacy',
      nft: false,
      ipset: true,
      osRelease: UBUNTU_20,
      load: [IPSET_FILE, ...IPTABLES_FILES],
    },
  }),
  vm('mail-fail2ban', 'rg-web', 'mail', {
    summary: 'native nftables with fail2ban bans in nft sets',
    firewall: { iptables: 'none', nft: true, ipset: false, osRelease: DEBIAN_12, load: [NFT_FILE] },
  }),
  vm('gateway-mixed', 'rg-platform', 'gateway', {
    summary: 'iptables-nft, forgotten legacy rules and a native table at once',
    firewall: {
      iptables: 'nft',
      nft: true,
      ipset: true,
      osRelease: DEBIAN_12,
      load: [IPSET_FILE, ...IPTABLES_FILES, { with: 'iptables-legacy', from: 'iptables-legacy.rules' }, NFT_FILE],
    },
  }),
  vm('node-kube', 'rg-platform', 'node', {
    summary: 'a Kubernetes node: kube-proxy with more than 2,000 rules',
    firewall: {
      iptables: 'legacy',
      nft: false,
      ipset: false,
      osRelease: UBUNTU_20,
      load: [{ with: 'iptables', from: 'generated' }],
    },
  }),
  vm('db-cis', 'rg-platform', 'database', {
    summary: 'iptables-nft, hardened after the CIS benchmark',
    firewall: { iptables: 'nft', nft: true, ipset: false, osRelease: DEBIAN_12, load: IPTABLES_FILES },
  }),
  vm('batch-empty', 'rg-platform', 'batch', {
    summary: 'every tool and not one rule',
    firewall: { iptables: 'nft', nft: true, ipset: true, osRelease: DEBIAN_12, load: [] },
  }),
  vm('spare-stopped', 'rg-platform', 'spare', {
    summary: 'deallocated',
    powerState: 'deallocated',
    firewall: {
      iptables: 'nft',
      nft: true,
      ipset: false,
      osRelease: DEBIAN_12,
      load: [{ with: 'iptables', from: 'iptables.rules' }],
    },
  }),
  vm('lab-silent', 'rg-platform', 'lab', {
    summary: 'its own firewall cuts the guest agent off',
    agentReady: false,
    firewall: { iptables: 'none', nft: true, ipset: false, osRelease: DEBIAN_12, load: [NFT_FILE] },
  }),
  vm('office-windows', 'rg-platform', 'office', { summary: 'Windows', osType: 'Windows', firewall: null }),
];

function vm(
  name: string,
  resourceGroup: string,
  role: string,
  rest: Partial<SimulatedVm> & Pick<FleetVm, 'summary' | 'firewall'>,
): FleetVm {
  return {
    id: vmResourceId(DEMO_SUBSCRIPTION_ID, resourceGroup, name),
    name,
    subscriptionId: DEMO_SUBSCRIPTION_ID,
    resourceGroup,
    location: 'westeurope',
    vmId: guidOf(`vm ${name}`),
    osType: 'Linux',
    powerState: 'running',
    agentReady: true,
    tags: { 'fw-baseline': 'enabled', role },
    ...rest,
  };
}

/** A GUID that is the same in every run, so that recordings and demo reports compare. */
export function guidOf(text: string): string {
  const hex = createHash('sha256').update(text).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
