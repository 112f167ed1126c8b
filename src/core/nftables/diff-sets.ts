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
  if (baseline.elements.length === 0 && current.elements.length === 0) return NO_ELEMENT_DIFF;
  if (sameInOrder(baseline.elements, current.elements)) return NO_ELEMENT_DIFF;
  const isMap = baseline.kind === 'map';
  const before = new Map<string, Json>();
  const keyOf = uniqueKeys();
  for (const element of baseline.elements) before.set(keyOf(elementKey(element, isMap)), element);
  const added: Json[] = [];
  const changed: { before: Json; after: Json }[] = [];
  const keyNow = uniqueKeys();
  const isMapNow = current.kind === 'map';
  for (const element of current.elements) {
    const key = keyNow(elementKey(element, isMapNow));
    const old = before.get(key);
    if (old === undefined) {
      added.push(element);
    } else {
      before.delete(key);
      if (isScalar(old) && isScalar(element)) continue;
      if (elementContent(old, isMap) !== elementContent(element, isMapNow))
        changed.push({ before: old, after: element });
    }
  }
  return { added, removed: [...before.values()], changed };
}

function sameInOrder(a: readonly Json[], b: readonly Json[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index += 1) {
    const left = a[index];
    if (left !== b[index] || (typeof left === 'object' && left !== null)) return false;
  }
  return true;
}

function isScalar(element: Json): boolean {
  return element === null || typeof element !== 'object';
}

/** The kernel lists no value twice; a listing that does is compared by count. */
function uniqueKeys(): (key: string) => string {
  const occurrences = new Map<string, number>();
  return (key) => {
    const occurrence = (occurrences.get(key) ?? 0) + 1;
    occurrences.set(key, occurrence);
    return occurrence === 1 ? key : `${key}#${occurrence}`;
  };
}

/** The canonical text of an element's value, without what it carries. */
export function elementKey(element: Json, isMap: boolean): string {
  const key = keyPart(element, isMap);
  const body = isJsonObject(key) && isJsonObject(key['elem']) ? key['elem']['val'] : key;
  return canonicalValue(body ?? null);
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

/** Whether an element says when it will expire: then it came with a lifetime and goes without anyone's act. */
export function expires(element: Json, isMap: boolean): boolean {
  const key = keyPart(element, isMap);
  return isJsonObject(key) && isJsonObject(key['elem']) && 'expires' in key['elem'];
}
