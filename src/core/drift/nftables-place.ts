import type { NftChain, NftRule } from '../nftables/index.ts';
import type { TableContext } from './nftables-context.ts';
import type { Effect, RuleEffect } from './nftables-effects.ts';
import { weightOf } from './nftables-weights.ts';
import { namesWireServer } from './nftables-wireserver.ts';
import { ACCEPTS, DENIES, MARKS } from './verdict-bits.ts';

/** Where a rule stands when it is judged. */
export interface RulePlace {
  readonly context: TableContext;
  readonly chain: NftChain;
  /** Index of the rule in the chain. */
  readonly position: number;
  /** A tool writes this chain when somebody asks it to (ufw, firewalld, docker): opening a port there is its job. */
  readonly isToolWritten: boolean;
}

/** The effects of a rule; a jump does what its chain does. */
export function effectsOf(effect: RuleEffect, context: TableContext): ReadonlySet<Effect> {
  if (effect.targets.length === 0) return effect.effects;
  const all = new Set(effect.effects);
  for (const target of effect.targets) {
    for (const one of context.closure(target).effects) if (one !== 'return') all.add(one);
  }
  return all;
}

/** Why a rule there does nothing for now, or null. */
export function restingReason({ context, chain }: RulePlace, bases: readonly NftChain[]): string | null {
  if (context.isDormant) return 'its table is dormant';
  return bases.length === 0 ? `no base chain leads to ${chain.name}` : null;
}

/** Whether something drops what a rule here accepts: the policy or a rule that comes after it. */
export function canDropWithout(place: RulePlace, bases: readonly NftChain[]): boolean {
  const { context, chain, position } = place;
  if (bases.some((base) => context.deniesByDefault(base))) return true;
  if (bases.some((base) => base.name !== chain.name && context.closure(base.name).effects.has('drop'))) return true;
  return chain.rules.slice(position + 1).some((rule) => effectsOf(context.effect(rule), context).has('drop'));
}

export function acceptsAfter({ context, chain, position }: RulePlace): boolean {
  const after = chain.rules.slice(position + 1);
  if (after.some((rule) => effectsOf(context.effect(rule), context).has('accept'))) return true;
  if (chain.isBaseChain) return false;
  return context.baseChainsOf(chain.name).some((base) => context.closure(base.name).effects.has('accept'));
}

/** Whether one of these rules accepts what a rule accepts: it asks for no more. */
export function isCovered(effect: RuleEffect, place: RulePlace, rules: readonly NftRule[]): boolean {
  const wanted = new Set(effect.conditions);
  return rules.some((rule) => {
    const other = place.context.effect(rule);
    if (other.isHidden || !other.effects.has('accept') || other.effects.size > 1) return false;
    return other.conditions.every((text) => wanted.has(text));
  });
}

/**
 * The rules of the chain as it is `now` that packets of a rule that went still meet, up to the first that decides
 * otherwise: an equal rule below that one is no replacement.
 */
export function stillMet(
  effect: RuleEffect,
  { context, chain, position }: RulePlace,
  now: NftChain,
): readonly NftRule[] {
  const own = weightOf(effectsOf(effect, context));
  const same = own === ACCEPTS || own === DENIES ? own | MARKS : 0;
  // What stood above it took its part of these packets before, too.
  const above = new Set(chain.rules.slice(0, position).map(({ identity }) => identity));
  const decides = (rule: NftRule): boolean => (weightOf(effectsOf(context.effect(rule), context)) & ~same) !== 0;
  const end = now.rules.findIndex((rule) => !above.has(rule.identity) && decides(rule));
  // What decides otherwise may be what was sought, of two effects.
  return end === -1 ? now.rules : now.rules.slice(0, end + 1);
}

/** Whether a rule does this to every packet that reaches it, by itself or by a chain it leads to. */
export function isForAll(one: Effect, effect: RuleEffect, context: TableContext): boolean {
  if (!effect.isBlanket) return false;
  return effect.effects.has(one) || effect.targets.some((target) => context.closure(target).blanket.has(one));
}

export function dropsByPolicy(bases: readonly NftChain[]): boolean {
  return bases.every((base) => base.policy === 'drop');
}

export function isLoopbackOnly(effect: RuleEffect): boolean {
  const field = effect.flat.fields.get('in_interface') ?? effect.flat.fields.get('out_interface');
  return field !== undefined && field.value === 'lo' && !field.negated;
}

export function isReplyOnly(effect: RuleEffect): boolean {
  const field = effect.flat.fields.get('ct_state');
  return field !== undefined && !field.negated && /^(established|related|,)+$/.test(field.value);
}

export function blocksWireServer(rule: NftRule, effect: RuleEffect, bases: readonly NftChain[]): boolean {
  return (
    effect.effects.has('drop') &&
    bases.some((base) => base.hook === 'output' || base.hook === 'postrouting') &&
    namesWireServer(rule.expr)
  );
}
