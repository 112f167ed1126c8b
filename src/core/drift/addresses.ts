import { addressWithin, WIRESERVER } from './iptables-breadth.ts';
import type { Owner } from './owners.ts';

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

/** Azure's instance metadata: credentials of the VM's identity come from there. */
export const METADATA = '169.254.169.254';

/** The address or network of guests, containers or services: without the host's loopback and Azure's channels to it. */
export function isPlainNetwork(network: string): boolean {
  if (/^127\.|^::1?(\/|$)|^0\./.test(network)) return false;
  return !addressWithin(network, WIRESERVER, 0) && !addressWithin(network, METADATA, 0);
}

/** Whether only this host or its network reaches an address, so that what is sent there stays here. */
export function isPrivateAddress(address: string): boolean {
  return /^\[?f[cd]/.test(address) || PRIVATE.some((network) => addressWithin(network, address, 0));
}

/** Bans are of addresses, at most of a provider's small network; community lists hold larger ones. */
export function isBannable(network: string, owner: Owner | null): boolean {
  const [address = '', length] = network.split('/');
  if (!isPlainNetwork(network)) return false;
  if (length === undefined) return true;
  const isV6 = address.includes(':');
  const least = owner?.name === 'crowdsec' ? (isV6 ? 32 : 16) : isV6 ? 48 : 24;
  return Number(length) >= least;
}
