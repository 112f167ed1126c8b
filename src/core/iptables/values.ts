import {
  canonicalIpv4Network,
  canonicalIpv6Network,
  plainUnsigned,
  printIpv4,
  printIpv6,
  readIpv4,
  readIpv6,
  readUnsigned,
} from './addresses.ts';
import type { Grammar, TypedValue } from './extension.ts';
import type { Family } from './model.ts';
import { ICMP_TYPES, ICMPV6_TYPES, printProtocol, protocolNumber, servicePort } from './names.ts';
import { quotePattern, quoteString } from './tokens.ts';

/** The value grammars of the extension table. Each accepts what the tools accept and gives what they print. */

const UINT32_MAX = 0xffffffff;

const asText = (canonical: string): TypedValue => canonical;
const asNumber = (canonical: string): TypedValue => Number(canonical);

function grammar(
  kind: string,
  canonical: (text: string, family: Family) => string | null,
  typed: (canonical: string) => TypedValue = asText,
): Grammar {
  return { kind, canonical, typed };
}

export function unsigned(max = UINT32_MAX, min = 0): Grammar {
  return grammar(
    'number',
    (text) => {
      if (plainUnsigned(text, max) >= min) return text;
      const value = readUnsigned(text, max);
      return value === null || value < min ? null : String(value);
    },
    asNumber,
  );
}

/** A number up to 2^64 - 1, which a double cannot hold: kept as digits. */
export function unsigned64(): Grammar {
  return grammar('number', (text) => {
    const value = readUnsigned64(text);
    return value === null ? null : value.toString();
  });
}

export function readUnsigned64(text: string): bigint | null {
  if (!/^(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,22})$/.test(text)) return null;
  const octal = /^0[0-9]+$/.test(text);
  if (octal && /[89]/.test(text)) return null;
  const value = BigInt(octal ? `0o${text}` : text);
  return value <= 0xffffffffffffffffn ? value : null;
}

/** A number printed in hexadecimal, padded to `width` digits. */
export function hexadecimal(max = UINT32_MAX, width = 0): Grammar {
  return grammar(
    'hexadecimal number',
    (text) => {
      const value = readUnsigned(text, max);
      return value === null ? null : printHex(value, width);
    },
    asNumber,
  );
}

export function printHex(value: number, width = 0): string {
  return `0x${value.toString(16).padStart(width, '0')}`;
}

export function word(kind = 'name', pattern = /^\S+$/): Grammar {
  return grammar(kind, (text) => (pattern.test(text) ? text : null));
}

/** A name that the tools save as it is, blanks and quotes included: not even they read such a line back. */
export const rawName: Grammar = {
  kind: 'name',
  canonical: (value) => (value === '' ? null : value),
  typed: asText,
  quote: (value) => value,
};

/** Free text, quoted as iptables-save quotes a string. */
export function text(kind = 'string'): Grammar {
  return { kind, canonical: (value) => value, typed: asText, quote: quoteString };
}

export const pattern: Grammar = {
  kind: 'string',
  canonical: (value) => value,
  typed: asText,
  quote: quotePattern,
};

export function choice(
  kind: string,
  names: readonly string[],
  aliases: Readonly<Record<string, string>> = {},
): Grammar {
  const known = new Map<string, string>();
  for (const name of names) known.set(name.toLowerCase(), name);
  for (const [alias, name] of Object.entries(aliases)) known.set(alias.toLowerCase(), name);
  return grammar(kind, (value) => known.get(value) ?? known.get(value.toLowerCase()) ?? null);
}

/** A comma-separated list of words, printed in the table's order and once each. */
export function flags(
  kind: string,
  names: readonly string[],
  options: { all?: string; none?: string; aliases?: Readonly<Record<string, string>>; caseSensitive?: boolean } = {},
): Grammar {
  const order = new Map(names.map((name, index) => [name.toLowerCase(), index]));
  const aliases = new Map(Object.entries(options.aliases ?? {}).map(([key, value]) => [key.toLowerCase(), value]));
  return grammar(
    kind,
    (value) => {
      const at = order.get(value.toLowerCase());
      if (at !== undefined) return names[at] as string;
      const chosen = new Set<number>();
      for (const part of value.split(',')) {
        const lower = part.toLowerCase();
        if (options.all !== undefined && lower === options.all.toLowerCase()) {
          for (let index = 0; index < names.length; index += 1) chosen.add(index);
        } else if (options.none === undefined || lower !== options.none.toLowerCase()) {
          const index = order.get((aliases.get(lower) ?? part).toLowerCase());
          if (index === undefined) return null;
          chosen.add(index);
        }
      }
      if (chosen.size === 0) return options.none ?? null;
      return names.filter((_, index) => chosen.has(index)).join(',');
    },
    (canonical) => (canonical === options.none ? [] : canonical.split(',')),
  );
}

/** A list of numbers, sorted and once each. */
export function numberSet(kind: string, low: number, high: number): Grammar {
  return grammar(
    kind,
    (value) => {
      const chosen = new Set<number>();
      for (const part of value.split(',')) {
        const number = readUnsigned(part, high);
        if (number === null || number < low) return null;
        chosen.add(number);
      }
      return [...chosen].sort((a, b) => a - b).join(',');
    },
    (canonical) => canonical.split(',').map(Number),
  );
}

export function readPort(value: string): number | null {
  return readUnsigned(value, 65535) ?? servicePort(value) ?? null;
}

function asRange(separator: string): (canonical: string) => TypedValue {
  return (canonical) => {
    const [low, high = low] = canonical.split(separator);
    return { low: Number(low), high: Number(high) };
  };
}

/** As getaddrinfo reads a port: always decimal, so that `010` is 10 where other options take it for octal 8. */
export function readDecimalPort(value: string): number | null {
  if (!/^[0-9]{1,24}$/.test(value)) return servicePort(value) ?? null;
  const port = Number(value);
  return port <= 65535 ? port : null;
}

/** `a`, `a:b`, `a:`, `:b`: one number where both ends are equal. */
export function range(kind: string, max: number, read = (value: string) => readUnsigned(value, max)): Grammar {
  return grammar(
    kind,
    (value) => {
      if (plainUnsigned(value, max) !== -1) return value;
      const colon = value.indexOf(':');
      if (colon === -1) {
        const only = read(value);
        return only === null ? null : String(only);
      }
      const low = colon === 0 ? 0 : read(value.slice(0, colon));
      const high = colon === value.length - 1 ? max : read(value.slice(colon + 1));
      if (low === null || high === null || low > high) return null;
      return low === high ? String(low) : `${low}:${high}`;
    },
    asRange(':'),
  );
}

export const portRange: Grammar = range('port[:port]', 65535, readPort);
export const decimalPortRange: Grammar = range('port[:port]', 65535, readDecimalPort);

/** The multiport list: the order is kept, as the kernel keeps it. */
export const portList: Grammar = grammar(
  'port[,port:port…]',
  (value) => {
    const parts = value.split(',');
    const printed: string[] = [];
    for (const part of parts) {
      const colon = part.indexOf(':');
      const low = colon === 0 ? 0 : readPort(colon === -1 ? part : part.slice(0, colon));
      const high = colon === -1 ? low : colon === part.length - 1 ? 65535 : readPort(part.slice(colon + 1));
      if (low === null || high === null || low > high) return null;
      printed.push(colon === -1 ? String(low) : `${low}:${high}`);
    }
    return printed.join(',');
  },
  (canonical) => canonical.split(',').map(asRange(':')),
);

/** A mark with an optional mask, printed in hexadecimal, the full mask left out. */
export const maskedMark: Grammar = grammar(
  'value[/mask]',
  (value) => {
    const mark = readMasked(value);
    if (mark === null) return null;
    return mark.mask === UINT32_MAX ? printHex(mark.value) : `${printHex(mark.value)}/${printHex(mark.mask)}`;
  },
  asMasked,
);

/** The same with the mask always printed. */
export const markAndMask: Grammar = grammar(
  'value/mask',
  (value) => {
    const mark = readMasked(value);
    return mark === null ? null : `${printHex(mark.value)}/${printHex(mark.mask)}`;
  },
  asMasked,
);

function asMasked(canonical: string): TypedValue {
  const [value, mask] = canonical.split('/');
  return { value: Number(value), mask: mask === undefined ? UINT32_MAX : Number(mask) };
}

export function readMasked(value: string, max = UINT32_MAX): { value: number; mask: number } | null {
  const slash = value.indexOf('/');
  const number = readUnsigned(slash === -1 ? value : value.slice(0, slash), max);
  const mask = slash === -1 ? max : readUnsigned(value.slice(slash + 1), max);
  return number === null || mask === null ? null : { value: number, mask };
}

export const protocol: Grammar = grammar('protocol', (value) => {
  const number = readUnsigned(value, 255) ?? protocolNumber(value);
  return number === undefined ? null : printProtocol(number);
});

/** A protocol that is printed as a number. */
export const protocolAsNumber: Grammar = grammar(
  'protocol',
  (value) => {
    const number = readUnsigned(value, 255) ?? protocolNumber(value);
    return number === undefined ? null : String(number);
  },
  asNumber,
);

/** An address with prefix length or mask, the host bits cleared. */
export const network: Grammar = grammar('address[/mask]', canonicalNetwork);

export function canonicalNetwork(value: string, family: Family): string | null {
  return family === 'ipv4' ? canonicalIpv4Network(value) : canonicalIpv6Network(value);
}

/** `10.1`: 10.1.0.0 behind `-s`, 10.0.0.1 elsewhere. Nothing saves it, so elsewhere it is left as it is written. */
export function isShortIpv4(value: string, family: Family): boolean {
  return family === 'ipv4' && (value.split('/')[0] ?? '').split('.').length !== 4;
}

/** A network that the tools save with its host bits, and a single host without a length. */
export const hostOrNetwork: Grammar = grammar('address[/mask]', (value, family) => {
  if (isShortIpv4(value, family)) return null;
  const canonical = canonicalNetwork(value, family);
  const host = canonicalAddress(value.replace(/\/.*$/, ''), family);
  if (canonical === null || host === null) return canonical;
  return (host + canonical.slice(canonical.indexOf('/'))).replace(family === 'ipv4' ? /\/32$/ : /\/128$/, '');
});

export const address: Grammar = grammar('address', canonicalAddress);

export function canonicalAddress(value: string, family: Family): string | null {
  if (family === 'ipv4') {
    const number = readIpv4(value);
    return number === null || value.split('.').length !== 4 ? null : printIpv4(number);
  }
  const groups = readIpv6(value);
  return groups === null ? null : printIpv6(groups);
}

/** An address with its length, host bits and all, as the segment routing match prints it. */
export const addressAndLength: Grammar = grammar('address[/length]', (value, family) => {
  const slash = value.indexOf('/');
  const host = canonicalAddress(slash === -1 ? value : value.slice(0, slash), family);
  const length = slash === -1 ? 128 : readUnsigned(value.slice(slash + 1), 128);
  return host === null || length === null ? null : `${host}/${length}`;
});

/** `first-last`, as iprange takes it. */
export const addressRange: Grammar = grammar('address-address', (value, family) => {
  const dash = value.indexOf('-');
  const low = canonicalAddress(dash === -1 ? value : value.slice(0, dash), family);
  const high = dash === -1 ? low : canonicalAddress(value.slice(dash + 1), family);
  return low === null || high === null ? null : `${low}-${high}`;
});

function icmpType(names: ReadonlyMap<string, readonly [number, number, number]>, any: number | null): Grammar {
  return grammar('ICMP type[/code]', (value) => {
    const named = names.get(value.toLowerCase()) ?? uniquePrefix(names, value.toLowerCase());
    let [type, low, high] = named ?? [-1, 0, 255];
    if (named === undefined) {
      const parts = /^([^/]+)(?:\/([^:/]+)(?::([^:/]+))?)?$/.exec(value);
      const first = parts === null ? null : readUnsigned(parts[1] ?? '', 255);
      if (parts === null || first === null) return null;
      type = first;
      if (parts[2] !== undefined) {
        const from = readUnsigned(parts[2], 255);
        const to = parts[3] === undefined ? from : readUnsigned(parts[3], 255);
        if (from === null || to === null || from > to) return null;
        low = from;
        high = to;
      }
    }
    if (type === any && low === 0 && high === 255) return 'any';
    if (low === 0 && high === 255) return String(type);
    return low === high ? `${type}/${low}` : `${type}/${low}:${high}`;
  });
}

function uniquePrefix<T>(names: ReadonlyMap<string, T>, prefix: string): T | undefined {
  if (!/^[a-z]/.test(prefix)) return undefined;
  let found: T | undefined;
  for (const [name, value] of names) {
    if (!name.startsWith(prefix)) continue;
    if (found !== undefined) return undefined;
    found = value;
  }
  return found;
}

export const icmpv4Type: Grammar = icmpType(ICMP_TYPES, 255);
export const icmpv6Type: Grammar = icmpType(ICMPV6_TYPES, null);

/** Published rulesets have their addresses blacked out with X: still a MAC address, and no other one. */
export const mac: Grammar = grammar('MAC address', (value) =>
  /^[0-9a-fA-FxX]{1,2}(?::[0-9a-fA-FxX]{1,2}){5}$/.test(value)
    ? value
        .toLowerCase()
        .split(':')
        .map((byte) => byte.padStart(2, '0'))
        .join(':')
    : null,
);

/** A set's name and which part of the packet to look up: `blocklist`, `src,dst`. */
export const setDirections: Grammar = grammar(
  'src|dst[,…]',
  (value) => (/^(?:src|dst)(?:,(?:src|dst)){0,5}$/.test(value) ? value : null),
  (canonical) => canonical.split(','),
);

export const anything: Grammar = grammar('value', (value) => value);

export const interfaceName: Grammar = word('interface');
