import { ipv6MaskPrefix, maskPrefix, readIpv4Mask, readIpv6Mask, readUnsigned } from './addresses.ts';
import type { Grammar, TypedValue } from './extension.ts';
import { canonicalAddress, flags, numberSet, printHex, range, readMasked, readUnsigned64, unsigned } from './values.ts';

/** The grammars that one or two extensions use. */

function grammar(
  kind: string,
  canonical: (text: string) => string | null,
  typed: (canonical: string) => TypedValue = (value) => value,
): Grammar {
  return { kind, canonical, typed };
}

export const tcpFlags: Grammar = flags('TCP flags', ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG'], {
  all: 'ALL',
  none: 'NONE',
});

export const optionNumber: Grammar = unsigned(255, 1);

/** SPIs, fragment ids and the like: a range over 32 bits. */
export const spi: Grammar = range('number[:number]', 0xffffffff);

const UNITS: readonly (readonly [string, number])[] = [
  ['day', 86400],
  ['hour', 3600],
  ['min', 60],
  ['sec', 1],
];

/** Reads `5/min`, `5/minute`, `5`: how many, and in how many seconds. */
export function readRate(text: string): { count: number; seconds: number } | null {
  const parts = /^([0-9]{1,10})(?:\/([a-zA-Z]+))?$/.exec(text);
  if (parts === null) return null;
  const count = Number(parts[1]);
  const unit = (parts[2] ?? 'second').toLowerCase();
  const names: readonly (readonly [string, number])[] = [
    ['second', 1],
    ['minute', 60],
    ['hour', 3600],
    ['day', 86400],
  ];
  const seconds = names.find(([name]) => name.startsWith(unit))?.[1];
  return seconds === undefined || count === 0 ? null : { count, seconds };
}

/**
 * The rate as the kernel gives it back: it keeps the time between two packets, in 1/scale seconds, so `60/min` comes
 * back as `1/sec`, and a rate that does not divide evenly in the largest unit that fits.
 */
export function printRate(count: number, seconds: number, scale: number): { text: string; seconds: number } | null {
  const period = Math.floor((scale * seconds) / count);
  if (period === 0) return null;
  let unit = 1;
  while (unit < UNITS.length) {
    const multiple = scale * (UNITS[unit] as readonly [string, number])[1];
    if (period > multiple || Math.floor(multiple / period) < multiple % period) break;
    unit += 1;
  }
  const [name, unitSeconds] = UNITS[unit - 1] as readonly [string, number];
  return { text: `${Math.floor((scale * unitSeconds) / period)}/${name}`, seconds: unitSeconds };
}

export const limitRate: Grammar = grammar('rate[/unit]', (text) => {
  const rate = readRate(text);
  return rate === null ? null : (printRate(rate.count, rate.seconds, 10000)?.text ?? null);
});

const BYTE_UNITS: readonly (readonly [string, number])[] = [
  ['mb', 1024 * 1024],
  ['kb', 1024],
  ['b', 1],
];

/** `5/sec`, or bytes: `512kb/s`. Normalized by the hashlimit rewrite, which needs the unit. */
export const hashRate: Grammar = grammar('rate[/unit]', (text) => {
  if (readRate(text) !== null) return text;
  const bytes = /^([0-9]{1,15})(b|kb|mb)\/s(?:ec|econd)?$/i.exec(text);
  if (bytes === null) return null;
  // The kernel keeps a byte rate in steps of sixteen.
  const steps = Math.floor(bytesOf(bytes[1] ?? '', bytes[2] ?? '') / 16);
  return `${printBytes(steps * 16)}/s`;
});

function bytesOf(digits: string, unit: string): number {
  const factor = BYTE_UNITS.find(([name]) => name === unit.toLowerCase())?.[1] ?? 1;
  return Number(digits) * factor;
}

export function printBytes(bytes: number): string {
  const [name, factor] = BYTE_UNITS.find(([, size]) => bytes % size === 0 && bytes >= size) ?? ['b', 1];
  return `${bytes / factor}${name}`;
}

/** hashlimit's burst: packets, or bytes with a unit. */
export const burst: Grammar = grammar('number or bytes', (text) => {
  const number = readUnsigned(text, 0xffffffff);
  if (number !== null) return String(number);
  const bytes = /^([0-9]{1,15})(b|kb|mb)$/i.exec(text);
  return bytes === null ? null : printBytes(bytesOf(bytes[1] ?? '', bytes[2] ?? ''));
});

/** A chance as the kernel keeps it: in steps of 2^-31, printed with eleven decimals. */
export const probability: Grammar = grammar(
  'probability',
  (text) => {
    if (!/^[0-9]*\.?[0-9]+(?:[eE]-?[0-9]+)?$|^[0-9]+\.$/.test(text)) return null;
    const value = Number(text);
    if (value < 0 || value > 1) return null;
    return (Math.round(0x80000000 * value) / 0x80000000).toFixed(11);
  },
  Number,
);

const DSCP_CLASSES: ReadonlyMap<string, number> = new Map([
  ['BE', 0],
  ['EF', 0x2e],
  ['VA', 0x2c],
  ['LE', 0x01],
  ...Array.from({ length: 8 }, (_, index): [string, number] => [`CS${index}`, index * 8]),
  ...[1, 2, 3, 4].flatMap((group) =>
    [1, 2, 3].map((drop): [string, number] => [`AF${group}${drop}`, group * 8 + drop * 2]),
  ),
]);

export const dscp: Grammar = grammar(
  'DSCP',
  (text) => {
    const value = readUnsigned(text, 0x3f);
    return value === null ? null : printHex(value, 2);
  },
  Number,
);

/** `EF`, `CS3`, `AF21`: printed as the number. */
export const dscpClass: Grammar = grammar(
  'DiffServ class',
  (text) => {
    const value = DSCP_CLASSES.get(text.toUpperCase());
    return value === undefined ? null : printHex(value, 2);
  },
  Number,
);

const TOS_NAMES: ReadonlyMap<string, number> = new Map([
  ['minimize-delay', 0x10],
  ['maximize-throughput', 0x08],
  ['maximize-reliability', 0x04],
  ['minimize-cost', 0x02],
  ['normal-service', 0x00],
]);

export const tos: Grammar = grammar(
  'value[/mask]',
  (text) => {
    const named = TOS_NAMES.get(text.toLowerCase());
    const mark = named === undefined ? readMasked(text, 0xff) : { value: named, mask: 0x3f };
    return mark === null ? null : `${printHex(mark.value, 2)}/${printHex(mark.mask, 2)}`;
  },
  (canonical) => {
    const [value, mask] = canonical.split('/');
    return { value: Number(value), mask: Number(mask) };
  },
);

/** A user or group by number or range; of the names only `root` means the same everywhere. */
export const ownerId: Grammar = grammar(
  'id[-id]',
  (text) => {
    if (text === 'root') return '0';
    const dash = text.indexOf('-');
    const low = readUnsigned(dash === -1 ? text : text.slice(0, dash), 0xfffffffe);
    const high = dash === -1 ? low : readUnsigned(text.slice(dash + 1), 0xfffffffe);
    if (low === null || high === null || low > high) return null;
    return low === high ? String(low) : `${low}-${high}`;
  },
  (canonical) => {
    const [low, high = low] = canonical.split('-');
    return { low: Number(low), high: Number(high) };
  },
);

export const timeOfDay: Grammar = grammar('hh:mm[:ss]', (text) => {
  const parts = /^([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2}))?$/.exec(text);
  if (parts === null) return null;
  const [hours, minutes, seconds] = [Number(parts[1]), Number(parts[2]), Number(parts[3] ?? 0)];
  if (hours > 23 || minutes > 59 || seconds > 59) return null;
  return [hours, minutes, seconds].map(twoDigits).join(':');
});

export const dateTime: Grammar = grammar('ISO 8601 date', (text) => {
  const parts =
    /^([0-9]{4})(?:-([0-9]{1,2})(?:-([0-9]{1,2})(?:T([0-9]{1,2})(?::([0-9]{1,2})(?::([0-9]{1,2}))?)?)?)?)?$/.exec(text);
  if (parts === null) return null;
  const [year, month, day, hours, minutes, seconds] = [
    parts[1],
    ...[parts[2] ?? 1, parts[3] ?? 1, parts[4] ?? 0, parts[5] ?? 0, parts[6] ?? 0].map((part) =>
      twoDigits(Number(part)),
    ),
  ];
  return `${year}-${month}-${day}T${hours}:${minutes}:${seconds}`;
});

function twoDigits(value: number): string {
  return String(value).padStart(2, '0');
}

export const monthDays: Grammar = numberSet('day of month list', 1, 31);

export const weekDays: Grammar = flags('weekday list', ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'], {
  aliases: {
    1: 'Mon',
    2: 'Tue',
    3: 'Wed',
    4: 'Thu',
    5: 'Fri',
    6: 'Sat',
    7: 'Sun',
    mo: 'Mon',
    tu: 'Tue',
    we: 'Wed',
    th: 'Thu',
    fr: 'Fri',
    sa: 'Sat',
    su: 'Sun',
  },
});

const CHUNKS: readonly (readonly [string, number])[] = [
  ['DATA', 0],
  ['INIT', 1],
  ['INIT_ACK', 2],
  ['SACK', 3],
  ['HEARTBEAT', 4],
  ['HEARTBEAT_ACK', 5],
  ['ABORT', 6],
  ['SHUTDOWN', 7],
  ['SHUTDOWN_ACK', 8],
  ['ERROR', 9],
  ['COOKIE_ECHO', 10],
  ['COOKIE_ACK', 11],
  ['ECN_ECNE', 12],
  ['ECN_CWR', 13],
  ['SHUTDOWN_COMPLETE', 14],
  ['I_DATA', 64],
  ['ASCONF_ACK', 128],
  ['RE_CONFIG', 130],
  ['PAD', 132],
  ['FORWARD_TSN', 192],
  ['ASCONF', 193],
  ['I_FORWARD_TSN', 194],
];
const CHUNK_NUMBERS = new Map(CHUNKS);

/** The flags in the order of their bits; one that is asked for set and unset (`Bb`) is asked for set. */
const CHUNK_FLAGS = 'IUBET';

function printChunk(name: string, chunkFlags: string): string {
  if (chunkFlags === '') return name;
  const asked = [...new Set(chunkFlags)].filter((flag) => {
    const whenSet = flag.toUpperCase();
    return flag === whenSet || !chunkFlags.includes(whenSet);
  });
  asked.sort((a, b) => CHUNK_FLAGS.indexOf(a.toUpperCase()) - CHUNK_FLAGS.indexOf(b.toUpperCase()));
  return `${name}:${asked.join('')}`;
}

export const sctpChunks: Grammar = grammar(
  'chunk[:flags][,…]',
  (text) => {
    if (/^(?:ALL|NONE)$/i.test(text)) return text.toUpperCase();
    const chunks = text.split(',').map((part) => {
      const [name = '', ...rest] = part.split(':');
      return { name: name.toUpperCase(), chunkFlags: rest.join(':') };
    });
    if (chunks.some(({ name, chunkFlags }) => !CHUNK_NUMBERS.has(name) || !/^[a-zA-Z]*$/.test(chunkFlags))) return null;
    chunks.sort((a, b) => (CHUNK_NUMBERS.get(a.name) ?? 0) - (CHUNK_NUMBERS.get(b.name) ?? 0));
    return chunks.map(({ name, chunkFlags }) => printChunk(name, chunkFlags)).join(',');
  },
  (canonical) => canonical.split(','),
);

/** `5kbit`, `1000bps`: a bit rate, with binary and decimal units; comes back in bits. */
export const rateestBytes: Grammar = grammar('rate with unit', (text) => {
  const parts =
    /^([0-9]+(?:\.[0-9]+)?)(bit|kibit|kbit|mibit|mbit|gibit|gbit|tibit|tbit|bps|kibps|kbps|mibps|mbps|gibps|gbps|tibps|tbps)?$/i.exec(
      text,
    );
  if (parts === null) return null;
  const unit = (parts[2] ?? 'bit').toLowerCase();
  const scale = { k: 1, m: 2, g: 3, t: 4 }[unit[0] as string] ?? 0;
  const factor = (unit[1] === 'i' && scale > 0 ? 1024 : 1000) ** scale;
  const bits = Number(parts[1]) * factor * (unit.endsWith('bps') ? 8 : 1);
  const whole = Math.floor(bits / 8) * 8;
  if (whole >= 1e9) return `${Math.round(whole / 1e6)}Mbit`;
  if (whole >= 1e6) return `${Math.round(whole / 1e3)}Kbit`;
  return `${whole}bit`;
});

const MICROSECONDS: Readonly<Record<string, number>> = { s: 1e6, sec: 1e6, secs: 1e6, ms: 1e3, msec: 1e3, msecs: 1e3 };

/** A time with a unit, microseconds without one, as the RATEEST target prints it: `250.0ms`, `4.0s`. */
export const estimatorTime: Grammar = grammar('time with unit', (text) => {
  const parts = /^([0-9]+(?:\.[0-9]+)?)(s|sec|secs|ms|msec|msecs|us|usec|usecs)?$/.exec(text);
  if (parts === null) return null;
  const time = Math.floor(Number(parts[1]) * (MICROSECONDS[parts[2] ?? 'us'] ?? 1));
  if (time >= 1e6) return `${(time / 1e6).toFixed(1)}s`;
  return time >= 1e3 ? `${(time / 1e3).toFixed(1)}ms` : `${time}us`;
});

const U32 = /0[xX][0-9a-fA-F]+|[0-9]+|&&|<<|>>|[&@=,:]/y;

/** u32's tests: blanks dropped and every number in hexadecimal, as the tools print them. */
export const u32Tests: Grammar = {
  ...grammar('tests', (text) => {
    let printed = '';
    const compact = text.replace(/\s+/g, '');
    U32.lastIndex = 0;
    for (let at = 0; at < compact.length; at = U32.lastIndex) {
      const part = U32.exec(compact)?.[0];
      if (part === undefined) return null;
      if (!/^[0-9]/.test(part)) {
        printed += part;
        continue;
      }
      const number = readUnsigned(part, 0xffffffff);
      if (number === null) return null;
      printed += printHex(number);
    }
    return printed.replace(/(0x[0-9a-f]+):(0x[0-9a-f]+)/g, (whole, low, high) => (low === high ? low : whole));
  }),
  quote: (value) => `"${value}"`,
};

/** Options of an IPv6 header: `type[:length]`, in the order they must appear. */
export const ipv6Options: Grammar = grammar(
  'type[:length][,…]',
  (text) => {
    const printed = text.split(',').map((part) => {
      const [type = '', length] = part.split(':');
      const number = readUnsigned(type, 255);
      const size = length === undefined ? 0 : readUnsigned(length, 255);
      if (number === null || size === null) return null;
      return length === undefined || size === 255 ? String(number) : `${number}:${size}`;
    });
    return printed.includes(null) ? null : printed.join(',');
  },
  (canonical) => canonical.split(','),
);

export const ipv6Headers: Grammar = flags(
  'header list',
  ['hop-by-hop', 'ipv6-opts', 'ipv6-route', 'ipv6-frag', 'ah', 'esp', 'ipv6-nonxt', 'protocol'],
  {
    aliases: {
      hop: 'hop-by-hop',
      dst: 'ipv6-opts',
      route: 'ipv6-route',
      frag: 'ipv6-frag',
      auth: 'ah',
      none: 'ipv6-nonxt',
      prot: 'protocol',
      0: 'hop-by-hop',
      60: 'ipv6-opts',
      43: 'ipv6-route',
      44: 'ipv6-frag',
      51: 'ah',
      50: 'esp',
      59: 'ipv6-nonxt',
      255: 'protocol',
    },
  },
);

const MOBILITY_TYPES: ReadonlyMap<string, number> = new Map([
  ['binding-refresh-request', 0],
  ['brr', 0],
  ['home-test-init', 1],
  ['hoti', 1],
  ['careof-test-init', 2],
  ['coti', 2],
  ['home-test', 3],
  ['hot', 3],
  ['careof-test', 4],
  ['cot', 4],
  ['binding-update', 5],
  ['bu', 5],
  ['binding-acknowledgement', 6],
  ['ba', 6],
  ['binding-error', 7],
  ['be', 7],
]);

export const mobilityType: Grammar = range(
  'type[:type]',
  255,
  (value) => readUnsigned(value, 255) ?? MOBILITY_TYPES.get(value.toLowerCase()) ?? null,
);

/** connbytes: `from` when there is no end, else `from:to`; 64-bit numbers. */
export const byteRange: Grammar = grammar('from[:to]', (text) => {
  const colon = text.indexOf(':');
  const low = colon === 0 ? 0n : readUnsigned64(colon === -1 ? text : text.slice(0, colon));
  const open = colon === -1 || colon === text.length - 1;
  const high = open ? UINT64_MAX : readUnsigned64(text.slice(colon + 1));
  if (low === null || high === null || low > high) return null;
  return high === UINT64_MAX ? String(low) : `${low}:${high}`;
});

const UINT64_MAX = 0xffffffffffffffffn;

/** The device group and the routing realm that every host names alike; other names are the host's own. */
function numberOrName(kind: string, zero: string): Grammar {
  return grammar(kind, (text) => {
    const mark = readMasked(text);
    if (mark === null) return /^[A-Za-z][-\w]*$/.test(text) ? text : null;
    if (mark.mask !== 0xffffffff) return `${printHex(mark.value)}/${printHex(mark.mask)}`;
    return mark.value === 0 ? zero : printHex(mark.value);
  });
}

export const deviceGroup: Grammar = numberOrName('group[/mask]', 'default');
export const realm: Grammar = numberOrName('realm[/mask]', 'cosmos');

/** connlimit: a prefix length, or a mask that has one. */
export const prefixOrMask: Grammar = {
  kind: 'prefix length',
  canonical: (text, family) => {
    if (family === 'ipv4') {
      const mask = readIpv4Mask(text);
      const prefix = mask === null ? null : maskPrefix(mask);
      return prefix === null ? null : String(prefix);
    }
    const mask = readIpv6Mask(text);
    const prefix = mask === null ? null : ipv6MaskPrefix(mask);
    return prefix === null ? null : String(prefix);
  },
  typed: Number,
};

/** A label by name or by number, saved in quotes either way. */
export const label: Grammar = {
  kind: 'label',
  canonical: (text) => {
    const number = readUnsigned(text, 127);
    return number === null ? text : String(number);
  },
  typed: (canonical) => canonical,
  quote: (value) => `"${value}"`,
};

export const addressList: Grammar = {
  kind: 'address[,address…]',
  canonical: (text, family) => {
    const addresses = text.split(',').map((part) => canonicalAddress(part, family));
    return addresses.includes(null) ? null : addresses.join(',');
  },
  typed: (canonical) => canonical.split(','),
};
