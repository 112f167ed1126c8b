import type { Json, JsonObject } from '../json.ts';
import { flatText } from './canonical.ts';
import type { NftRuleset, NftTable } from './model.ts';

/**
 * The ruleset as libnftables JSON that `nft -j -f` accepts into an empty kernel: tables, then chains, objects and
 * flowtables, then sets and maps (whose verdicts name chains and whose data name objects), then rules. nft's own
 * listing has maps before chains, and does not load. What was unparsed is left out, and so are statements that no nft
 * reads back: `xt`, and those that nft printed as text.
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
      items.push({ [set.kind]: set.elements.length === 0 ? set.raw : { ...set.raw, elem: set.elements } });
    }
  }
  for (const table of tables) {
    for (const chain of table.chains.values()) for (const rule of chain.rules) items.push({ rule: rule.raw });
  }
  // One item a line: a report can be read and compared with ordinary tools.
  return `{"nftables": [\n${items.map(stringify).join(',\n')}\n]}\n`;
}

function tableBody(table: NftTable): JsonObject {
  if (!table.flags.includes('unreadable')) return table.raw;
  return { ...table.raw, flags: table.flags.map((flag) => (flag === 'unreadable' ? 'dormant' : flag)) };
}

function stringify(value: Json): string {
  try {
    return JSON.stringify(value);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    // Nested deeper than the stack: only made-up input is.
    return flatText(value);
  }
}
