import type { Owner } from './owners.ts';

const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

/** Azure's channel to the guest agent: without it Run Command, extensions and DHCP renewals stop. */
export const WIRESERVER = '168.63.129.16';

/** Azure's instance metadata: credentials of the VM's identity come from there. */
export const METADATA = '169.254.169.254';

/** @param address  four octets with dots; no check is made */
export function ipv4Number(address: string): number {
  return address.split('.').reduce((value, octet) => value * 256 + Number(octet), 0);
}

/** Whether an IPv4 network of at least `prefixMin` bits holds the address. */
export function addressWithin(network: string, address: string, prefixMin: number): boolean {
  const [base = '', length = '32'] = network.split('/');
  if (base.includes(':') || address.includes(':') || length.includes('.') || Number(length) < prefixMin) return false;
  const size = 2 ** (32 - Number(length));
  return Math.floor(ipv4Number(base) / size) === Math.floor(ipv4Number(address) / size);
}

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

/** A network of this many bits or fewer is as good as any: 2000::/3 is every public address of IPv6. */
export const WIDE_PREFIX_MAX = 3;

/** Whether a range is of an eighth of all addresses or more. */
export function isWideRange(first: string, last: string): boolean {
  if (first.includes(':')) return (leadingGroup(last) - leadingGroup(first)) / 0x10000 >= 0.12;
  return (ipv4Number(last) - ipv4Number(first)) / 2 ** 32 >= 0.12;
}

function leadingGroup(address: string): number {
  return Number.parseInt(address.split(':')[0] || '0', 16);
}

/** How many bits a mask with dots has. */
export function dottedMaskBits(mask: string): number {
  return mask.split('.').reduce((count, octet) => count + Number(octet).toString(2).replaceAll('0', '').length, 0);
}

/** Interfaces that carry traffic of guests, containers and tunnels, not that of the outside. */
export function isInnerInterface(name: string): boolean {
  return INNER_INTERFACE.test(name);
}

const INNER_INTERFACE =
  /^(lo|docker[0-9]*|br-.*|virbr.*|veth.*|cali.*|cni.*|flannel.*|lxc.*|podman.*|tailscale.*|wg.*|tun.*|tap.*|vnet.*)$/;
