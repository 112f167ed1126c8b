import type { Json } from '../json.ts';
import { canonicalValue, flatText } from './canonical.ts';
import type { NftChange, NftDiff } from './diff-model.ts';
import type { NftChain, NftRule, NftRuleset, NftSet, NftTable } from './model.ts';

/**
 * The ruleset that a diff leads to: `diffRulesets(applyDiff(a, diffRulesets(a, b)), b)` is empty. Moving parts and
 * handles of what did not change are the baseline's. Neither argument is changed.
 */
export function applyDiff(baseline: NftRuleset, diff: NftDiff): NftRuleset {
  const tables = new Map<string, EditableTable>();
  for (const [key, table] of baseline.tables) tables.set(key, editable(table));
  const unparsedAdded: Json[] = [];
  const unparsedGone = new Map<string, number>();
  const rules = new Map<NftChain, RuleEdits>();
  for (const change of diff.changes) {
    switch (change.kind) {
      case 'table_added':
        tables.set(change.table.key, editable(change.table));
        break;
      case 'table_removed':
        tables.delete(change.table.key);
        break;
      case 'unparsed_added':
        unparsedAdded.push(change.item);
        break;
      case 'unparsed_removed':
        unparsedGone.set(flatText(change.item), (unparsedGone.get(flatText(change.item)) ?? 0) + 1);
        break;
      default: {
        const table = tables.get(change.table);
        if (table !== undefined) applyInTable(tables, table, change, rules);
      }
    }
  }
  for (const table of tables.values()) {
    for (const [name, chain] of table.chains) {
      const edits = rules.get(chain);
      if (edits !== undefined) table.chains.set(name, { ...chain, rules: applyRules(chain.rules, edits) });
    }
  }
  const stayed = baseline.unparsed.filter((item) => {
    const count = unparsedGone.size === 0 ? 0 : (unparsedGone.get(flatText(item)) ?? 0);
    if (count > 0) unparsedGone.set(flatText(item), count - 1);
    return count === 0;
  });
  return { ...baseline, tables, unparsed: [...stayed, ...unparsedAdded] };
}

type EditableTable = Omit<NftTable, 'chains' | 'sets' | 'flowtables' | 'objects'> & {
  chains: Map<string, NftChain>;
  sets: Map<string, NftSet>;
  flowtables: Map<string, NftTable['flowtables'] extends ReadonlyMap<string, infer V> ? V : never>;
  objects: Map<string, NftTable['objects'] extends ReadonlyMap<string, infer V> ? V : never>;
};

interface RuleEdits {
  readonly gone: Set<number>;
  readonly placed: Map<number, NftRule>;
}

function editable(table: NftTable): EditableTable {
  return {
    ...table,
    chains: new Map(table.chains),
    sets: new Map(table.sets),
    flowtables: new Map(table.flowtables),
    objects: new Map(table.objects),
  };
}

type ChangeWithin = Exclude<
  NftChange,
  { kind: 'table_added' | 'table_removed' | 'unparsed_added' | 'unparsed_removed' }
>;

function applyInTable(
  tables: Map<string, EditableTable>,
  table: EditableTable,
  change: ChangeWithin,
  rules: Map<NftChain, RuleEdits>,
): void {
  switch (change.kind) {
    case 'table_changed': {
      const { chains, sets, flowtables, objects } = table;
      tables.set(table.key, { ...change.after, chains, sets, flowtables, objects });
      break;
    }
    case 'chain_added':
      table.chains.set(change.chain.name, change.chain);
      break;
    case 'chain_removed':
      table.chains.delete(change.chain.name);
      break;
    case 'chain_changed':
      // Edits of its rules are found by the chain object: they come after this change.
      table.chains.set(change.after.name, { ...change.after, rules: change.before.rules });
      break;
    case 'rule_added':
    case 'rule_removed':
    case 'rule_modified':
    case 'rule_repositioned':
    case 'rule_recreated': {
      const chain = table.chains.get(change.chain);
      if (chain === undefined) break;
      const edits = rules.get(chain) ?? { gone: new Set(), placed: new Map() };
      rules.set(chain, edits);
      if ('baselinePosition' in change) {
        edits.gone.add(change.baselinePosition);
        edits.placed.set(change.currentPosition, change.after);
      } else if (change.kind === 'rule_added') {
        edits.placed.set(change.position, change.rule);
      } else {
        edits.gone.add(change.position);
      }
      break;
    }
    case 'set_added':
      table.sets.set(change.set.name, change.set);
      break;
    case 'set_removed':
      table.sets.delete(change.set.name);
      break;
    case 'set_changed':
      table.sets.set(change.after.name, applySet(change));
      break;
    default:
      applyObject(table, change);
  }
}

function applyObject(
  table: EditableTable,
  change: Extract<NftChange, { kind: 'object_added' | 'object_removed' | 'object_changed' }>,
): void {
  const object = change.kind === 'object_changed' ? change.after : change.object;
  const objects = object.type === 'flowtable' ? table.flowtables : table.objects;
  const key = object.type === 'flowtable' ? object.name : `${object.type}/${object.name}`;
  if (change.kind === 'object_removed') objects.delete(key);
  else objects.set(key, object);
}

function applySet(change: Extract<NftChange, { kind: 'set_changed' }>): NftSet {
  const { before, after } = change;
  // By content and counted: a listing may hold one value several times.
  const gone = new Map<string, number>();
  for (const element of change.elementsRemoved) {
    const text = canonicalValue(element);
    gone.set(text, (gone.get(text) ?? 0) + 1);
  }
  const replaced = new Map<string, Json[]>();
  for (const pair of change.elementsChanged) {
    const text = canonicalValue(pair.before);
    const list = replaced.get(text);
    if (list === undefined) replaced.set(text, [pair.after]);
    else list.push(pair.after);
  }
  const elements: Json[] = [];
  for (const element of before.elements) {
    const text = canonicalValue(element);
    const count = gone.get(text) ?? 0;
    if (count > 0) gone.set(text, count - 1);
    else elements.push(replaced.get(text)?.pop() ?? element);
  }
  return { ...after, elements: [...elements, ...change.elementsAdded] };
}

function applyRules(baseline: readonly NftRule[], edits: RuleEdits): NftRule[] {
  const stayed = baseline.filter((_, position) => !edits.gone.has(position));
  const rules: NftRule[] = [];
  let next = 0;
  for (let position = 0; position < stayed.length + edits.placed.size; position += 1) {
    const placed = edits.placed.get(position);
    if (placed !== undefined) rules.push(placed);
    else {
      const rule = stayed[next];
      next += 1;
      if (rule !== undefined) rules.push(rule);
    }
  }
  return rules;
}
