import type { Json } from '../json.ts';

/**
 * The kernel counts in 64 bits, and a raw payload match compares as many: beyond 2^53 - 1 a number of JSON.parse is
 * another one. Such an integer is read as a string of its digits, so that rules that differ in it differ.
 */
export function parseExactJson(text: string): Json {
  return JSON.parse(hasLongDigits(text) ? quoteUnsafeIntegers(text) : text) as Json;
}

/** Whether a value is an integer that was read as a string, because no number holds it. */
export function isExactInteger(value: Json): value is string {
  return typeof value === 'string' && EXACT_INTEGER.test(value) && !Number.isSafeInteger(Number(value));
}

/** Members that nft takes as numbers only. Everywhere else it reads the digits of a string as the number. */
const NUMBERS_ONLY: ReadonlySet<string> = new Set(['packets', 'bytes', 'used', 'val', 'rate', 'burst']);

/** As JSON.stringify, with integers that were read as strings where nft wants a number. */
export function printExactJson(value: Json): string {
  return JSON.stringify(value, (key, member: Json) =>
    NUMBERS_ONLY.has(key) && isExactInteger(member) ? rawJson(member) : member,
  );
}

// In Node since 21, and not yet in the types.
const { rawJSON: rawJson } = JSON as unknown as { readonly rawJSON: (text: string) => unknown };

const DIGITS_MIN = 16;
const EXACT_INTEGER = /^-?\d{16,}$/;
const INTEGER_END = /[^-\d]/g;
const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Whether so many digits stand in a row that they may be more than a number holds. Looks at one character of 16. */
function hasLongDigits(text: string): boolean {
  for (let at = DIGITS_MIN - 1; at < text.length; at += DIGITS_MIN) {
    if (!isDigit(text.charCodeAt(at))) continue;
    let [first, last] = [at, at];
    while (isDigit(text.charCodeAt(first - 1))) first -= 1;
    while (isDigit(text.charCodeAt(last + 1))) last += 1;
    if (last - first + 1 >= DIGITS_MIN) return true;
  }
  return false;
}

function quoteUnsafeIntegers(text: string): string {
  const pieces: string[] = [];
  let copied = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      at = stringEnd(text, at + 1);
    } else if (isDigit(code) || code === 0x2d) {
      INTEGER_END.lastIndex = at;
      const end = INTEGER_END.exec(text)?.index ?? text.length;
      const digits = text.slice(at, end);
      // A fraction or an exponent is no integer of nft's.
      if (isExactInteger(digits) && !/[.eE]/.test(text.charAt(end)) && text.charAt(at - 1) !== '.') {
        pieces.push(text.slice(copied, at), `"${digits}"`);
        copied = end;
      }
      at = end - 1;
    }
  }
  pieces.push(text.slice(copied));
  return pieces.join('');
}

/** Where the quotation mark stands that ends a string. */
function stringEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && text.charCodeAt(at) !== QUOTE) at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}

function isDigit(code: number): boolean {
  return code >= 0x30 && code <= 0x39;
}
