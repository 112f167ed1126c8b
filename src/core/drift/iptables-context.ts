import type { IptablesChain, IptablesRuleset, IptablesTable } from '../iptables/index.ts';
import { isBlanket, isPlainBlanket, isUnconditional } from './iptables-breadth.ts';
import { denies, effectOf } from './iptables-effect.ts';
import { ACCEPTS, DENIES } from './verdict-bits.ts';

/** What a chain can do to the packets of the hooks that reach it. */
export interface ChainContext {
  /** Built-in chains from which packets get here; itself for a built-in chain. Empty: nothing gets here. */
  readonly bases: readonly string[];
  /** Some path of jumps without conditions leads here from a built-in chain. */
  readonly reachedByAll: boolean;
  /** What no rule decides is dropped or rejected, by the policy or by a rule for nearly all, on some way to here. */
  readonly deniedByDefault: boolean;
  /** Verdicts that can fall in this chain or in one it jumps to: a sum of ACCEPTS and DENIES. */
  readonly verdicts: number;
  /** Index of the first rule below which no packet gets; Infinity when there is none. */
  readonly finalIndex: number;
}

const UNREACHED: ChainContext = {
  bases: [],
  reachedByAll: false,
  deniedByDefault: false,
  verdicts: 0,
  finalIndex: Number.POSITIVE_INFINITY,
};

interface Jump {
  readonly target: string;
  readonly index: number;
  readonly isBlanket: boolean;
  /** Without any condition, and no goto. */
  readonly isForAll: boolean;
  /** What the target drops of everything is dropped of nearly everything here. */
  readonly passesDenialOn: boolean;
}

/** What one chain's own rules say. */
interface Reading {
  readonly jumps: readonly Jump[];
  readonly verdicts: number;
  /** A rule drops or rejects nearly everything that gets to it. */
  readonly deniesNearlyAll: boolean;
  readonly finalIndex: number;
  /** The final rule accepts, drops or rejects. */
  readonly endsInVerdict: boolean;
  /** Index of the first rule by which packets leave the chain for its caller. */
  readonly leftAt: number;
}

/** One table of one side, read once for its jumps and verdicts. Linear in its rules, whatever its jumps look like. */
export class TableContext {
  readonly table: IptablesTable;
  /** Every interface that a rule names, negated or not. */
  readonly interfaces: ReadonlySet<string>;
  readonly #chains = new Map<string, ChainContext>();

  constructor(table: IptablesTable) {
    this.table = table;
    const interfaces = new Set<string>();
    this.interfaces = interfaces;
    this.#read(interfaces);
  }

  chain(name: string): ChainContext {
    return this.#chains.get(name) ?? UNREACHED;
  }

  #read(interfaces: Set<string>): void {
    const chains = this.table.chains;
    const readings = new Map([...chains.values()].map((chain) => [chain.name, readChain(chain, chains, interfaces)]));
    const callers = new Map<string, string[]>();
    for (const [name, { jumps }] of readings) {
      for (const { target } of jumps) {
        const list = callers.get(target);
        if (list === undefined) callers.set(target, [name]);
        else list.push(name);
      }
    }
    const verdicts = new Map([...readings].map(([name, reading]) => [name, reading.verdicts]));
    for (const bit of [ACCEPTS, DENIES]) spreadToCallers(verdicts, callers, bit);
    const jumpsTo = (isIncluded: (jump: Jump) => boolean) => (name: string) =>
      (readings.get(name)?.jumps ?? []).filter(isIncluded).map(({ target }) => target);
    const all = jumpsTo(() => true);
    const blanket = jumpsTo((jump) => jump.isBlanket);
    const bases = new Map<string, string[]>();
    const byAll = new Set<string>();
    const denying = denyingChains(readings);
    const deniedAt: string[] = [];
    for (const base of chains.values()) {
      if (base.policy === null) continue;
      if (base.policy !== 'ACCEPT') deniedAt.push(base.name);
      for (const name of walk([base.name], all)) {
        const list = bases.get(name);
        if (list === undefined) bases.set(name, [base.name]);
        else list.push(base.name);
      }
      for (const name of walk([base.name], blanket)) byAll.add(name);
    }
    for (const name of denying) if (bases.has(name)) deniedAt.push(name);
    const denied = walk(deniedAt, all);
    const finals = finalIndexes(readings);
    for (const name of chains.keys()) {
      this.#chains.set(name, {
        bases: bases.get(name) ?? [],
        reachedByAll: byAll.has(name),
        deniedByDefault: denied.has(name),
        verdicts: verdicts.get(name) ?? 0,
        finalIndex: finals.get(name) ?? Number.POSITIVE_INFINITY,
      });
    }
  }
}

/** @param interfaces  gets those that the rules name */
function readChain(chain: IptablesChain, chains: IptablesTable['chains'], interfaces: Set<string>): Reading {
  const jumps: Jump[] = [];
  let verdicts = 0;
  let deniesNearlyAll = false;
  let finalIndex = Number.POSITIVE_INFINITY;
  let endsInVerdict = false;
  let leftAt = Number.POSITIVE_INFINITY;
  for (const [index, rule] of chain.rules.entries()) {
    // Not `rule.fields`: that would keep what is read here for the life of the rule.
    const fields = rule.readFields();
    for (const name of [fields.inInterface, fields.outInterface]) if (name !== null) interfaces.add(name);
    const effect = effectOf(fields);
    const isDenial = denies(effect);
    if (effect === 'accept') verdicts |= ACCEPTS;
    else if (isDenial) verdicts |= DENIES;
    const target = fields.target?.name;
    const isJump = target !== undefined && chains.has(target);
    const isForNearlyAll =
      (isDenial || isJump) && (index === chain.rules.length - 1 ? isBlanket(fields) : isPlainBlanket(fields));
    if (isDenial && isForNearlyAll) deniesNearlyAll = true;
    if (isJump) {
      jumps.push({
        target,
        index,
        isBlanket: isBlanket(fields),
        isForAll: !fields.goto && isUnconditional(fields),
        passesDenialOn: isForNearlyAll,
      });
    }
    const isLeaving = effect === 'return' || fields.goto;
    if (isLeaving && leftAt === Number.POSITIVE_INFINITY) leftAt = index;
    if (finalIndex < index || !(effect === 'accept' || isDenial || isLeaving) || !isUnconditional(fields)) continue;
    finalIndex = index;
    endsInVerdict = !isLeaving;
  }
  return { jumps, verdicts, deniesNearlyAll, finalIndex, endsInVerdict, leftAt };
}

interface Call extends Jump {
  readonly caller: string;
}

/** Of the jumps that are included, those to each chain. */
function callsOf(readings: ReadonlyMap<string, Reading>, isIncluded: (jump: Jump) => boolean): Map<string, Call[]> {
  const calls = new Map<string, Call[]>();
  for (const [caller, { jumps }] of readings) {
    for (const jump of jumps) {
      if (!isIncluded(jump)) continue;
      const call = { ...jump, caller };
      const list = calls.get(jump.target);
      if (list === undefined) calls.set(jump.target, [call]);
      else list.push(call);
    }
  }
  return calls;
}

/** Chains in which nearly everything that no rule decides is dropped, there or in a chain that they send it to. */
function denyingChains(readings: ReadonlyMap<string, Reading>): Set<string> {
  const calls = callsOf(readings, ({ passesDenialOn }) => passesDenialOn);
  const denying = [...readings].filter(([, { deniesNearlyAll }]) => deniesNearlyAll).map(([name]) => name);
  return walk(denying, (name) => (calls.get(name) ?? []).map(({ caller }) => caller));
}

/** For each chain the first rule below which no packet gets: it decides itself, or its chain always does. */
function finalIndexes(readings: ReadonlyMap<string, Reading>): Map<string, number> {
  const calls = callsOf(readings, ({ isForAll }) => isForAll);
  const finals = new Map([...readings].map(([name, { finalIndex }]) => [name, finalIndex]));
  const always = [...readings]
    .filter(([, { finalIndex, endsInVerdict, leftAt }]) => endsInVerdict && finalIndex < leftAt)
    .map(([name]) => name);
  walk(always, (name) =>
    (calls.get(name) ?? []).flatMap(({ caller, index }) => {
      finals.set(caller, Math.min(index, finals.get(caller) ?? index));
      return index < (readings.get(caller)?.leftAt ?? 0) ? [caller] : [];
    }),
  );
  return finals;
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

function walk(starts: readonly string[], jumpsOf: (name: string) => readonly string[]): Set<string> {
  const seen = new Set(starts);
  const waiting = [...starts];
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    for (const target of jumpsOf(name)) {
      if (seen.has(target)) continue;
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
