import { printable } from '../core/diagnostics.ts';
import { isJsonArray, type Json, type JsonObject } from '../core/json.ts';

export type Detail = 'summary' | 'full';

/** Bytes of an answer as JSON, at most. */
export const ANSWER_BYTES_MAX: Readonly<Record<Detail, number>> = { summary: 8 * 1024, full: 64 * 1024 };

/** How many entries of each list an answer has, and how long a text in it is. */
interface Measure {
  readonly items: number;
  readonly characters: number;
}

/** From what is wished to what always fits. */
const MEASURES: Readonly<Record<Detail, readonly Measure[]>> = {
  summary: [
    { items: 10, characters: 300 },
    { items: 5, characters: 200 },
    { items: 3, characters: 160 },
    { items: 2, characters: 120 },
    { items: 1, characters: 80 },
    { items: 0, characters: 40 },
  ],
  full: [
    { items: 1000, characters: 1000 },
    { items: 300, characters: 500 },
    { items: 100, characters: 300 },
    { items: 30, characters: 300 },
    { items: 10, characters: 200 },
    { items: 3, characters: 100 },
    { items: 0, characters: 40 },
  ],
};

/**
 * An answer that fits: lists are cut from their end and texts clipped until it does, the same everywhere, and
 * `truncated` says whether anything was. Texts are escaped: they may come from a firewall, where strangers write.
 *
 * @param kept  members that are ours, and stay as they are
 */
export function boundAnswer(answer: JsonObject, kept: JsonObject, detail: Detail): JsonObject {
  let bounded: JsonObject = {};
  for (const measure of MEASURES[detail]) {
    const cutter = new Cutter(measure);
    const cut = cutter.object(answer);
    // Ours first for the reader, and last so that nothing of a firewall takes their place.
    bounded = { ...kept, ...cut, ...kept, truncated: cutter.truncated };
    if (Buffer.byteLength(JSON.stringify(bounded)) <= ANSWER_BYTES_MAX[detail]) break;
  }
  return bounded;
}

class Cutter {
  truncated = false;
  readonly #measure: Measure;

  constructor(measure: Measure) {
    this.#measure = measure;
  }

  object(value: JsonObject): JsonObject {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, this.#cut(member)]));
  }

  #cut(value: Json): Json {
    if (typeof value === 'string') return this.#clip(value);
    if (value === null || typeof value !== 'object') return value;
    if (!isJsonArray(value)) return this.object(value);
    if (value.length > this.#measure.items) this.truncated = true;
    return value.slice(0, this.#measure.items).map((item) => this.#cut(item));
  }

  #clip(text: string): string {
    const { characters } = this.#measure;
    // Only what is shown is escaped: a text may be a megabyte.
    const shown = printable(text.slice(0, characters));
    if (text.length <= characters && shown.length <= characters * 2) return shown;
    this.truncated = true;
    return `${shown.slice(0, characters - 1)}…`;
  }
}
