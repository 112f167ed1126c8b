import { isJsonObject, type Json, type JsonObject } from '../../core/json.ts';
import { type NftRuleset, parseNftRuleset } from '../../core/nftables/index.ts';
import type { PlacedDiagnostic } from '../framework/diagnostics-text.ts';
import { DocumentReader, findRuleset, parseObject, startsLikeJson } from '../framework/documents.ts';
import { CommandError } from '../framework/errors.ts';
import type { Input } from '../framework/read-input.ts';
import { refuseOthers, unrecognised } from '../framework/recognise.ts';

/** An input of the nftables commands, read. */
export interface NftInput {
  readonly input: Input;
  readonly ruleset: NftRuleset;
  /** A snapshot's listing lacks the tables that iptables-save shows. */
  readonly isSnapshot: boolean;
  readonly diagnostics: readonly PlacedDiagnostic[];
  readonly gaps: readonly string[];
  readonly notes: readonly string[];
}

const EMPTY_HINT = 'nft prints JSON even for an empty ruleset: did it fail, was it run as root?';

/**
 * The output of `nft --json list ruleset`, a document of nftables-parser, or a snapshot, told apart by the contents.
 *
 * Errors: CommandError where nothing was recognised, or the document is of another kind
 */
export function readNft(input: Input): NftInput {
  refuseOthers(input, 'nft --json list ruleset');
  if (!startsLikeJson(input.text) && /^\{\s*"nftables"\s*:/m.test(input.text)) {
    throw new CommandError(`${input.name} has other text before the output of nft --json list ruleset`, {
      nextStep: 'keep standard error apart from the file',
    });
  }
  if (!startsLikeJson(input.text)) throw unrecognised(input, 'nft --json list ruleset', EMPTY_HINT);
  return isListing(input.text) ? readListing(input) : readDocument(input);
}

/** nft's own output; also where it is cut off, and so no JSON. */
function isListing(text: string): boolean {
  return /^\s*\{\s*"nftables"\s*:/.test(text);
}

function readListing(input: Input): NftInput {
  const { ruleset, diagnostics } = parseNftRuleset(input.text);
  const isSound = ruleset.unparsed.length === 0 && diagnostics.every(({ severity }) => severity !== 'error');
  if (ruleset.tables.size === 0 && !isSound) {
    const what = diagnostics[0]?.message ?? 'no table';
    throw new CommandError(`${input.name} is nft JSON in which nothing can be read: ${what}`, {
      nextStep: 'list the ruleset again',
    });
  }
  return {
    input,
    ruleset,
    isSnapshot: false,
    diagnostics: diagnostics.map((diagnostic) => ({ input: input.name, diagnostic })),
    gaps: [],
    notes: [],
  };
}

function readDocument(input: Input): NftInput {
  const document = parseObject(input);
  if (document['nftables'] !== undefined) return readListing(input);
  const { ruleset, snapshot, diagnostics, gaps, notes } = findRuleset(input, document, 'nft');
  if (isIptablesDocument(ruleset)) {
    throw new CommandError(`${input.name} is an iptables document, not one of nftables`, {
      nextStep: 'use iptables-parser or iptables-diff',
    });
  }
  const items = listingItems(ruleset, new DocumentReader(input));
  // Read like a listing, so that a document and the listing it was made from are one ruleset.
  const rebuilt = parseNftRuleset(listingText(input, items));
  return { input, ruleset: rebuilt.ruleset, isSnapshot: snapshot !== null, diagnostics, gaps, notes };
}

function listingText(input: Input, items: readonly Json[]): string {
  try {
    return JSON.stringify({ nftables: items });
  } catch (error) {
    throw new CommandError(`${input.name} is nested deeper than any ruleset is, or too large`, { cause: error });
  }
}

function isIptablesDocument(ruleset: JsonObject): boolean {
  if (ruleset['family'] === 'ipv4' || ruleset['family'] === 'ipv6') return true;
  return Object.values((ruleset['tables'] ?? {}) as JsonObject).some(
    (table) => isJsonObject(table) && table['chains'] !== undefined && table['family'] === undefined,
  );
}

/** The items of the listing that a document was made from. */
function listingItems(document: JsonObject, reader: DocumentReader): Json[] {
  const version = document['nft_version'];
  const items: Json[] = [];
  if (typeof version === 'string') items.push({ metainfo: { version, json_schema_version: 1 } });
  for (const [key, table] of reader.entries(document['tables'], 'tables')) {
    const path = `tables.${key}`;
    const family = reader.text(table['family'], `${path}.family`);
    const name = reader.text(table['name'], `${path}.name`);
    const { chains, sets, maps, flowtables, objects, ...attributes } = table;
    items.push({ table: withoutNulls(attributes) });
    const place = { family, table: name };
    const listed = reader.entries(chains, `${path}.chains`);
    for (const [chain, body] of listed) items.push({ chain: { ...place, name: chain, ...chainBody(body) } });
    for (const [set, body] of reader.entries(sets, `${path}.sets`)) items.push({ set: setBody(body, place, set) });
    for (const [map, body] of reader.entries(maps, `${path}.maps`)) items.push({ map: setBody(body, place, map) });
    for (const [flowtable, body] of reader.entries(flowtables, `${path}.flowtables`)) {
      const { type: _type, ...others } = body;
      items.push({ flowtable: { ...place, name: flowtable, ...others } });
    }
    for (const [id, body] of reader.entries(objects, `${path}.objects`)) {
      const { type, helper, ...others } = body;
      const kind = reader.text(type, `${path}.objects.${id}.type`);
      const own = helper === undefined ? {} : { type: helper };
      items.push({ [kind]: { ...place, name: id.slice(id.indexOf('/') + 1), ...own, ...others } });
    }
    for (const [chain, body] of listed) {
      for (const [index, rule] of reader.list(body['rules'], `${path}.chains.${chain}.rules`).entries()) {
        const rulePath = `${path}.chains.${chain}.rules[${index}]`;
        const { handle, comment, raw_expressions } = reader.object(rule, rulePath);
        const expr = reader.list(raw_expressions ?? null, `${rulePath}.raw_expressions`);
        if (raw_expressions === undefined) throw reader.fault(`${rulePath}.raw_expressions`, 'is missing');
        items.push({ rule: { ...place, chain, ...withoutNulls({ handle, comment }), expr } });
      }
    }
  }
  return [...items, ...reader.list(document['unparsed'], 'unparsed')];
}

function chainBody(body: JsonObject): JsonObject {
  const { hook, type, priority, policy, device, comment, handle } = body;
  const dev = typeof device === 'string' && device.includes(',') ? device.split(',') : device;
  return withoutNulls({ handle, type, hook, prio: priority, policy, dev, comment });
}

function setBody(body: JsonObject, place: JsonObject, name: string): JsonObject {
  const { data_type, elements, flags, ...others } = body;
  return {
    ...place,
    name,
    ...others,
    ...(data_type === undefined ? {} : { map: data_type }),
    // A document always has them; a listing only where there are some.
    ...(isEmptyList(flags) ? {} : { flags: flags as Json }),
    ...(isEmptyList(elements) ? {} : { elem: elements as Json }),
  };
}

function isEmptyList(value: Json | undefined): boolean {
  return value === undefined || (Array.isArray(value) && value.length === 0);
}

function withoutNulls(body: { readonly [key: string]: Json | undefined }): JsonObject {
  return Object.fromEntries(
    Object.entries(body).filter(
      (member): member is [string, Json] => member[1] !== undefined && member[1] !== null && !isEmptyList(member[1]),
    ),
  );
}
