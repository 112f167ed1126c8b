import { isJsonArray, type Json } from '../../core/json.ts';

/** Items that are made while they are written: a list of a hundred thousand rules is never there as a whole. */
export class LazyList {
  readonly items: () => Iterable<Json>;

  constructor(items: () => Iterable<Json>) {
    this.items = items;
  }
}

export type LazyJson = Json | LazyList | { readonly [key: string]: LazyJson };

/**
 * JSON in pieces that join to what `JSON.stringify(value, null, indent)` gives, control and direction characters beyond
 * ASCII escaped as well: a terminal obeys some of those.
 *
 * @param indent  blanks a level; 0 writes one line
 */
export function* jsonText(value: LazyJson, indent: number): Generator<string> {
  yield* pieces(value, indent, '');
  yield '\n';
}

function* pieces(value: LazyJson, indent: number, margin: string): Generator<string> {
  const inner = margin + ' '.repeat(indent);
  const newline = indent === 0 ? '' : `\n${inner}`;
  const end = indent === 0 ? '' : `\n${margin}`;
  if (value instanceof LazyList || (typeof value === 'object' && value !== null && isJsonArray(value as Json))) {
    const items = value instanceof LazyList ? value.items() : (value as readonly Json[]);
    let separator = '[';
    for (const item of items) {
      yield `${separator}${newline}${leaf(item, indent, inner)}`;
      separator = ',';
    }
    yield separator === '[' ? '[]' : `${end}]`;
  } else if (typeof value === 'object' && value !== null) {
    const colon = indent === 0 ? ':' : ': ';
    let separator = '{';
    for (const [key, member] of Object.entries(value)) {
      yield `${separator}${newline}${leaf(key, 0, '')}${colon}`;
      yield* pieces(member, indent, inner);
      separator = ',';
    }
    yield separator === '{' ? '{}' : `${end}}`;
  } else {
    yield leaf(value as Json, indent, margin);
  }
}

function leaf(value: Json, indent: number, margin: string): string {
  const text = JSON.stringify(value, null, indent).replace(UNPRINTABLE, escapeCharacter);
  // A line break in JSON text is never part of a string.
  return indent === 0 || margin === '' ? text : text.replaceAll('\n', `\n${margin}`);
}

const UNPRINTABLE = /[\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

function escapeCharacter(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
