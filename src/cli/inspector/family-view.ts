import { coverageWithout } from '../../core/capture/coverage.ts';
import { FAMILY_OF_SOURCE } from '../../core/capture/read-capture.ts';
import type { HostFirewall } from '../../core/host-firewall.ts';
import { withoutTables } from '../../core/nftables/index.ts';
import type { Family } from './settings.ts';

/**
 * A host's firewall as far as it is about one address family. Tables of inet, bridge and netdev see both, and stay.
 */
export function viewFamily(firewall: HostFirewall, family: Family): HostFirewall {
  if (family === 'both') return firewall;
  const other = family === 'ipv4' ? 'ipv6' : 'ipv4';
  const otherNft = other === 'ipv4' ? 'ip' : 'ip6';
  return {
    ...firewall,
    iptables: firewall.iptables.filter((source) => source.family === family),
    nft: firewall.nft === null ? null : withoutTables(firewall.nft, (table) => table.family === otherNft),
    coverage: coverageWithout(other, firewall.coverage),
    unread: firewall.unread.filter(({ source }) => FAMILY_OF_SOURCE[source] !== other),
  };
}
