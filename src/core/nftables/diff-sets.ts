import { isJsonArray, isJsonObject, type Json } from '../json.ts';
import { canonicalMembers, canonicalValue } from './canonical.ts';
import type { NftSet } from './model.ts';

export interface ElementDiff {
  readonly added: readonly Json[];
  readonly removed: readonly Json[];
  readonly changed: readonly { readonly before: Json; readonly after: Json }[];
}

const NO_ELEMENT_DIFF: ElementDiff = { added: [], removed: [], changed: [] };

/** Elements by their value; timeouts, comments, statements and, in a map, the data are what can change. Linear. */
export function diffElements(baseline: NftSet, current: NftSet): ElementDiff {
  const rest = withoutEqualInOrder(baseline.elements, current.elements);
  if (rest === null) return NO_ELEMENT_DIFF;
  const isMap = baseline.kind === 'map';
  const isMapNow = current.kind === 'map';
  const before = new ElementBag(rest.baseline, isMap);
  const added: Json[] = [];
  const changed: { before: Json; after: Json }[] = [];
  const isLeft = (element: Json): boolean => !before.takeEqual(element);
  for (const element of before.hasRepeats ? rest.current.filter(isLeft) : rest.current) {
    const old = before.take(keyOf(element, isMapNow));
    if (old === undefined) added.push(element);
    else if (isScalar(old) && isScalar(element)) continue;
    else if (elementContent(old, isMap) !== elementContent(element, isMapNow))
      changed.push({ before: old, after: element });
  }
  return { added, removed: before.left(), changed };
}

type ElementKey = string | number | boolean;

/** Elements by key. The kernel lists no value twice; a listing that does is compared by count. */
class ElementBag {
  readonly #single = new Map<ElementKey, Json>();
  /** Of values listed several times, all elements by their content. */
  readonly #repeated = new Map<ElementKey, Map<string, Json[]>>();
  readonly #isMap: boolean;

  constructor(elements: readonly Json[], isMap: boolean) {
    this.#isMap = isMap;
    for (const element of elements) {
      const key = keyOf(element, isMap);
      const first = this.#single.get(key);
      if (this.#repeated.has(key)) this.#repeat(key, element);
      else if (first === undefined) this.#single.set(key, element);
      else {
        this.#single.delete(key);
        this.#repeat(key, first);
        this.#repeat(key, element);
      }
    }
  }

  get hasRepeats(): boolean {
    return this.#repeated.size > 0;
  }

  /** Of the elements of a repeated value, takes one that is equal in all; whether there was one. */
  takeEqual(element: Json): boolean {
    const content = elementContent(element, this.#isMap);
    return this.#pop(this.#repeated.get(keyOf(element, this.#isMap)), content) !== undefined;
  }

  take(key: ElementKey): Json | undefined {
    const repeated = this.#repeated.get(key);
    if (repeated !== undefined) {
      const [content] = repeated.keys();
      return content === undefined ? undefined : this.#pop(repeated, content);
    }
    const single = this.#single.get(key);
    if (single !== undefined) this.#single.delete(key);
    return single;
  }

  left(): Json[] {
    return [
      ...this.#single.values(),
      ...[...this.#repeated.values()].flatMap((byContent) => [...byContent.values()].flat()),
    ];
  }

  #repeat(key: ElementKey, element: Json): void {
    const byContent = this.#repeated.get(key) ?? new Map<string, Json[]>();
    this.#repeated.set(key, byContent);
    const content = elementContent(element, this.#isMap);
    const list = byContent.get(content);
    if (list === undefined) byContent.set(content, [element]);
    else list.push(element);
  }

  #pop(byContent: Map<string, Json[]> | undefined, content: string): Json | undefined {
    const list = byContent?.get(content);
    const element = list?.pop();
    if (list?.length === 0) byContent?.delete(content);
    return element;
  }
}

/** How far apart equal elements are looked for before both sides are left to the bag. */
const LOOK_AHEAD = 8;

/**
 * What is left of two lists when elements that are equal and in the same order are taken out: an unchanged set of a
 * million elements needs no bag. Null when nothing is.
 */
function withoutEqualInOrder(
  baseline: readonly Json[],
  current: readonly Json[],
): { readonly baseline: readonly Json[]; readonly current: readonly Json[] } | null {
  const left: Json[] = [];
  const right: Json[] = [];
  let from = 0;
  let to = 0;
  while (from < baseline.length && to < current.length) {
    if (sameJson(baseline[from] as Json, current[to] as Json)) {
      from += 1;
      to += 1;
      continue;
    }
    let skipFrom = 1;
    let skipTo = 1;
    for (let ahead = 1; ahead <= LOOK_AHEAD; ahead += 1) {
      if (from + ahead < baseline.length && sameJson(baseline[from + ahead] as Json, current[to] as Json)) {
        skipFrom = ahead;
        skipTo = 0;
        break;
      }
      if (to + ahead < current.length && sameJson(baseline[from] as Json, current[to + ahead] as Json)) {
        skipFrom = 0;
        skipTo = ahead;
        break;
      }
    }
    for (const end = from + skipFrom; from < end; from += 1) left.push(baseline[from] as Json);
    for (const end = to + skipTo; to < end; to += 1) right.push(current[to] as Json);
  }
  for (; from < baseline.length; from += 1) left.push(baseline[from] as Json);
  for (; to < current.length; to += 1) right.push(current[to] as Json);
  return left.length + right.length === 0 ? null : { baseline: left, current: right };
}

/** Equal to the letter. Elements are shallow (see the parser). */
function sameJson(a: Json, b: Json): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  if (isJsonArray(a)) {
    if (!isJsonArray(b) || a.length !== b.length) return false;
    for (let index = 0; index < a.length; index += 1) if (!sameJson(a[index] as Json, b[index] as Json)) return false;
    return true;
  }
  if (isJsonArray(b)) return false;
  let members = 0;
  for (const key in a) {
    const other = b[key];
    if (other === undefined || !sameJson(a[key] as Json, other)) return false;
    members += 1;
  }
  for (const _ in b) members -= 1;
  return members === 0;
}

function isScalar(element: Json): boolean {
  return element === null || typeof element !== 'object';
}

/** The canonical text of an element's value; a scalar stands for itself where that cannot be mistaken for one. */
function keyOf(element: Json, isMap: boolean): ElementKey {
  if (typeof element === 'number' || typeof element === 'boolean') return element;
  if (typeof element === 'string' && !/^["{[]/.test(element)) return element;
  const value = elementValue(element, isMap);
  if (value === null) return '{null}';
  return isScalar(value) && value !== element ? keyOf(value, false) : canonicalValue(value);
}

/** An element's value, without what it carries. */
function elementValue(element: Json, isMap: boolean): Json {
  const key = keyPart(element, isMap);
  return (isJsonObject(key) && isJsonObject(key['elem']) ? key['elem']['val'] : key) ?? null;
}

const ELEMENT_VALUE: ReadonlySet<string> = new Set(['val', 'expires']);

function elementContent(element: Json, isMap: boolean): string {
  const key = keyPart(element, isMap);
  const carried = isJsonObject(key) && isJsonObject(key['elem']) ? canonicalMembers(key['elem'], ELEMENT_VALUE) : '';
  const data = isMap && isJsonArray(element) ? canonicalValue(element[1] ?? null) : '';
  return `${carried}:${data}`;
}

function keyPart(element: Json, isMap: boolean): Json {
  return isMap && isJsonArray(element) && element.length === 2 ? (element[0] as Json) : element;
}
