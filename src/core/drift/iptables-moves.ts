import type { IptablesRule, RuleChange, RuleFields } from '../iptables/index.ts';
import type { TableContext } from './iptables-context.ts';
import { ACCEPTS, DENIES, effectOf } from './iptables-effect.ts';
import { describeRule } from './iptables-judge.ts';
import type { Assessment } from './severity.ts';

/** What a rule's verdict is worth to its neighbours: whether passing them changes which of two rules decides. */
const NAT = 4;
const TURNS = 8;

function weightOf(fields: RuleFields, table: TableContext): number {
  const effect = effectOf(fields);
  switch (effect) {
    case 'accept':
      return ACCEPTS;
    case 'drop':
    case 'reject':
      return DENIES;
    case 'chain': {
      const verdicts = table.chain(fields.target?.name ?? '').verdicts;
      return fields.goto ? verdicts | TURNS : verdicts;
    }
    case 'destination-nat':
    case 'source-nat':
      return NAT;
    case 'return':
    case 'queue':
    case 'unknown':
      return TURNS;
    default:
      return 0;
  }
}

/**
 * Judges the moves of one chain by what each moved rule passed: an accept that changes places with a drop decides
 * other packets, one that passes only other accepts does not. Linear: verdicts are counted along the kept rules.
 */
export class MoveJudge {
  readonly #table: TableContext;
  readonly #accepts: number[] = [0];
  readonly #denies: number[] = [0];
  readonly #nats: number[] = [0];
  readonly #turns: number[] = [0];
  readonly #keptBefore: Uint32Array;
  readonly #keptAfter: Uint32Array;
  readonly #movedWeights: number;

  constructor(
    before: readonly IptablesRule[],
    after: readonly IptablesRule[],
    changes: readonly RuleChange[],
    table: TableContext,
  ) {
    this.#table = table;
    const gone = new Set<number>();
    const came = new Set<number>();
    let moved = 0;
    for (const change of changes) {
      if (change.kind === 'added') came.add(change.index);
      else if (change.kind === 'removed') gone.add(change.index);
      else {
        gone.add(change.fromIndex);
        came.add(change.toIndex);
        if (change.kind === 'moved') moved |= weightOf(change.after.fields, table);
      }
    }
    this.#movedWeights = moved;
    this.#keptBefore = keptUpTo(before.length, gone);
    this.#keptAfter = keptUpTo(after.length, came);
    for (const [index, rule] of after.entries()) {
      if (came.has(index)) continue;
      const weight = weightOf(rule.readFields(), table);
      for (const [counts, bit] of [
        [this.#accepts, ACCEPTS],
        [this.#denies, DENIES],
        [this.#nats, NAT],
        [this.#turns, TURNS],
      ] as const) {
        counts.push((counts.at(-1) ?? 0) + ((weight & bit) === 0 ? 0 : 1));
      }
    }
  }

  judge(change: RuleChange & { readonly kind: 'moved' }): Assessment {
    const fields = change.after.fields;
    const what = `${describeRule(fields)} moved from position ${change.fromIndex + 1} to ${change.toIndex + 1}`;
    const context = this.#table.chain(change.after.chain);
    if (context.bases.length === 0) return { severity: 'low', reason: `${what} in a chain that no hook reaches` };
    const weight = weightOf(fields, this.#table);
    const from = this.#keptBefore[change.fromIndex] ?? 0;
    const to = this.#keptAfter[change.toIndex] ?? 0;
    const passed = this.#passed(Math.min(from, to), Math.max(from, to));
    if (contradicts(weight, passed)) {
      return { severity: 'critical', reason: `${what}: it changed places with rules that decide the opposite` };
    }
    if ((weight & TURNS) !== 0 ? passed !== 0 : (passed & TURNS) !== 0 && weight !== 0) {
      return { severity: 'high', reason: `${what}: other rules than before are met first` };
    }
    if ((weight & NAT) !== 0 && (passed & NAT) !== 0) {
      return { severity: 'high', reason: `${what}: of two translations the other one may be made` };
    }
    if (contradicts(weight, this.#movedWeights)) {
      return { severity: 'high', reason: `${what}, together with rules that decide the opposite` };
    }
    return { severity: 'low', reason: `${what}: no rule that it passed decides otherwise` };
  }

  #passed(low: number, high: number): number {
    const any = (counts: readonly number[]): boolean => (counts[high] ?? 0) > (counts[low] ?? 0);
    return (
      (any(this.#accepts) ? ACCEPTS : 0) |
      (any(this.#denies) ? DENIES : 0) |
      (any(this.#nats) ? NAT : 0) |
      (any(this.#turns) ? TURNS : 0)
    );
  }
}

function contradicts(a: number, b: number): boolean {
  return ((a & ACCEPTS) !== 0 && (b & DENIES) !== 0) || ((a & DENIES) !== 0 && (b & ACCEPTS) !== 0);
}

/** For each index how many rules before it stayed. */
function keptUpTo(length: number, gone: ReadonlySet<number>): Uint32Array {
  const counts = new Uint32Array(length + 1);
  for (let index = 0; index < length; index += 1) {
    counts[index + 1] = (counts[index] as number) + (gone.has(index) ? 0 : 1);
  }
  return counts;
}
