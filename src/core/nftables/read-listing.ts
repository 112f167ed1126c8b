import { type Diagnostic, excerpt } from '../diagnostics.ts';
import { isJsonArray, isJsonObject, type Json } from '../json.ts';
import { parseExactJson } from './exact-integers.ts';

/** The items of a listing, and what had to be done to read them. */
export interface Listing {
  readonly items: readonly Json[];
  /** Pieces of the text that are no JSON, verbatim. */
  readonly unreadable: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

/**
 * The members of the `nftables` array. Text that is no JSON as a whole (cut off, or with a garbled member as nft 1.0.6
 * prints for table flags) is read item by item: what parses is kept, the rest is returned verbatim with its position.
 */
export function readListing(text: string): Listing {
  let document: Json;
  try {
    document = parseExactJson(text);
  } catch (error) {
    return salvage(text, error instanceof Error ? error.message : String(error));
  }
  const items = isJsonObject(document) ? document['nftables'] : undefined;
  if (items !== undefined && isJsonArray(items)) return { items, unreadable: [], diagnostics: [] };
  return {
    items: [],
    unreadable: [text],
    diagnostics: [
      {
        code: 'NFT_NO_LISTING',
        severity: 'error',
        line: 1,
        column: 1,
        excerpt: excerpt(text.slice(0, 200)),
        message: 'JSON without an "nftables" array: not the output of nft --json list ruleset',
      },
    ],
  };
}

/** A listing with more items that are no JSON is not worth taking apart any further. */
const UNREADABLE_MAX = 1000;

function salvage(text: string, reason: string): Listing {
  const key = text.indexOf('"nftables"');
  const open = key === -1 ? -1 : text.indexOf('[', key);
  const position = positions(text);
  if (open === -1) {
    const start = Math.max(text.search(/\S/), 0);
    return {
      items: [],
      unreadable: text.trim() === '' ? [] : [text],
      diagnostics: [
        {
          code: text.trim() === '' ? 'NFT_EMPTY' : 'NFT_JSON',
          severity: 'error',
          ...position(start),
          excerpt: excerpt(text.slice(start, start + 200)),
          message: text.trim() === '' ? 'no output of nft' : `not JSON: ${excerpt(reason)}`,
        },
      ],
    };
  }
  const items: Json[] = [];
  const unreadable: string[] = [];
  const diagnostics: Diagnostic[] = [];
  let at = open + 1;
  let closed = false;
  let garbled: Json | null = null;
  while (at < text.length) {
    const character = text[at] as string;
    if (character === ']') {
      closed = true;
      break;
    }
    if (character === ',' || /\s/.test(character)) {
      at += 1;
      continue;
    }
    if (unreadable.length >= UNREADABLE_MAX) {
      unreadable.push(text.slice(at));
      diagnostics.push({
        code: 'NFT_JSON',
        severity: 'error',
        ...position(at),
        excerpt: excerpt(text.slice(at, at + 80)),
        message: `${unreadable.length - 1} items are no JSON: what follows is not looked at, and kept as one text`,
      });
      return { items, unreadable, diagnostics };
    }
    const end = itemEnd(text, at);
    const item = text.slice(at, end.at);
    const value = parseItem(item);
    if (value !== undefined) {
      items.push(value);
    } else {
      const repaired = repairTable(item);
      if (!end.complete) garbled = repaired;
      if (repaired !== null) items.push(repaired);
      else unreadable.push(item);
      diagnostics.push({
        code: repaired === null ? 'NFT_JSON_ITEM' : 'NFT_TABLE_FLAGS',
        severity: repaired === null ? 'error' : 'warning',
        ...position(at),
        excerpt: excerpt(item),
        message:
          repaired === null
            ? `an item that is ${end.complete ? 'no JSON' : 'cut off'}: kept as text`
            : 'table flags that nft garbled: read as "unreadable"',
      });
    }
    at = Math.max(end.at, at + 1);
  }
  if (!closed) {
    diagnostics.push({
      code: 'NFT_JSON_TRUNCATED',
      severity: 'error',
      ...position(text.length),
      excerpt: excerpt(text.slice(-80)),
      message:
        garbled === null
          ? `the listing ends after ${items.length} readable items without closing: what follows is missing`
          : `the listing ends at table ${tableName(garbled)}, whose flag nft garbled (dormant, most likely: its rules are off): what follows is missing; look with nft list ruleset`,
    });
  } else if (!/^\s*\}?\s*$/.test(text.slice(at + 1))) {
    // A second listing may be in it: neither of the two is the whole.
    const start = at + 1 + (/^\s*\}?\s*/.exec(text.slice(at + 1))?.[0].length ?? 0);
    unreadable.push(text.slice(start));
    diagnostics.push({
      code: 'NFT_JSON',
      severity: 'error',
      ...position(start),
      excerpt: excerpt(text.slice(start, start + 80)),
      message: 'text behind the end of the listing: kept as text',
    });
  } else if (diagnostics.length === 0) {
    diagnostics.push({
      code: 'NFT_JSON',
      severity: 'warning',
      ...position(at),
      excerpt: excerpt(text.slice(at, at + 80)),
      message: `every item reads, but the text around them is no JSON: ${excerpt(reason)}`,
    });
  }
  return { items, unreadable, diagnostics };
}

function parseItem(text: string): Json | undefined {
  try {
    return parseExactJson(text);
  } catch {
    // Not JSON: the caller keeps the text and says so.
    return undefined;
  }
}

/** Where the item that starts at `start` ends: its bracket's partner, or the end of a bare token, or of the text. */
function itemEnd(text: string, start: number): { at: number; complete: boolean } {
  let depth = 0;
  let inString = false;
  for (let at = start; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (inString) {
      if (code === BACKSLASH) at += 1;
      else if (code === QUOTE) {
        inString = false;
        if (depth === 0) return { at: at + 1, complete: true };
      }
    } else if (code === QUOTE) {
      inString = true;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      depth += 1;
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      if (depth === 0) return { at, complete: true };
      depth -= 1;
      if (depth === 0) return { at: at + 1, complete: true };
    } else if (code === COMMA && depth === 0) {
      return { at, complete: true };
    }
  }
  return { at: text.length, complete: false };
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;

const TABLE_ITEM = /^\{\s*"table"\s*:\s*\{/;
const GARBLED_FLAGS = /"flags"\s*:(?!\s*[["])/;
const GARBLED_CHARACTERS_MAX = 4096;

/**
 * A table whose only flag nft 1.0.6 printed as freed memory; where that is no UTF-8 its output stops there. Null for
 * anything else. In steps, since one expression for all of it would try a run of blanks in every way there is.
 */
function repairTable(item: string): Json | null {
  const head = item.length <= GARBLED_CHARACTERS_MAX ? TABLE_ITEM.exec(item)?.[0] : undefined;
  if (head === undefined) return null;
  const close = item.indexOf('}', head.length);
  const end = close === -1 ? '' : item.slice(close + 1).trim();
  const body = item.slice(head.length, close === -1 ? undefined : close);
  const flags = GARBLED_FLAGS.exec(body)?.index;
  if (flags === undefined || body.includes('{') || !['', '}'].includes(end)) return null;
  const members = body.slice(0, flags).trimEnd().replace(/,$/, '');
  if (/[[\]]/.test(members)) return null;
  return parseItem(`${head}${members}, "flags": "unreadable"}}`) ?? null;
}

function tableName(item: Json): string {
  const table = isJsonObject(item) ? item['table'] : null;
  return isJsonObject(table) ? excerpt(`${table['family']} ${table['name']}`) : '';
}

/** Offsets to 1-based lines and columns; offsets are asked in ascending order. */
function positions(text: string): (offset: number) => { line: number; column: number } {
  let line = 1;
  let lineStart = 0;
  let next = text.indexOf('\n');
  return (offset) => {
    while (next !== -1 && next < offset) {
      line += 1;
      lineStart = next + 1;
      next = text.indexOf('\n', lineStart);
    }
    return { line, column: offset - lineStart + 1 };
  };
}
