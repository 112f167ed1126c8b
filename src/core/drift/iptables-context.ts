import type { IptablesChain, IptablesRuleset, IptablesTable } from '../iptables/index.ts';
import { isBlanket } from './iptables-breadth.ts';
import { effectOf } from './iptables-effect.ts';
import { ACCEPTS, DENIES } from './verdict-bits.ts';

/** What a chain can do to the packets of the hooks that reach it. */
export interface ChainContext {
  /** Built-in chains from which packets get here; itself for a built-in chain. Empty: nothing gets here. */
  readonly bases: readonly string[];
  /** Some path of jumps without conditions leads here from a built-in chain. */
  readonly reachedByAll: boolean;
  /** What no rule decides is dropped or rejected in one of those built-in chains. */
  readonly deniedByDefault: boolean;
  /** Verdicts that can fall in this chain or in one it jumps to: a sum of ACCEPTS and DENIES. */
  readonly verdicts: number;
}

const UNREACHED: ChainContext = { bases: [], reachedByAll: false, deniedByDefault: false, verdicts: 0 };

/** One table of one side, read once for its jumps and verdicts. Linear in its rules, whatever its jumps look like. */
export class TableContext {
  readonly table: IptablesTable;
  readonly #chains = new Map<string, ChainContext>();

  constructor(table: IptablesTable) {
    this.table = table;
    this.#read();
  }

  chain(name: string): ChainContext {
    return this.#chains.get(name) ?? UNREACHED;
  }

  #read(): void {
    const jumps = new Map<string, { target: string; unconditional: boolean }[]>();
    const callers = new Map<string, string[]>();
    const verdicts = new Map<string, number>();
    const deniedTail = new Set<string>();
    for (const chain of this.table.chains.values()) {
      let mask = 0;
      const targets: { target: string; unconditional: boolean }[] = [];
      for (const rule of chain.rules) {
        // Not `rule.fields`: that would keep what is read here for the life of the rule.
        const fields = rule.readFields();
        const effect = effectOf(fields);
        if (effect === 'accept') mask |= ACCEPTS;
        else if (effect === 'drop' || effect === 'reject') mask |= DENIES;
        const target = fields.target?.name;
        if (target !== undefined && this.table.chains.has(target)) {
          targets.push({ target, unconditional: isBlanket(fields) });
          const list = callers.get(target);
          if (list === undefined) callers.set(target, [chain.name]);
          else list.push(chain.name);
        }
      }
      jumps.set(chain.name, targets);
      verdicts.set(chain.name, mask);
      if (isDeniedTail(chain)) deniedTail.add(chain.name);
    }
    for (const bit of [ACCEPTS, DENIES]) spreadToCallers(verdicts, callers, bit);
    const bases = new Map<string, string[]>();
    const byAll = new Set<string>();
    const denied = new Set<string>();
    for (const base of this.table.chains.values()) {
      if (base.policy === null) continue;
      const denies = base.policy !== 'ACCEPT' || deniedTail.has(base.name);
      for (const name of walk(base.name, jumps, false)) {
        const list = bases.get(name);
        if (list === undefined) bases.set(name, [base.name]);
        else list.push(base.name);
        if (denies) denied.add(name);
      }
      for (const name of walk(base.name, jumps, true)) byAll.add(name);
    }
    for (const name of this.table.chains.keys()) {
      this.#chains.set(name, {
        bases: bases.get(name) ?? [],
        reachedByAll: byAll.has(name),
        deniedByDefault: denied.has(name),
        verdicts: verdicts.get(name) ?? 0,
      });
    }
  }
}

/** The last rule of the chain drops or rejects whatever got so far. */
function isDeniedTail(chain: IptablesChain): boolean {
  const last = chain.rules.at(-1);
  if (last === undefined) return false;
  const effect = effectOf(last.fields);
  return (effect === 'drop' || effect === 'reject') && isBlanket(last.fields);
}

function spreadToCallers(
  verdicts: Map<string, number>,
  callers: ReadonlyMap<string, readonly string[]>,
  bit: number,
): void {
  const waiting = [...verdicts].filter(([, mask]) => (mask & bit) !== 0).map(([name]) => name);
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    for (const caller of callers.get(name) ?? []) {
      const mask = verdicts.get(caller) ?? 0;
      if ((mask & bit) !== 0) continue;
      verdicts.set(caller, mask | bit);
      waiting.push(caller);
    }
  }
}

function walk(
  start: string,
  jumps: ReadonlyMap<string, readonly { target: string; unconditional: boolean }[]>,
  unconditionalOnly: boolean,
): Set<string> {
  const seen = new Set([start]);
  const waiting = [start];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    for (const { target, unconditional } of jumps.get(name) ?? []) {
      if (seen.has(target) || (unconditionalOnly && !unconditional)) continue;
      seen.add(target);
      waiting.push(target);
    }
  }
  return seen;
}

/** The contexts of a ruleset's tables, each made when it is first asked for. */
export class RulesetContext {
  readonly #ruleset: IptablesRuleset;
  readonly #tables = new Map<string, TableContext>();

  constructor(ruleset: IptablesRuleset) {
    this.#ruleset = ruleset;
  }

  table(name: string): TableContext {
    let context = this.#tables.get(name);
    if (context === undefined) {
      context = new TableContext(this.#ruleset.tables.get(name) ?? { name, chains: new Map() });
      this.#tables.set(name, context);
    }
    return context;
  }
}
