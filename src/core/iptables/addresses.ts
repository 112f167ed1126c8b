/** IPv4 and IPv6 addresses as the tools read and print them. */

const DECIMAL = /^(?:0[xX][0-9a-fA-F]+|[0-9]+)$/;

/** Decimal digits without a leading zero, as a number: what the tools print. -1 for anything else, or above `max`. */
export function plainUnsigned(text: string, max: number): number {
  const length = text.length;
  if (length === 0 || length > 10) return -1;
  let value = 0;
  for (let at = 0; at < length; at += 1) {
    const digit = text.charCodeAt(at) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value > max || (length > 1 && text.charCodeAt(0) === 48) ? -1 : value;
}

/** A number as the tools take it: decimal, `0x` hexadecimal, or octal with a leading zero. null outside of 0…max. */
export function readUnsigned(text: string, max: number): number | null {
  const plain = plainUnsigned(text, max);
  if (plain !== -1) return plain;
  if (text.length > 24 || !DECIMAL.test(text)) return null;
  let value: number;
  if (text.length > 1 && text.charCodeAt(0) === 48) {
    const second = text.charCodeAt(1);
    if (second === 120 || second === 88) value = Number.parseInt(text.slice(2), 16);
    else if (/[89]/.test(text)) return null;
    else value = Number.parseInt(text, 8);
  } else {
    value = Number(text);
  }
  return value <= max ? value : null;
}

/** An IPv4 address as a number; `10` and `10.1` are completed with zeros, as iptables does for networks. */
export function readIpv4(text: string): number | null {
  const octets = text.split('.');
  if (octets.length > 4) return null;
  let value = 0;
  for (let index = 0; index < 4; index += 1) {
    const octet = octets[index];
    const number = octet === undefined ? 0 : readUnsigned(octet, 255);
    if (number === null) return null;
    value = value * 256 + number;
  }
  return value;
}

export function printIpv4(value: number): string {
  return `${Math.floor(value / 0x1000000)}.${(value >>> 16) & 255}.${(value >>> 8) & 255}.${value & 255}`;
}

/** The prefix length of a contiguous mask, else null. */
export function maskPrefix(mask: number): number | null {
  const hosts = ~mask >>> 0;
  if ((hosts & (hosts + 1)) !== 0) return null;
  return 32 - (hosts === 0 ? 0 : 32 - Math.clz32(hosts));
}

function prefixMask(prefix: number): number {
  return prefix === 0 ? 0 : (0xffffffff << (32 - prefix)) >>> 0;
}

const CANONICAL_IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)$/;

/** `10.1.2.3`, `10/8`, `10.0.0.1/255.0.0.255` as iptables-save prints them; null when it is no such address. */
export function canonicalIpv4Network(text: string): string | null {
  if (isPlainIpv4Network(text)) return text;
  const slash = text.indexOf('/');
  const address = readIpv4(slash === -1 ? text : text.slice(0, slash));
  if (address === null) return null;
  let mask = 0xffffffff;
  if (slash !== -1) {
    const read = readIpv4Mask(text.slice(slash + 1));
    if (read === null) return null;
    mask = read;
  }
  const prefix = maskPrefix(mask);
  return `${printIpv4((address & mask) >>> 0)}/${prefix === null ? printIpv4(mask) : prefix}`;
}

/** Whether the text is `a.b.c.d/n` just as the tools print it: the commonest value of all, told without copies. */
function isPlainIpv4Network(text: string): boolean {
  let at = 0;
  let address = 0;
  for (let octet = 0; octet < 4; octet += 1) {
    const first = at;
    let value = 0;
    let digit = text.charCodeAt(at) - 48;
    while (digit >= 0 && digit <= 9) {
      value = value * 10 + digit;
      at += 1;
      digit = text.charCodeAt(at) - 48;
    }
    const length = at - first;
    if (length === 0 || length > 3 || value > 255 || (length > 1 && text.charCodeAt(first) === 48)) return false;
    if (text.charCodeAt(at) !== (octet === 3 ? 47 : 46)) return false;
    at += 1;
    address = address * 256 + value;
  }
  const digits = text.length - at;
  const tens = text.charCodeAt(at) - 48;
  const units = text.charCodeAt(at + 1) - 48;
  let prefix = -1;
  if (digits === 1) prefix = tens;
  else if (digits === 2 && tens >= 1 && units >= 0 && units <= 9) prefix = tens * 10 + units;
  if (prefix < 0 || prefix > 32) return false;
  return (address & prefixMask(prefix)) >>> 0 === address;
}

/** `24` or `255.255.255.0` as a number. */
export function readIpv4Mask(text: string): number | null {
  if (text.includes('.')) return text.split('.').length === 4 ? readIpv4(text) : null;
  const prefix = readUnsigned(text, 32);
  return prefix === null ? null : prefixMask(prefix);
}

/** The eight groups of an IPv6 address, or null. */
export function readIpv6(text: string): number[] | null {
  if (text.length > 45 || !/^[0-9a-fA-F:.]+$/.test(text)) return null;
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const head = readGroups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? readGroups(halves[1] ?? '', true) : [];
  if (head === null || tail === null) return null;
  if (halves.length === 1) return head.length === 8 ? head : null;
  const missing = 8 - head.length - tail.length;
  if (missing < 1) return null;
  return [...head, ...new Array<number>(missing).fill(0), ...tail];
}

function readGroups(text: string, atEnd: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const ipv4 = atEnd && index === parts.length - 1 && CANONICAL_IPV4.test(part) ? readIpv4(part) : null;
      if (ipv4 === null) return null;
      groups.push(Math.floor(ipv4 / 65536), ipv4 & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

/** As inet_ntop prints it: lower case, the first longest run of zero groups as `::`, IPv4-mapped with dots. */
export function printIpv6(groups: readonly number[]): string {
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length += 1;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
    start += length;
  }
  const dotted = bestStart === 0 && (bestLength === 6 || (bestLength === 5 && groups[5] === 0xffff));
  const end = dotted ? 6 : 8;
  let text = '';
  for (let index = 0; index < end; index += 1) {
    if (index === bestStart) {
      text += '::';
      index += bestLength - 1;
    } else {
      if (text !== '' && !text.endsWith(':')) text += ':';
      text += (groups[index] as number).toString(16);
    }
  }
  if (!dotted) return text;
  const ipv4 = (groups[6] as number) * 65536 + (groups[7] as number);
  return `${text.endsWith(':') ? text : `${text}:`}${printIpv4(ipv4)}`;
}

/** As `canonicalIpv4Network`, for IPv6: always a prefix length, or a mask where the mask has holes. */
export function canonicalIpv6Network(text: string): string | null {
  const slash = text.indexOf('/');
  const groups = readIpv6(slash === -1 ? text : text.slice(0, slash));
  if (groups === null) return null;
  const mask = slash === -1 ? ipv6Mask(128) : readIpv6Mask(text.slice(slash + 1));
  if (mask === null) return null;
  const prefix = ipv6MaskPrefix(mask);
  const network = groups.map((group, index) => group & (mask[index] as number));
  return `${printIpv6(network)}/${prefix === null ? printIpv6(mask) : prefix}`;
}

export function readIpv6Mask(text: string): number[] | null {
  if (text.includes(':')) return readIpv6(text);
  const prefix = readUnsigned(text, 128);
  return prefix === null ? null : ipv6Mask(prefix);
}

function ipv6Mask(prefix: number): number[] {
  return Array.from({ length: 8 }, (_, index) => {
    const bits = Math.min(16, Math.max(0, prefix - index * 16));
    return (0xffff << (16 - bits)) & 0xffff;
  });
}

export function ipv6MaskPrefix(mask: readonly number[]): number | null {
  let prefix = 0;
  while (prefix < 128 && ((mask[prefix >> 4] as number) & (0x8000 >> (prefix & 15))) !== 0) prefix += 1;
  const whole = ipv6Mask(prefix);
  return mask.every((group, index) => group === whole[index]) ? prefix : null;
}
