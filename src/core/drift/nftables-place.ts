import type { NftChain, NftRule } from '../nftables/index.ts';
import { chainIndex } from './nftables-chain-index.ts';
import type { TableContext } from './nftables-context.ts';
import type { Effect, RuleEffect } from './nftables-effects.ts';
import { namesWireServer } from './nftables-wireserver.ts';

/** Where a rule stands when it is judged. */
export interface RulePlace {
  readonly context: TableContext;
  readonly chain: NftChain;
  /** Index of the rule in the chain. */
  readonly position: number;
  /** A tool writes this chain when somebody asks it to (ufw, firewalld, docker): opening a port there is its job. */
  readonly isToolWritten: boolean;
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
  return chainIndex(chain.rules, context).lastWith('drop') > position;
}

/** Whether something after this place lets packets in: an accept, or a way out of the chain where the policy accepts. */
export function acceptsAfter({ context, chain, position }: RulePlace): boolean {
  const bases = context.baseChainsOf(chain.name);
  const ways: Effect[] = dropsByPolicy(bases) ? ['accept'] : ['accept', 'return', 'goto'];
  const index = chainIndex(chain.rules, context);
  if (ways.some((one) => index.lastWith(one) > position)) return true;
  return !chain.isBaseChain && bases.some((base) => ways.some((one) => context.closure(base.name).effects.has(one)));
}

/** Whether one of these rules, of those before `end`, accepts what a rule accepts: it asks for no more. */
export function isCovered(
  { conditions }: RuleEffect,
  { context }: RulePlace,
  rules: readonly NftRule[],
  end = rules.length,
): boolean {
  const first = chainIndex(rules, context).firstAccept(conditions);
  return first !== -1 && first < end;
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
