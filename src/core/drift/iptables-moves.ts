import type { IptablesRule, RuleChange, RuleFields } from '../iptables/index.ts';
import type { TableContext } from './iptables-context.ts';
import { effectOf, fillsRecentList } from './iptables-effect.ts';
import { describeRule } from './iptables-judge.ts';
import { MoveJudge } from './moves.ts';
import type { Assessment } from './severity.ts';
import { ACCEPTS, DENIES, MARKS, NAT, TURNS } from './verdict-bits.ts';

function weightOf(fields: RuleFields, table: TableContext): number {
  switch (effectOf(fields)) {
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
    case 'notrack':
    case 'unknown':
      return TURNS;
    case 'alter':
    case 'remember':
      return MARKS;
    default:
      return fillsRecentList(fields) ? MARKS : 0;
  }
}

/** Packets that this rule matches may not come to an accept below it: it drops them, or leads elsewhere. */
export function mayTakeAway(fields: RuleFields, table: TableContext): boolean {
  return (weightOf(fields, table) & (DENIES | TURNS)) !== 0;
}

/** Judges the moves of one chain. */
export class IptablesMoves {
  readonly #table: TableContext;
  readonly #judge: MoveJudge;

  /** @param table  the chain's table as it is now */
  constructor(
    before: readonly IptablesRule[],
    after: readonly IptablesRule[],
    changes: readonly RuleChange[],
    table: TableContext,
  ) {
    this.#table = table;
    const gone = new Set<number>();
    const came = new Set<number>();
    let movedWeight = 0;
    for (const change of changes) {
      if (change.kind === 'added') came.add(change.index);
      else if (change.kind === 'removed') gone.add(change.index);
      else {
        gone.add(change.fromIndex);
        came.add(change.toIndex);
        if (change.kind === 'moved') movedWeight |= weightOf(change.after.fields, table);
      }
    }
    const weights = after.map((rule) => weightOf(rule.readFields(), table));
    this.#judge = new MoveJudge({ lengthBefore: before.length, weights, gone, came, movedWeight });
  }

  judge({ after, fromIndex, toIndex }: RuleChange & { readonly kind: 'moved' }): Assessment {
    const what = `${describeRule(after.fields)} moved from position ${fromIndex + 1} to ${toIndex + 1}`;
    const { bases } = this.#table.chain(after.chain);
    if (bases.length === 0) return { severity: 'low', reason: `${what} in a chain that no hook reaches` };
    return this.#judge.judge(what, fromIndex, toIndex);
  }
}
