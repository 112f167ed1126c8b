import { isJsonArray, isJsonObject, type Json } from '../json.ts';
import { DEPTH_MAX } from './canonical.ts';
import type { NftRule, NftTable } from './model.ts';

/** Names of the sets, maps and meters of a table that its own rules fill with what packets bring. */
export function filledByRules(table: NftTable): Set<string> {
  const filled = new Set<string>();
  for (const chain of table.chains.values()) {
    for (const rule of chain.rules) {
      for (const statement of rule.expr) {
        if (typeof statement === 'string') {
          const name = /^(?:add|update) @([^\s{}]+)/.exec(statement)?.[1];
          if (name !== undefined) filled.add(name);
        } else if (isJsonObject(statement)) {
          const { set, map, meter } = statement;
          const body = set ?? map ?? meter;
          if (!isJsonObject(body)) continue;
          const name = set !== undefined ? body['set'] : map !== undefined ? body['map'] : body['name'];
          if (typeof name === 'string' && body['op'] !== 'delete') filled.add(name.replace(/^@/, ''));
        }
      }
    }
  }
  return filled;
}

/** Names of the named sets, maps and flowtables that a rule looks into or fills, in the order of the rule. */
export function setReferences(rule: NftRule): string[] {
  const names = new Set<string>();
  collect(rule.expr, names, 0);
  return [...names];
}

function collect(value: Json, names: Set<string>, depth: number): void {
  if (typeof value === 'string') {
    if (value.length > 1 && value[0] === '@') names.add(value.slice(1));
    else if (depth === 1) for (const [, name] of value.matchAll(/@([^\s{}]+)/g)) names.add(name as string);
    return;
  }
  if (value === null || typeof value !== 'object' || depth > DEPTH_MAX) return;
  if (isJsonArray(value)) {
    for (const item of value) collect(item, names, depth + 1);
    return;
  }
  for (const [key, member] of Object.entries(value)) {
    if (key === 'meter' && isJsonObject(member) && typeof member['name'] === 'string') names.add(member['name']);
    // A log prefix may begin with @.
    if (key !== 'log') collect(member, names, depth + 1);
  }
}

/** Rules by the set, map or flowtable they use, within one table. */
export function rulesBySet(table: NftTable): Map<string, NftRule[]> {
  const users = new Map<string, NftRule[]>();
  for (const chain of table.chains.values()) {
    for (const rule of chain.rules) {
      if (!rule.identity.includes('@') && !rule.identity.includes('"meter"')) continue;
      for (const name of setReferences(rule)) {
        const list = users.get(name);
        if (list === undefined) users.set(name, [rule]);
        else list.push(rule);
      }
    }
  }
  return users;
}
