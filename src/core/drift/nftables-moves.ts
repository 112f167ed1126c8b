import type { NftChain, NftChange } from '../nftables/index.ts';
import { MoveJudge } from './moves.ts';
import { effectsOf } from './nftables-chain-index.ts';
import type { TableContext } from './nftables-context.ts';
import { weightOf } from './nftables-weights.ts';

type RuleChange = Extract<NftChange, { kind: `rule_${string}` }>;

/** @param context  the chain's table as it is now */
export function moveJudge(
  before: NftChain,
  after: NftChain,
  changes: readonly RuleChange[],
  context: TableContext,
): MoveJudge {
  const gone = new Set<number>();
  const came = new Set<number>();
  let movedWeight = 0;
  for (const change of changes) {
    if (!('baselinePosition' in change)) (change.kind === 'rule_added' ? came : gone).add(change.position);
    else if (change.kind !== 'rule_recreated') {
      gone.add(change.baselinePosition);
      came.add(change.currentPosition);
      if (change.kind === 'rule_repositioned') {
        movedWeight |= weightOf(effectsOf(context.effect(change.after), context));
      }
    }
  }
  const weights = after.rules.map((rule) => weightOf(effectsOf(context.effect(rule), context)));
  return new MoveJudge({ lengthBefore: before.rules.length, weights, gone, came, movedWeight });
}
