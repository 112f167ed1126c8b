import type { ChangeKind } from '../../src/core/drift/family-drift.ts';

/** One change that a drift document must list, named as there: a key of `drift_by_family`, and `family/name` tables in nft. */
export interface ExpectedChange {
  readonly family: 'ipv4' | 'ipv6' | 'nft';
  readonly kind: ChangeKind;
  readonly table: string;
  readonly chain: string;
}

/** Something that happens to one VM's firewall while the demo or a test looks on. */
export interface FleetChange {
  readonly name: FleetChangeName;
  readonly vmName: string;
  /** One line for people, in the past tense. */
  readonly summary: string;
  /** `drift`: somebody changed the firewall. `churn`: what a healthy machine does all day. */
  readonly kind: 'drift' | 'churn';
  readonly critical: boolean;
  /** Exactly what has to be reported, no more and no less; empty for churn, where at most noise may be. */
  readonly expected: readonly ExpectedChange[];
  readonly action:
    | { readonly kind: 'script'; readonly script: string }
    /** UDP packets from the VM to itself, which move counters and nothing else. */
    | { readonly kind: 'traffic'; readonly packets: number };
}

export type FleetChangeName = 'ssh-open' | 'ssh-log' | 'ipset-ban' | 'nft-ban' | 'traffic';

export const fleetChanges: readonly FleetChange[] = [
  {
    name: 'ssh-open',
    vmName: 'edge-nft',
    summary: 'ssh, which was limited to the jump hosts, was opened to the world',
    kind: 'drift',
    critical: true,
    expected: [{ family: 'nft', kind: 'rules_modified', table: 'inet/edge', chain: 'input' }],
    action: {
      kind: 'script',
      script: `
        handle=$(nft --handle list chain inet edge input | sed -n 's/.*tcp dport 22 .* # handle \\([0-9]*\\)$/\\1/p')
        nft replace rule inet edge input handle "$handle" tcp dport 22 ct state new accept comment '"ssh, temporary"'`,
    },
  },
  {
    name: 'ssh-log',
    vmName: 'db-cis',
    summary: 'new ssh connections are logged before they are counted',
    kind: 'drift',
    critical: false,
    expected: [{ family: 'ipv4', kind: 'rules_added', table: 'filter', chain: 'INPUT' }],
    action: {
      kind: 'script',
      script: `
        iptables-nft -I INPUT 6 -p tcp -m tcp --dport 22 -m state --state NEW \\
          -m limit --limit 3/min -j LOG --log-prefix "ssh: "`,
    },
  },
  {
    name: 'ipset-ban',
    vmName: 'bastion-fail2ban',
    summary: 'fail2ban banned one more address, in an ipset',
    kind: 'churn',
    critical: false,
    expected: [],
    action: { kind: 'script', script: 'ipset add f2b-sshd 203.0.113.50 timeout 0' },
  },
  {
    name: 'nft-ban',
    vmName: 'mail-fail2ban',
    summary: 'fail2ban banned one more address, in an nft set',
    kind: 'churn',
    critical: false,
    expected: [],
    action: { kind: 'script', script: 'nft add element inet f2b-table addr-set-sshd { 203.0.113.50 }' },
  },
  {
    name: 'traffic',
    vmName: 'web-legacy',
    summary: 'packets came and went',
    kind: 'churn',
    critical: false,
    expected: [],
    action: { kind: 'traffic', packets: 20 },
  },
];

/** Errors: throws for a name that is none. */
export function fleetChange(name: string): FleetChange {
  const change = fleetChanges.find((each) => each.name === name);
  if (change === undefined) {
    throw new Error(`no change is named ${name}; there are ${fleetChanges.map((each) => each.name).join(', ')}`);
  }
  return change;
}
