import type { Json, JsonObject } from '../json.ts';
import { printExactJson } from './exact-integers.ts';
import type { NftRule, NftRuleset, NftSet, NftTable } from './model.ts';
import { parseStatementText } from './statement-text.ts';

/**
 * The ruleset as libnftables JSON that `nft -j -f` accepts into an empty kernel: tables, then chains, objects and
 * flowtables, then sets and maps (whose verdicts name chains and whose data name objects), then rules. nft's own
 * listing has maps before chains, and does not load. What was unparsed is left out.
 *
 * What a listing does not tell cannot be loaded, and nft refuses it as a whole: `xt` statements (no parameters), a
 * chain within a rule, the device of an ingress chain (nft before 1.0.8), a set type printed as `integer`. nft 1.0.6
 * loads, but ignores, comments of tables and sets and the flags of tables.
 */
export function printNftJson(ruleset: NftRuleset): string {
  const items: Json[] = [];
  if (ruleset.metainfo !== null) items.push({ metainfo: ruleset.metainfo });
  const tables = [...ruleset.tables.values()];
  for (const table of tables) items.push({ table: tableBody(table) });
  for (const table of tables) for (const chain of table.chains.values()) items.push({ chain: chain.raw });
  for (const table of tables) {
    for (const object of table.objects.values()) items.push({ [object.type]: object.raw });
    for (const flowtable of table.flowtables.values()) items.push({ flowtable: flowtable.raw });
  }
  for (const table of tables) {
    for (const set of table.sets.values()) {
      const body = setBody(set);
      items.push({ [set.kind]: set.elements.length === 0 ? body : { ...body, elem: set.elements } });
    }
  }
  for (const table of tables) {
    for (const chain of table.chains.values()) for (const rule of chain.rules) items.push({ rule: ruleBody(rule) });
  }
  // One item a line: a report can be read and compared with ordinary tools.
  return `{"nftables": [\n${items.map(printExactJson).join(',\n')}\n]}\n`;
}

function tableBody(table: NftTable): JsonObject {
  if (!table.flags.includes('unreadable')) return table.raw;
  return { ...table.raw, flags: table.flags.map((flag) => (flag === 'unreadable' ? 'dormant' : flag)) };
}

/** nft 1.0.6 prints a concatenation of map data as one string, which it does not read. */
function setBody(set: NftSet): JsonObject {
  const data = set.raw['map'];
  return typeof data === 'string' && data.includes(' . ') ? { ...set.raw, map: data.split(' . ') } : set.raw;
}

function ruleBody(rule: NftRule): JsonObject {
  if (!rule.expr.some((statement) => typeof statement === 'string')) return rule.raw;
  const expr = rule.expr.map((one) => (typeof one === 'string' ? (parseStatementText(one) ?? one) : one));
  return { ...rule.raw, expr };
}
