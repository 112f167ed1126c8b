import type { NftChain, NftChange } from '../nftables/index.ts';
import { MoveJudge } from './moves.ts';
import type { TableContext } from './nftables-context.ts';
import type { Effect } from './nftables-effects.ts';
import { effectsOf } from './nftables-place.ts';
import { ACCEPTS, DENIES, MARKS, NAT, TURNS } from './verdict-bits.ts';

type RuleChange = Extract<NftChange, { kind: `rule_${string}` }>;

const WEIGHTS: ReadonlyMap<Effect, number> = new Map<Effect, number>([
  ['accept', ACCEPTS],
  ['drop', DENIES],
  ['dnat', NAT],
  ['redirect', NAT],
  ['snat', NAT],
  ['masquerade', NAT],
  ['return', TURNS],
  ['goto', TURNS],
  ['queue', TURNS],
  ['notrack', TURNS],
  ['divert', TURNS],
  ['unknown', TURNS],
  ['mangle', MARKS],
]);

export function weightOf(effects: ReadonlySet<Effect>): number {
  let weight = 0;
  for (const effect of effects) weight |= WEIGHTS.get(effect) ?? 0;
  return weight;
}

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
