import { type Diagnostic, excerpt, printable } from '../diagnostics.ts';
import { isJsonArray, isJsonObject, type Json, type JsonObject } from '../json.ts';
import { canonicalMembers, canonicalStatements, flatText, isShallow, onlyKey } from './canonical.ts';
import {
  type NftChain,
  type NftObject,
  type NftRule,
  type NftRuleset,
  type NftSet,
  type NftTable,
  OBJECT_TYPES,
  tableKey,
} from './model.ts';
import { readListing } from './read-listing.ts';
import { isKnownStatement } from './typed.ts';
import { compareVersions } from './versions.ts';

/** The newest `json_schema_version` whose words this folder knows. */
const SCHEMA_VERSION_KNOWN = 1;
/** After so many diagnostics of one code only their number is told. */
const DIAGNOSTICS_PER_CODE_MAX = 100;

/**
 * Reads `nft --json list ruleset`, with or without `--handle`, `--stateless`, `--terse` and `--numeric`.
 *
 * @param text  the tool's output; an empty ruleset is a listing with `metainfo` only
 * @returns     the ruleset, and what was odd: codes `NFT_*`. Never throws. What cannot be read is in `unparsed`
 *              verbatim, where a diff compares it as text.
 * Source:      libnftables-json(5); faults seen in nft 1.0.6 and 1.1.3
 */
export function parseNftRuleset(text: string): { ruleset: NftRuleset; diagnostics: Diagnostic[] } {
  const { items, unreadable, diagnostics } = readListing(text);
  const reader = new RulesetReader();
  for (const item of items) reader.read(item);
  for (const piece of unreadable) reader.unparsed.push(piece);
  return { ruleset: reader.finish(), diagnostics: [...diagnostics, ...reader.diagnostics()] };
}

interface TableUnderWay extends NftTable {
  readonly chains: Map<string, ChainUnderWay>;
  readonly sets: Map<string, NftSet & { elements: Json[] }>;
  readonly flowtables: Map<string, NftObject>;
  readonly objects: Map<string, NftObject>;
}

interface ChainUnderWay extends NftChain {
  readonly rules: NftRule[];
}

const OBJECT_TYPE_SET: ReadonlySet<string> = new Set(OBJECT_TYPES);
/** Members of a rule that are not its content. */
const RULE_PLACE: ReadonlySet<string> = new Set(['family', 'table', 'chain', 'handle', 'index', 'expr', 'comment']);

class RulesetReader {
  readonly unparsed: Json[] = [];
  readonly #found = new Map<string, { shown: Diagnostic[]; count: number }>();
  readonly #tables = new Map<string, TableUnderWay>();
  /** Sets whose elements came in items of their own. */
  readonly #ownElements = new Set<NftSet>();
  #metainfo: JsonObject | null = null;
  // Rules of a chain follow one another: the last one spares most look-ups.
  #lastTable: TableUnderWay | null = null;
  #lastChain: ChainUnderWay | null = null;

  read(item: Json): void {
    const kind = onlyKey(item);
    // Of a rule only what is not known word for word can be deep: that is looked at below.
    if (kind !== 'rule' && !isShallow(item)) {
      this.#reject(item, 'nested deeper than any listing is');
      return;
    }
    if (kind === null || !isJsonObject(item)) {
      this.#reject(item, 'an item that is no object with one member');
      return;
    }
    const body = item[kind];
    if (!isJsonObject(body)) {
      this.#reject(item, `"${kind}" without a body`);
    } else if (kind === 'metainfo') {
      this.#readMetainfo(body);
    } else if (kind === 'table') {
      this.#readTable(item, body);
    } else if (kind === 'add' || kind === 'create' || kind === 'insert') {
      this.#note(
        'NFT_COMMAND',
        'warning',
        item,
        `"${kind}" belongs to a script, not to a listing: read as what it adds`,
      );
      this.read(body);
    } else if (kind === 'chain' || kind === 'rule' || kind === 'set' || kind === 'map' || kind === 'element') {
      const table = this.#tableOf(item, body);
      if (table === null) return;
      if (kind === 'chain') this.#readChain(item, table, body);
      else if (kind === 'rule') this.#readRule(item, table, body);
      else if (kind === 'element') this.#readElements(item, table, body);
      else this.#readSet(item, kind, table, body);
    } else if (kind === 'flowtable' || OBJECT_TYPE_SET.has(kind)) {
      const table = this.#tableOf(item, body);
      if (table !== null) this.#readObject(item, kind, table, body);
    } else {
      this.#reject(item, `unknown kind "${kind}"`);
    }
  }

  finish(): NftRuleset {
    const version = this.#metainfo?.['version'];
    return {
      metainfo: this.#metainfo,
      version: typeof version === 'string' ? version : null,
      tables: this.#tables,
      unparsed: this.unparsed,
    };
  }

  diagnostics(): Diagnostic[] {
    return [...this.#found.values()].flatMap(({ shown, count }) => {
      const last = shown[shown.length - 1];
      if (last === undefined || count === shown.length) return shown;
      return [...shown, { ...last, excerpt: '', message: `${count - shown.length} more of ${last.code}` }];
    });
  }

  #readMetainfo(body: JsonObject): void {
    this.#metainfo = body;
    const schema = body['json_schema_version'];
    if (typeof schema === 'number' && schema > SCHEMA_VERSION_KNOWN) {
      this.#note(
        'NFT_SCHEMA_VERSION',
        'warning',
        body,
        `json_schema_version ${schema} is newer than ${SCHEMA_VERSION_KNOWN}`,
      );
    }
  }

  #readTable(item: Json, body: JsonObject): void {
    const { family, name } = body;
    if (typeof family !== 'string' || typeof name !== 'string') {
      this.#reject(item, 'a table without family or name');
      return;
    }
    const known = this.#tables.get(tableKey(family, name));
    if (known !== undefined && Object.keys(known.raw).length > 2) {
      this.#note('NFT_DUPLICATE', 'warning', item, `table ${family} ${name} is listed twice: read as one`);
    }
    const flags = this.#tableFlags(body);
    const table: TableUnderWay = {
      key: tableKey(family, name),
      family,
      name,
      handle: handleOf(body),
      flags,
      comment: textOf(body, 'comment'),
      raw: body,
      chains: known?.chains ?? new Map(),
      sets: known?.sets ?? new Map(),
      flowtables: known?.flowtables ?? new Map(),
      objects: known?.objects ?? new Map(),
    };
    this.#tables.set(table.key, table);
    this.#lastTable = null;
    this.#lastChain = null;
  }

  #tableFlags(body: JsonObject): readonly string[] {
    const listed = namesOf(body['flags']);
    const version = this.#metainfo?.['version'];
    const isLater = typeof version === 'string' && compareVersions(version, FLAGS_READABLE_SINCE) >= 0;
    // A later nft that says something new says it.
    if (isLater || listed.every((flag) => TABLE_FLAGS.has(flag))) return listed;
    this.#note(
      'NFT_TABLE_FLAGS',
      'warning',
      body,
      'nft 1.0.6 prints a table flag as other text of its memory: some flag is set, most likely dormant',
    );
    return listed.map((flag) => (TABLE_FLAGS.has(flag) ? flag : 'unreadable'));
  }

  #readChain(item: Json, table: TableUnderWay, body: JsonObject): void {
    const name = body['name'];
    if (typeof name !== 'string') {
      this.#reject(item, 'a chain without a name');
      return;
    }
    const known = table.chains.get(name);
    if (known !== undefined && Object.keys(known.raw).length > 3) {
      this.#note('NFT_DUPLICATE', 'warning', item, `chain ${name} is listed twice: read as one`);
    }
    const priority = body['prio'];
    const hook = textOf(body, 'hook');
    const type = textOf(body, 'type');
    table.chains.set(name, {
      name,
      handle: handleOf(body),
      type,
      hook,
      priority: typeof priority === 'number' || typeof priority === 'string' ? priority : null,
      policy: textOf(body, 'policy'),
      devices: namesOf(body['dev'] ?? body['devices']),
      isBaseChain: hook !== null || type !== null,
      comment: textOf(body, 'comment'),
      raw: body,
      rules: known?.rules ?? [],
    });
    this.#lastChain = null;
  }

  #readRule(item: Json, table: TableUnderWay, body: JsonObject): void {
    const name = body['chain'];
    const listed = body['expr'];
    if (typeof name !== 'string' || listed === undefined || !isJsonArray(listed)) {
      this.#reject(item, 'a rule without a chain or without statements');
      return;
    }
    let chain = this.#lastChain;
    if (chain === null || chain.name !== name || this.#lastTable !== table) {
      chain = table.chains.get(name) ?? null;
      if (chain === null) {
        this.#note('NFT_CHAIN_MISSING', 'warning', item, `a rule of chain ${name}, which is not listed`);
        this.#readChain(item, table, { family: table.family, table: table.name, name });
        chain = table.chains.get(name) as ChainUnderWay;
      }
      this.#lastChain = chain;
      this.#lastTable = table;
    }
    let unknown: Json[] | null = null;
    for (const statement of listed) {
      if (isKnownStatement(statement)) continue;
      unknown ??= [];
      unknown.push(statement);
    }
    const comment = textOf(body, 'comment');
    if ((unknown !== null || hasOthers(body)) && !isShallow(body)) {
      this.#reject(item, 'nested deeper than any listing is');
      return;
    }
    for (const statement of unknown ?? []) this.#noteStatement(statement, table, name);
    chain.rules.push({
      family: table.family,
      table: table.name,
      chain: name,
      handle: handleOf(body),
      comment,
      expr: listed,
      raw: body,
      identity: identityOf(body, listed, comment),
    });
  }

  #noteStatement(statement: Json, table: NftTable, chain: string): void {
    const where = `${table.key} ${chain}`;
    if (typeof statement === 'string') {
      this.#note(
        'NFT_STATEMENT_TEXT',
        'warning',
        statement,
        `${where}: nft printed a statement as text: compared as text`,
      );
    } else {
      this.#note('NFT_UNKNOWN_STATEMENT', 'warning', statement, `${where}: kept verbatim and compared as text`);
    }
  }

  #readSet(item: Json, kind: 'set' | 'map', table: TableUnderWay, body: JsonObject): void {
    const name = body['name'];
    if (typeof name !== 'string') {
      this.#reject(item, `a ${kind} without a name`);
      return;
    }
    if (table.sets.has(name))
      this.#note('NFT_DUPLICATE', 'warning', item, `${kind} ${name} is listed twice: the last counts`);
    const { elem, ...raw } = body;
    if (elem !== undefined && !isJsonArray(elem))
      this.#note('NFT_ELEMENTS', 'warning', item, `${kind} ${name}: elements are no list`);
    table.sets.set(name, {
      kind,
      name,
      handle: handleOf(body),
      flags: namesOf(body['flags']),
      comment: textOf(body, 'comment'),
      raw,
      elements: elem === undefined ? [] : isJsonArray(elem) ? (elem as Json[]) : [elem],
    });
  }

  #readElements(item: Json, table: TableUnderWay, body: JsonObject): void {
    const name = body['name'];
    const set = typeof name === 'string' ? table.sets.get(name) : undefined;
    const elem = body['elem'];
    if (set === undefined || elem === undefined) {
      this.#reject(item, 'elements of a set that is not listed');
      return;
    }
    if (!this.#ownElements.has(set)) {
      // A fresh list: the listed one belongs to the parsed text.
      set.elements = [...set.elements];
      this.#ownElements.add(set);
    }
    for (const element of isJsonArray(elem) ? elem : [elem]) set.elements.push(element);
  }

  #readObject(item: Json, type: string, table: TableUnderWay, body: JsonObject): void {
    const name = body['name'];
    if (typeof name !== 'string') {
      this.#reject(item, `a ${type} without a name`);
      return;
    }
    const object: NftObject = { type, name, handle: handleOf(body), comment: textOf(body, 'comment'), raw: body };
    if (type === 'flowtable') table.flowtables.set(name, object);
    else table.objects.set(`${type}/${name}`, object);
  }

  #tableOf(item: Json, body: JsonObject): TableUnderWay | null {
    const { family, table: name } = body;
    const last = this.#lastTable;
    if (last !== null && last.family === family && last.name === name) return last;
    if (typeof family !== 'string' || typeof name !== 'string') {
      this.#reject(item, 'an item that names no table');
      return null;
    }
    let table = this.#tables.get(tableKey(family, name));
    if (table === undefined) {
      this.#note('NFT_TABLE_MISSING', 'warning', item, `an item of table ${family} ${name}, which is not listed`);
      this.#readTable(item, { family, name });
      table = this.#tables.get(tableKey(family, name)) as TableUnderWay;
    }
    return table;
  }

  #reject(item: Json, what: string): void {
    this.unparsed.push(isShallow(item) ? item : flatText(item));
    this.#note('NFT_UNKNOWN_ITEM', 'warning', item, `${what}: kept verbatim and compared as text`);
  }

  #note(code: string, severity: Diagnostic['severity'], subject: Json, message: string): void {
    const found = this.#found.get(code) ?? { shown: [], count: 0 };
    this.#found.set(code, found);
    found.count += 1;
    if (found.count > DIAGNOSTICS_PER_CODE_MAX) return;
    const text = typeof subject === 'string' ? subject : flatText(subject);
    found.shown.push({
      code,
      severity,
      line: 0,
      column: 0,
      excerpt: excerpt(text.slice(0, 200)),
      message: printable(message.slice(0, 400)),
    });
  }
}

/** Whether a rule has members that nobody knows; a comment that is no text is one. */
function hasOthers(body: JsonObject): boolean {
  for (const key in body) if (!RULE_PLACE.has(key) || (key === 'comment' && typeof body[key] !== 'string')) return true;
  return false;
}

function identityOf(body: JsonObject, statements: readonly Json[], comment: string | null): string {
  let text = canonicalStatements(statements);
  if (hasOthers(body)) text += canonicalMembers(body, RULE_PLACE);
  const given = body['comment'];
  if (comment === null && given !== undefined) text += canonicalStatements([given]);
  return text;
}

/** 1.0.6 garbles a lone flag, 1.1.3 does not; no release between was at hand. */
const FLAGS_READABLE_SINCE = '1.1.0';
const TABLE_FLAGS: ReadonlySet<string> = new Set(['dormant', 'owner', 'persist', 'unreadable']);

function textOf(body: JsonObject, key: string): string | null {
  const value = body[key];
  return typeof value === 'string' ? value : null;
}

function handleOf(body: JsonObject): number | null {
  const handle = body['handle'];
  return typeof handle === 'number' && handle > 0 ? handle : null;
}

const NO_NAMES: readonly string[] = [];

function namesOf(value: Json | undefined): readonly string[] {
  if (value === undefined) return NO_NAMES;
  const list = isJsonArray(value) ? value : [value];
  return list.map((name) => (typeof name === 'string' ? name : flatText(name)));
}
