import type { Effect } from './nftables-effects.ts';
import { ACCEPTS, DENIES, MARKS, NAT, TURNS } from './verdict-bits.ts';

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

/** What effects come to: a sum of the verdict bits. */
export function weightOf(effects: ReadonlySet<Effect>): number {
  let weight = 0;
  for (const effect of effects) weight |= WEIGHTS.get(effect) ?? 0;
  return weight;
}
