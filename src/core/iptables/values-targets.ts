import { readUnsigned } from './addresses.ts';
import type { Grammar } from './extension.ts';
import type { Family } from './model.ts';
import { canonicalAddress, canonicalNetwork, isShortIpv4, readDecimalPort, readPort } from './values.ts';

/** The grammars of the targets. */

function grammar(kind: string, canonical: (text: string, family: Family) => string | null): Grammar {
  return { kind, canonical, typed: (value) => value };
}

/** `port`, `port-port`, for DNAT also `port-port/base`; null when it is none of these. */
function canonicalPorts(text: string): string | null {
  const parts = /^([^-/]+)(?:-([^/]+?))?(?:\/(.+))?$/.exec(text);
  const whole = readPort(text);
  if (whole !== null) return String(whole);
  if (parts === null) return splitServiceRange(text);
  const low = readPort(parts[1] ?? '');
  const high = parts[2] === undefined ? low : readPort(parts[2]);
  const base = parts[3] === undefined ? null : readPort(parts[3]);
  if (low === null || high === null || (parts[3] !== undefined && base === null)) return splitServiceRange(text);
  if (low > high) return null;
  const span = low === high ? String(low) : `${low}-${high}`;
  return base === null ? span : `${span}/${base}`;
}

/** A service name may hold a dash itself: the dash of the range is the one with a port on both sides. */
function splitServiceRange(text: string): string | null {
  for (let dash = text.indexOf('-'); dash !== -1; dash = text.indexOf('-', dash + 1)) {
    const low = readPort(text.slice(0, dash));
    const high = readPort(text.slice(dash + 1));
    if (low !== null && high !== null) return low > high ? null : low === high ? String(low) : `${low}-${high}`;
  }
  return null;
}

/** The address range and ports of DNAT and SNAT: `a[-b][:port[-port]]`, IPv6 addresses in brackets before a port. */
export const natRange: Grammar = grammar('[address[-address]][:port[-port]]', (text, family) => {
  let addresses = text;
  let ports: string | null = null;
  if (text.startsWith('[')) {
    const close = text.indexOf(']', text.includes(']-[') ? text.indexOf(']-[') + 2 : 0);
    if (close === -1) return null;
    const rest = text.slice(close + 1);
    if (rest !== '' && !rest.startsWith(':')) return null;
    addresses = text.slice(0, close + 1).replace(/[[\]]/g, '');
    if (rest.length > 1) ports = rest.slice(1);
  } else if (family === 'ipv4' || /^:[^:]+$/.test(text)) {
    const colon = text.indexOf(':');
    if (colon !== -1) {
      addresses = text.slice(0, colon);
      ports = text.slice(colon + 1);
    }
  }
  let printed = '';
  if (addresses !== '') {
    const dash = addresses.indexOf('-');
    const low = canonicalAddress(dash === -1 ? addresses : addresses.slice(0, dash), family);
    const high = dash === -1 ? low : canonicalAddress(addresses.slice(dash + 1), family);
    if (low === null || high === null) return null;
    const brackets = family === 'ipv6' && ports !== null;
    const [before, after] = brackets ? ['[', ']'] : ['', ''];
    printed = low === high ? `${before}${low}${after}` : `${before}${low}-${high}${after}`;
  }
  if (ports === null) return printed === '' ? null : printed;
  const span = canonicalPorts(ports);
  return span === null ? null : `${printed}:${span}`;
});

export const portSpan: Grammar = grammar('port[-port]', canonicalPorts);

export const portNumber: Grammar = grammar('port', (text) => {
  const port = readDecimalPort(text);
  return port === null ? null : String(port);
});

export const netmap: Grammar = grammar('address[/mask]', (text, family) =>
  isShortIpv4(text, family) ? null : canonicalNetwork(text, family),
);

export const queueRange: Grammar = grammar('first:last', (text) => {
  const colon = text.indexOf(':');
  if (colon === -1) return null;
  const low = colon === 0 ? 0 : readUnsigned(text.slice(0, colon), 65535);
  const high = colon === text.length - 1 ? 65534 : readUnsigned(text.slice(colon + 1), 65535);
  if (low === null || high === null || low > high) return null;
  return `${low}:${high}`;
});

const LOG_LEVELS: ReadonlyMap<string, number> = new Map([
  ['emerg', 0],
  ['panic', 0],
  ['alert', 1],
  ['crit', 2],
  ['err', 3],
  ['error', 3],
  ['warning', 4],
  ['warn', 4],
  ['notice', 5],
  ['info', 6],
  ['debug', 7],
]);

export const logLevel: Grammar = grammar('level', (text) => {
  const level = readUnsigned(text, 7) ?? LOG_LEVELS.get(text.toLowerCase());
  return level === undefined ? null : String(level);
});

/** A traffic class: two hexadecimal numbers. */
export const class32: Grammar = grammar('major:minor', (text) => {
  const parts = /^(?:0[xX])?([0-9a-fA-F]{1,8}):(?:0[xX])?([0-9a-fA-F]{1,8})$/.exec(text);
  if (parts === null) return null;
  const major = Number.parseInt(parts[1] ?? '', 16) & 0xffff;
  const minor = Number.parseInt(parts[2] ?? '', 16) & 0xffff;
  return `${major.toString(16).padStart(4, '0')}:${minor.toString(16).padStart(4, '0')}`;
});

export const clusterMac: Grammar = grammar('MAC address', (text) =>
  /^[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}$/.test(text) ? text.toUpperCase() : null,
);

const TCP_OPTIONS: ReadonlyMap<string, number> = new Map([
  ['mss', 2],
  ['wscale', 3],
  ['sack-permitted', 4],
  ['sack', 5],
  ['timestamp', 8],
  ['md5', 19],
]);

/** TCP options to strip, by number or name; printed by number, ascending. */
export const stripOptions: Grammar = grammar('TCP option list', (text) => {
  const numbers = new Set<number>();
  for (const part of text.split(',')) {
    const number = readUnsigned(part, 255) ?? TCP_OPTIONS.get(part.toLowerCase());
    if (number === undefined) return null;
    numbers.add(number);
  }
  return [...numbers].sort((a, b) => a - b).join(',');
});

const REJECT_TYPES: Record<Family, readonly string[]> = {
  ipv4: [
    'icmp-net-unreachable',
    'icmp-host-unreachable',
    'icmp-proto-unreachable',
    'icmp-port-unreachable',
    'icmp-net-prohibited',
    'icmp-host-prohibited',
    'icmp-admin-prohibited',
    'tcp-reset',
  ],
  ipv6: [
    'icmp6-no-route',
    'icmp6-adm-prohibited',
    'icmp6-addr-unreachable',
    'icmp6-port-unreachable',
    'icmp6-policy-fail',
    'icmp6-reject-route',
    'tcp-reset',
  ],
};

const REJECT_ALIASES: Record<Family, ReadonlyMap<string, string>> = {
  ipv4: new Map([
    ['net-unreach', 'icmp-net-unreachable'],
    ['host-unreach', 'icmp-host-unreachable'],
    ['proto-unreach', 'icmp-proto-unreachable'],
    ['port-unreach', 'icmp-port-unreachable'],
    ['net-prohib', 'icmp-net-prohibited'],
    ['host-prohib', 'icmp-host-prohibited'],
    ['admin-prohib', 'icmp-admin-prohibited'],
    ['tcp-rst', 'tcp-reset'],
  ]),
  ipv6: new Map([
    ['no-route', 'icmp6-no-route'],
    ['adm-prohibited', 'icmp6-adm-prohibited'],
    ['addr-unreach', 'icmp6-addr-unreachable'],
    ['port-unreach', 'icmp6-port-unreachable'],
    ['policy-fail', 'icmp6-policy-fail'],
    ['reject-route', 'icmp6-reject-route'],
  ]),
};

/** What REJECT answers with; a prefix that only one type has is enough for the tools. */
export const rejectType: Grammar = grammar('reject type', (text, family) => {
  const types = REJECT_TYPES[family];
  const lower = text.toLowerCase();
  if (types.includes(lower)) return lower;
  const alias = REJECT_ALIASES[family].get(lower);
  if (alias !== undefined) return alias;
  const [only, ...others] = types.filter((type) => type.startsWith(lower));
  return others.length === 0 ? (only ?? null) : null;
});
