import type { IptablesDiff, RuleChange } from './diff.ts';
import type { IptablesChain, IptablesRule, IptablesRuleset, IptablesTable } from './model.ts';

/**
 * Carries a diff out: `applyDiff(a, diffRulesets(a, b))` is b, but for counters and spelling, which stay a's where the
 * rules are the same, and for the order of tables and chains, which means nothing.
 */
export function applyDiff(baseline: IptablesRuleset, diff: IptablesDiff): IptablesRuleset {
  const removedTables = new Set(diff.tablesRemoved.map(({ name }) => name));
  const removedChains = new Set(diff.chainsRemoved.map(({ table, chain }) => `${table}\n${chain.name}`));
  const policies = new Map(diff.policyChanges.map((change) => [`${change.table}\n${change.chain}`, change.after]));
  const rules = new Map(diff.chains.map((change) => [`${change.table}\n${change.chain}`, change.changes]));
  const tables = new Map<string, IptablesTable>();
  for (const [name, table] of baseline.tables) {
    if (removedTables.has(name)) continue;
    const chains = new Map<string, IptablesChain>();
    for (const [chainName, chain] of table.chains) {
      const key = `${name}\n${chainName}`;
      if (removedChains.has(key)) continue;
      const policy = policies.get(key);
      const changes = rules.get(key);
      chains.set(chainName, {
        ...chain,
        policy: policy === undefined ? chain.policy : policy,
        rules: changes === undefined ? chain.rules : applyChanges(chain.rules, changes),
      });
    }
    for (const { table: tableName, chain } of diff.chainsAdded) if (tableName === name) chains.set(chain.name, chain);
    tables.set(name, { name, chains });
  }
  for (const table of diff.tablesAdded) tables.set(table.name, table);
  return { family: baseline.family, tables, unparsed: applyUnparsed(baseline, diff) };
}

function applyChanges(baseline: readonly IptablesRule[], changes: readonly RuleChange[]): IptablesRule[] {
  const gone = new Set<number>();
  const placed = new Map<number, IptablesRule>();
  for (const change of changes) {
    if (change.kind === 'added') placed.set(change.index, change.rule);
    else if (change.kind === 'removed') gone.add(change.index);
    else {
      gone.add(change.fromIndex);
      placed.set(change.toIndex, change.after);
    }
  }
  const kept = baseline.filter((_, index) => !gone.has(index));
  const result: IptablesRule[] = [];
  let next = 0;
  while (next < kept.length || placed.has(result.length)) {
    const rule = placed.get(result.length);
    if (rule === undefined) {
      result.push(kept[next] as IptablesRule);
      next += 1;
    } else {
      result.push(rule);
    }
  }
  return result;
}

function applyUnparsed(baseline: IptablesRuleset, diff: IptablesDiff): IptablesRuleset['unparsed'] {
  const removed = new Set(diff.unparsedRemoved);
  return [...baseline.unparsed.filter((line) => !removed.has(line)), ...diff.unparsedAdded];
}
