import { isJsonArray, isJsonObject, type Json } from '../json.ts';
import {
  canonicalStatements,
  type FlatFields,
  flatFields,
  type NftRule,
  type NftSet,
  type NftStatement,
  type NftTable,
  typeStatement,
} from '../nftables/index.ts';

/** What a rule can do to a packet; a verdict map does several things. */
export type Effect =
  | 'accept'
  | 'drop'
  | 'return'
  | 'jump'
  | 'goto'
  | 'dnat'
  | 'snat'
  | 'masquerade'
  | 'redirect'
  | 'queue'
  | 'notrack'
  | 'divert'
  | 'mangle'
  | 'expect'
  | 'unknown';

/** A rule taken apart: whom it is for, and what it does with them. */
export interface RuleEffect {
  readonly effects: ReadonlySet<Effect>;
  /** Chains it leads to. */
  readonly targets: readonly string[];
  /** Canonical statements that narrow it: matches, limits, sets it looks into. Empty: it is for every packet. */
  readonly conditions: readonly string[];
  /** Canonical statements that act, without counters and logs. */
  readonly actions: readonly string[];
  /** Statements that put into a set what a packet brings, or take it out. */
  readonly fills: readonly Fill[];
  readonly flat: FlatFields;
  readonly isBlanket: boolean;
  /** xt: nft shows neither what it matches nor its parameters. */
  readonly isHidden: boolean;
}

export interface Fill {
  readonly set: string;
  /** Canonical. */
  readonly text: string;
}

const NARROWING: ReadonlySet<string> = new Set(['match', 'limit', 'quota', 'ct count', 'meter']);
/** Statements that change no packet's way. */
const PASSIVE: ReadonlySet<string> = new Set([
  'counter',
  'log',
  'last',
  'continue',
  'set',
  'map',
  'ct timeout',
  'secmark',
  'reset',
]);

const EFFECT_OF: ReadonlyMap<string, Effect> = new Map<string, Effect>([
  ['accept', 'accept'],
  ['drop', 'drop'],
  ['reject', 'drop'],
  ['return', 'return'],
  ['jump', 'jump'],
  ['goto', 'goto'],
  ['dnat', 'dnat'],
  ['redirect', 'redirect'],
  ['snat', 'snat'],
  ['masquerade', 'masquerade'],
  ['queue', 'queue'],
  ['notrack', 'notrack'],
  ['tproxy', 'divert'],
  ['synproxy', 'divert'],
  ['dup', 'divert'],
  ['fwd', 'divert'],
  ['flow', 'divert'],
  ['ct helper', 'expect'],
  ['ct expectation', 'expect'],
]);

export function effectOf(rule: NftRule, table: NftTable): RuleEffect {
  const statements = rule.expr.map(typeStatement);
  const effects = new Set<Effect>();
  const targets: string[] = [];
  const conditions: string[] = [];
  const actions: string[] = [];
  const fills: Fill[] = [];
  let isHidden = false;
  for (const [index, statement] of statements.entries()) {
    const text = canonicalStatements([rule.expr[index] as Json]);
    if (NARROWING.has(statement.kind)) {
      conditions.push(text);
      continue;
    }
    if (PASSIVE.has(statement.kind)) {
      const set = filledSet(rule.expr[index] as Json);
      if (set !== null) fills.push({ set, text });
      continue;
    }
    actions.push(text);
    const rewritten = rewrittenField(rule.expr[index] as Json);
    if (rewritten !== null) effects.add(rewritten);
    else addEffects(statement, table, effects, targets);
    if (statement.kind === 'vmap') conditions.push(text);
    if (statement.kind === 'xt') {
      isHidden = true;
      if (statement.form !== 'fields' || statement.fields.type !== 'target') conditions.push(text);
    }
    if (statement.kind === 'opaque') conditions.push(text);
  }
  return {
    effects,
    targets,
    conditions,
    actions,
    fills,
    flat: flatFields(statements),
    isBlanket: conditions.length === 0,
    isHidden,
  };
}

/** The set or map of `add @set { … }`, `update @set { … }`, `delete @set { … }`. */
function filledSet(statement: Json): string | null {
  if (!isJsonObject(statement)) return null;
  const { set, map } = statement;
  const body = set ?? map;
  if (!isJsonObject(body)) return null;
  const name = set !== undefined ? body['set'] : body['map'];
  return typeof name === 'string' ? name.replace(/^@/, '') : null;
}

/** What a statement that rewrites packets does to them: other addresses and ports are a translation, the rest a mark. */
function rewrittenField(statement: Json): Effect | null {
  if (!isJsonObject(statement) || !isJsonObject(statement['mangle'])) return null;
  const { key } = statement['mangle'];
  const payload = isJsonObject(key) ? key['payload'] : undefined;
  const field = isJsonObject(payload) ? payload['field'] : undefined;
  if (field === 'daddr' || field === 'dport') return 'dnat';
  return field === 'saddr' || field === 'sport' ? 'snat' : 'mangle';
}

function addEffects(statement: NftStatement, table: NftTable, effects: Set<Effect>, targets: string[]): void {
  if (statement.kind === 'vmap' && statement.form === 'fields') {
    const { data } = statement.fields;
    if (data?.kind === 'set' && typeof data.members !== 'string') {
      for (const pair of data.members)
        if (pair.kind === 'list') addVerdict(pair.items[1]?.kind, pair.items[1], effects, targets);
    } else if (data?.kind === 'set_reference') {
      const map = table.sets.get(data.name);
      if (map === undefined) return;
      const verdicts = verdictsOf(map);
      for (const effect of verdicts.effects) effects.add(effect);
      for (const target of verdicts.targets) targets.push(target);
    }
    return;
  }
  if (statement.kind === 'xt') {
    const name = statement.form === 'fields' && statement.fields.type === 'target' ? (statement.fields.name ?? '') : '';
    const effect = XT_TARGETS.get(name);
    if (effect !== undefined) effects.add(effect);
    else if (name !== '' && !XT_PASSIVE.has(name)) effects.add('unknown');
    return;
  }
  if (statement.kind === 'opaque') {
    effects.add('unknown');
    return;
  }
  const effect = EFFECT_OF.get(statement.kind);
  if (effect === undefined) return;
  effects.add(effect);
  if ((statement.kind === 'jump' || statement.kind === 'goto') && statement.form === 'fields') {
    targets.push(statement.fields.target ?? '');
  }
}

const XT_TARGETS: ReadonlyMap<string, Effect> = new Map<string, Effect>([
  ['REJECT', 'drop'],
  ['DNAT', 'dnat'],
  ['SNAT', 'snat'],
  ['MASQUERADE', 'masquerade'],
  ['REDIRECT', 'redirect'],
  ['NFQUEUE', 'queue'],
  ['MARK', 'mangle'],
  ['CONNMARK', 'mangle'],
  ['TPROXY', 'divert'],
]);
const XT_PASSIVE: ReadonlySet<string> = new Set(['LOG', 'NFLOG', 'TCPMSS', 'CHECKSUM']);

function addVerdict(
  kind: string | undefined,
  verdict: { readonly kind: string } | undefined,
  effects: Set<Effect>,
  targets: string[],
): void {
  const effect = kind === undefined ? undefined : EFFECT_OF.get(kind);
  if (effect === undefined) return;
  effects.add(effect);
  if (verdict !== undefined && 'fields' in verdict) {
    const { target } = verdict.fields as { readonly target?: string };
    if (target !== undefined) targets.push(target);
  }
}

interface MapVerdicts {
  readonly effects: ReadonlySet<Effect>;
  readonly targets: ReadonlySet<string>;
}

/** What the elements of a named verdict map do, as listed: `{"accept":null}`, `{"goto":{"target":"chain"}}`. */
function verdictsOf(map: NftSet): MapVerdicts {
  let verdicts = verdictsOfMaps.get(map);
  if (verdicts === undefined) {
    const data = map.elements.flatMap((element) => (isJsonArray(element) ? [element[1] as Json] : []));
    verdicts = { effects: new Set(data.flatMap(verdictEffects)), targets: new Set(data.flatMap(verdictTargets)) };
    verdictsOfMaps.set(map, verdicts);
  }
  return verdicts;
}

/** A map may have thousands of elements, and as many rules that look them up. */
const verdictsOfMaps = new WeakMap<NftSet, MapVerdicts>();

/** What a map's data does: the effect of a verdict, none of an address or a mark. */
export function verdictEffects(data: Json): Effect[] {
  if (!isJsonObject(data)) return [];
  return Object.keys(data).flatMap((kind) => EFFECT_OF.get(kind) ?? []);
}

export function verdictTargets(data: Json): string[] {
  if (!isJsonObject(data)) return [];
  return Object.values(data).flatMap((body) =>
    isJsonObject(body) && typeof body['target'] === 'string' ? [body['target']] : [],
  );
}
