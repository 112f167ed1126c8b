import { isJsonObject, type Json, type JsonObject } from '../json.ts';
import { FLAT_MATCH_FIELDS, flatFields } from './flat-fields.ts';
import { expressionHash } from './identity.ts';
import type { NftChain, NftObject, NftRule, NftRuleset, NftSet, NftTable } from './model.ts';
import { printRuleText } from './print-text.ts';
import { setReferences } from './references.ts';
import { typeStatement } from './typed.ts';

/**
 * The ruleset as the snapshot document shows it: `tables."family/name".chains.{chain}.rules[]`, with sets, maps,
 * flowtables and objects beside the chains. Positions count from 1. Raw expressions are the listing's, unchanged.
 */
export function nftDocument(ruleset: NftRuleset): JsonObject {
  return {
    nft_version: ruleset.version,
    tables: fromEntries(ruleset.tables, tableDocument),
    unparsed: ruleset.unparsed,
  };
}

function fromEntries<T>(map: ReadonlyMap<string, T>, document: (value: T) => Json): JsonObject {
  // Object.fromEntries defines members, so a chain may be called `__proto__`.
  return Object.fromEntries([...map].map(([key, value]) => [key, document(value)]));
}

function tableDocument(table: NftTable): JsonObject {
  const sets = new Map([...table.sets].filter(([, set]) => set.kind === 'set'));
  const maps = new Map([...table.sets].filter(([, set]) => set.kind === 'map'));
  return {
    family: table.family,
    name: table.name,
    handle: table.handle,
    flags: table.flags,
    comment: table.comment,
    chains: fromEntries(table.chains, chainDocument),
    sets: fromEntries(sets, setDocument),
    maps: fromEntries(maps, setDocument),
    flowtables: fromEntries(table.flowtables, objectDocument),
    objects: fromEntries(table.objects, objectDocument),
  };
}

function chainDocument(chain: NftChain): JsonObject {
  return {
    handle: chain.handle,
    hook: chain.hook,
    type: chain.type,
    priority: chain.priority,
    policy: chain.policy,
    is_base_chain: chain.isBaseChain,
    device: chain.devices.length === 0 ? null : chain.devices.join(','),
    comment: chain.comment,
    rules: chain.rules.map((rule, index) => ruleDocument(rule, index + 1)),
  };
}

/** @param position  the rule's place in its chain, counted from 1 */
export function ruleDocument(rule: NftRule, position: number): JsonObject {
  const statements = rule.expr.map(typeStatement);
  const flat = flatFields(statements);
  const document: Record<string, Json> = { ...NO_FIELDS };
  document['table'] = `${rule.family}/${rule.table}`;
  document['chain'] = rule.chain;
  document['handle'] = rule.handle;
  document['position'] = position;
  document['rule'] = printRuleText(rule);
  document['verdict'] = flat.verdict;
  document['jump_target'] = flat.jump_target;
  document['goto_target'] = flat.goto_target;
  for (const [name, field] of flat.fields) {
    document[name] = field.value;
    document[`${name}_negated`] = field.negated;
  }
  document['set_references'] = setReferences(rule);
  document['comment'] = rule.comment;
  document['expression_hash'] = expressionHash(rule);
  document['raw_expressions'] = rule.expr;
  document['opaque_expressions'] = rule.expr.filter((_, index) => {
    const kind = statements[index]?.kind;
    return kind === 'opaque' || kind === 'xt';
  });
  return document;
}

/** Every field of a rule, in document order: a document of 50,000 rules copies this instead of building it. */
const NO_FIELDS: JsonObject = {
  table: null,
  chain: null,
  handle: null,
  position: null,
  rule: null,
  verdict: null,
  jump_target: null,
  goto_target: null,
  ...Object.fromEntries(
    FLAT_MATCH_FIELDS.flatMap((name): [string, Json][] => [
      [name, null],
      [`${name}_negated`, false],
    ]),
  ),
  set_references: null,
  comment: null,
  expression_hash: null,
  raw_expressions: null,
  opaque_expressions: null,
};

function setDocument(set: NftSet): JsonObject {
  const { family: _family, table: _table, name: _name, map, ...attributes } = set.raw;
  return { ...attributes, ...(map === undefined ? {} : { data_type: map }), flags: set.flags, elements: set.elements };
}

function objectDocument(object: NftObject): JsonObject {
  const { family: _family, table: _table, name: _name, ...attributes } = object.raw;
  return isJsonObject(attributes) ? { type: object.type, ...renamed(attributes) } : { type: object.type };
}

/** A ct helper's own `type` (`ftp`) stands beside the object's. */
function renamed(attributes: JsonObject): JsonObject {
  const { type, ...others } = attributes;
  return type === undefined ? others : { ...others, helper: type };
}
