import type { Json } from '../json.ts';

/**
 * The statement that nft 1.0.6 prints as text where its JSON printer lacks the kind (`add @seen { ip saddr : 0x1 }`),
 * as later versions print it; null for what this does not read, such as a chain within a rule.
 */
export function parseStatementText(text: string): Json | null {
  const match = /^(add|update|delete) @([^\s{}]+) \{ ([^{}]*) \}$/.exec(text);
  const [, op, map, inner] = match ?? [];
  const colon = inner?.indexOf(' : ') ?? -1;
  if (op === undefined || map === undefined || inner === undefined || colon === -1) return null;
  const timed = / timeout (\S+)$/.exec(inner.slice(0, colon));
  const key = parseConcatenation(timed === null ? inner.slice(0, colon) : inner.slice(0, timed.index));
  const data = parseConcatenation(inner.slice(colon + 3));
  if (key === null || data === null) return null;
  const timeout = timed === null ? null : parseDuration(timed[1] as string);
  if (timed !== null && timeout === null) return null;
  return { map: { op, elem: timeout === null ? key : { elem: { val: key, timeout } }, data, map: `@${map}` } };
}

function parseConcatenation(text: string): Json | null {
  const parts: Json[] = [];
  for (const part of text.split(' . ')) {
    const parsed = parsePart(part.trim());
    if (parsed === null) return null;
    parts.push(parsed);
  }
  return parts.length === 1 ? (parts[0] as Json) : { concat: parts };
}

function parsePart(text: string): Json | null {
  const words = text.split(' ');
  const [first = '', second, third] = words;
  if (words.length === 3 && second === '[invalid' && third === 'type]') return dottedQuad(first);
  if (words.length === 1) return parseLiteral(first);
  if (words.length === 2 && first === 'meta') return { meta: { key: second as string } };
  if (words.length === 2 && first === 'ct') return { ct: { key: second as string } };
  if (words.length === 3 && first === 'ct') return { ct: { key: third as string, dir: second as string } };
  if (words.length === 2 && PROTOCOLS.has(first)) return { payload: { protocol: first, field: second as string } };
  return null;
}

const PROTOCOLS: ReadonlySet<string> = new Set(
  'ether vlan arp ip ip6 icmp icmpv6 igmp tcp udp udplite sctp dccp ah esp comp th'.split(' '),
);

function parseLiteral(text: string): Json | null {
  if (/^0x[0-9a-f]+$/.test(text)) return Number.parseInt(text, 16);
  if (/^\d+$/.test(text)) return Number(text);
  if (/^[0-9a-fA-F.:]+$/.test(text)) return text;
  return /^"[^"]*"$/.test(text) ? text.slice(1, -1) : null;
}

/** 1.0.6 forgets that a key is an address, and says so: `0xa020304 [invalid type]`. */
function dottedQuad(hex: string): Json | null {
  if (!/^0x[0-9a-f]{1,8}$/.test(hex)) return null;
  const value = Number.parseInt(hex, 16);
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 255).join('.');
}

/** `1m30s` in seconds. */
function parseDuration(text: string): number | null {
  const match = /^(?:(\d+)w)?(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?$/.exec(text);
  if (match === null || text === '') return null;
  return [604800, 86400, 3600, 60, 1].reduce((sum, unit, index) => sum + unit * Number(match[index + 1] ?? 0), 0);
}
