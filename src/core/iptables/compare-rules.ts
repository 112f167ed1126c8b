import { printOptions } from './print.ts';
import type { ExtensionUse, RuleFields } from './read-rule.ts';

/** Field by field, what two rules have in common. */

/** A rule as pairs of field and text: `source` → `! 10.0.0.0/8`, `tcp.dport` → `22`. */
export type NamedFields = ReadonlyMap<string, string>;

export function namedFields(fields: RuleFields): NamedFields {
  const named = new Map<string, string>();
  const put = (name: string, value: string | null, negated: boolean): void => {
    if (value !== null) named.set(name, negated ? `! ${value}` : value);
  };
  put('protocol', fields.protocol, fields.protocolNegated);
  put('source', fields.source, fields.sourceNegated);
  put('destination', fields.destination, fields.destinationNegated);
  put('in_interface', fields.inInterface, fields.inInterfaceNegated);
  put('out_interface', fields.outInterface, fields.outInterfaceNegated);
  put('fragment', fields.fragment ? '-f' : null, fields.fragmentNegated);
  put('stray', fields.stray.length > 0 ? fields.stray.join(' ') : null, false);
  const times = new Map<string, number>();
  for (const match of fields.matches) putExtension(named, match, times);
  if (fields.target !== null) {
    named.set('target', fields.target.name);
    named.set('goto', String(fields.goto));
    putOptions(named, 'target', fields.target);
  }
  return named;
}

/** @param times  how often each match was met: one used a thousand times must not be counted a thousand times */
function putExtension(named: Map<string, string>, use: ExtensionUse, times: Map<string, number>): void {
  let name = use.name;
  let again = times.get(use.name) ?? 1;
  for (; named.has(name); again += 1) name = `${use.name}#${again + 1}`;
  times.set(use.name, again);
  named.set(name, '');
  putOptions(named, name, use);
}

function putOptions(named: Map<string, string>, prefix: string, use: ExtensionUse): void {
  if (!use.understood) {
    named.set(`${prefix}.options`, printOptions(use));
    return;
  }
  for (const option of use.options) {
    const field = prefix === 'comment' ? 'comment' : `${prefix}.${option.name.replace(/^-+/, '').replaceAll('-', '_')}`;
    const text = `${option.negated ? '! ' : ''}${option.values.join(' ')}`;
    named.set(field, named.has(field) && field !== 'comment' ? `${named.get(field)} ${text}` : text);
  }
}

/**
 * From 0 (nothing in common) to 1 (the same fields). A field that only changed its value counts half: it is half the
 * difference of one that came or went.
 */
export function similarity(left: NamedFields, right: NamedFields): number {
  let score = 0;
  for (const [name, value] of left) {
    const other = right.get(name);
    if (other !== undefined) score += other === value ? 1 : 0.5;
  }
  const size = Math.max(left.size, right.size);
  return size === 0 ? 1 : score / size;
}

/** The names of the fields that differ, in the order of a rule's line. */
export function fieldsThatDiffer(left: NamedFields, right: NamedFields): string[] {
  const names = new Set([...left.keys(), ...right.keys()]);
  const different = [...names].filter((name) => left.get(name) !== right.get(name));
  // Two rules that differ only in the order of their matches differ in `matches`.
  return different.length === 0 ? ['matches'] : different;
}
