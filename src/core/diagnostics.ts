/** What a parser says about odd input. Parsing goes on, and the text it speaks of is kept. */
export interface Diagnostic {
  /** A promise, listed in docs/codes.md: `IPT_UNKNOWN_OPTION`, `NFT_UNKNOWN_STATEMENT`, … */
  readonly code: string;
  readonly severity: 'error' | 'warning' | 'info';
  /** 1-based; 0 when the input has no lines (JSON documents give a path in `message`). */
  readonly line: number;
  /** 1-based column of the first odd character; 0 when unknown. */
  readonly column: number;
  /** At most 120 characters of the odd text, control characters escaped. */
  readonly excerpt: string;
  readonly message: string;
}

const EXCERPT_CHARACTERS_MAX = 120;

/** A short, printable piece of untrusted text for a diagnostic or an error. */
export function excerpt(text: string): string {
  // Escaped, a character takes no less room: of a text of megabytes only its beginning is looked at.
  const shown = printable(text.slice(0, EXCERPT_CHARACTERS_MAX + 1));
  return shown.length <= EXCERPT_CHARACTERS_MAX ? shown : `${shown.slice(0, EXCERPT_CHARACTERS_MAX - 1)}…`;
}

/**
 * Untrusted text made safe for a terminal or a log line: control characters (escape sequences, newlines),
 * bidirectional overrides and tag characters (letters that only programs see) become `\xNN` or `\u{NNNN}`; everything
 * else is left as it is.
 */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
  });
}

const UNPRINTABLE =
  /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\u{e0000}-\u{e007f}]/gu;
