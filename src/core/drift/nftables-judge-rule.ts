import type { NftChain, NftRule } from '../nftables/index.ts';
import { WIRESERVER } from './addresses.ts';
import type { MoveJudge } from './moves.ts';
import { isFromAnywhere, isNearlyAll, namedPorts } from './nftables-breadth.ts';
import { chainIndex, effectsOf } from './nftables-chain-index.ts';
import { dropsAll } from './nftables-context.ts';
import type { Effect, Fill, RuleEffect } from './nftables-effects.ts';
import {
  acceptsAfter,
  blocksWireServer,
  canDropWithout,
  dropsByPolicy,
  isCovered,
  isForAll,
  isLoopbackOnly,
  isReplyOnly,
  type RulePlace,
  restingReason,
} from './nftables-place.ts';
import { stillMetCount } from './nftables-still-met.ts';
import { weightOf } from './nftables-weights.ts';
import { namesWireServer } from './nftables-wireserver.ts';
import { describeHooks, describeTraffic } from './nftables-words.ts';
import { sensitiveServiceIn } from './services.ts';
import { type Assessment, compareSeverity } from './severity.ts';

/** What a rule that now exists can do, and did not before. */
export function judgeRuleAdded(rule: NftRule, place: RulePlace): Assessment {
  const { context, chain } = place;
  const effect = context.effect(rule);
  const bases = context.baseChainsOf(chain.name);
  const traffic = describeTraffic(effect);
  const hooks = describeHooks(bases);
  const resting = restingReason(place, bases);
  if (resting !== null) return { severity: 'low', reason: `${traffic}: ${resting}` };
  if (context.isNeverMet(chain, place.position)) {
    return { severity: 'low', reason: `${capital(traffic)}: a rule above it decides on everything already` };
  }
  if (blocksWireServer(rule, effect, bases)) return wireServerBlocked();
  return worst(
    [
      ...[...effectsOf(effect, context)].map((one) =>
        judgeAddedEffect(one, effect, place, bases, trafficOf(one, effect, traffic), hooks),
      ),
      ...judgeFills(rule, place, `${capital(traffic)} now`),
    ],
    { severity: 'low', reason: `A rule that only counts, logs or remembers ${traffic} was added` },
  );
}

function judgeAddedEffect(
  one: Effect,
  effect: RuleEffect,
  place: RulePlace,
  bases: readonly NftChain[],
  traffic: string,
  hooks: string,
): Assessment {
  const { context } = place;
  const open = place.isToolWritten ? 'high' : 'critical';
  switch (one) {
    case 'accept': {
      if (bases.every((base) => base.type === 'nat')) {
        return { severity: 'high', reason: `Address translation no longer applies to ${traffic} at ${hooks}` };
      }
      if (isForAll('accept', effect, context)) {
        return { severity: 'critical', reason: `All traffic is now accepted at ${hooks}, whatever follows` };
      }
      if (isLoopbackOnly(effect)) return { severity: 'medium', reason: `Loopback traffic is now accepted at ${hooks}` };
      if (!canDropWithout(place, bases)) {
        return {
          severity: 'low',
          reason: `${traffic} is accepted at ${hooks} by a new rule; nothing dropped it before`,
        };
      }
      if (isCovered(effect, place, place.chain.rules, place.position)) {
        return {
          severity: 'low',
          reason: `${capital(traffic)} is accepted at ${hooks} by a new rule; an earlier one did so before`,
        };
      }
      if (isReplyOnly(effect))
        return { severity: 'medium', reason: `Replies of known connections are now accepted at ${hooks}` };
      return judgeOpened(effect, place, bases, `${capital(traffic)} is now accepted at ${hooks}`);
    }
    case 'drop': {
      const acceptsLater = acceptsAfter(place);
      if (isForAll('drop', effect, context) && (acceptsLater || !dropsByPolicy(bases))) {
        return { severity: 'critical', reason: `All traffic that gets this far is now dropped at ${hooks}` };
      }
      if (bases.every((base) => context.deniesByDefault(base)) && !acceptsLater) {
        return {
          severity: 'medium',
          reason: `${capital(traffic)} is dropped at ${hooks} by a new rule; nothing accepted it after this point`,
        };
      }
      return { severity: 'critical', reason: `${capital(traffic)} is now dropped at ${hooks}` };
    }
    case 'dnat':
    case 'redirect':
      return { severity: open, reason: `${capital(traffic)} is now sent to another destination at ${hooks}` };
    case 'snat':
    case 'masquerade':
      return { severity: 'high', reason: `${capital(traffic)} now leaves with another source address` };
    case 'notrack':
      return {
        severity: effect.isBlanket ? 'critical' : 'high',
        reason: `${capital(traffic)} is no longer tracked: stateful rules do not see it`,
      };
    case 'queue':
      return { severity: 'high', reason: `${capital(traffic)} is now decided by a program outside of the firewall` };
    case 'return':
      return judgeReturn(place, effect, traffic, 'now');
    case 'divert':
      return { severity: 'high', reason: `${capital(traffic)} is now diverted or copied at ${hooks}` };
    case 'mangle':
      return { severity: 'medium', reason: `${capital(traffic)} is now marked or rewritten at ${hooks}` };
    case 'expect':
      return {
        severity: 'medium',
        reason: `Connections that ${traffic} announces now count as related, which rules may accept`,
      };
    case 'unknown':
      return { severity: 'high', reason: `A rule was added at ${hooks} that this version cannot read in full` };
    case 'jump':
    case 'goto': {
      const through: Assessment = {
        severity: 'medium',
        reason: `${capital(traffic)} now goes through chain ${effect.targets[0] ?? ''}`,
      };
      // Whatever a goto's chain does not decide skips what stands below, as after a return.
      return effect.flat.goto_target === null
        ? through
        : worst([judgeReturn(place, effect, traffic, 'now'), through], through);
    }
  }
}

/** What a rule only remembers, others may decide by: who knocks is let in by the next rule. */
function judgeFills(rule: NftRule, { context }: RulePlace, what: string): Assessment[] {
  return context
    .effect(rule)
    .fills.filter(({ set }) => context.decidesBy(set, rule))
    .map(({ set }) => ({ severity: 'high', reason: `${what} fills set ${set}, by which other rules decide` }));
}

/** What a rule that is gone did, and nothing does now. `place.context` is the baseline's, `now` the current one. */
export function judgeRuleRemoved(rule: NftRule, place: RulePlace, now: NftChain | undefined): Assessment {
  const { context, chain } = place;
  const effect = context.effect(rule);
  const bases = context.baseChainsOf(chain.name);
  const traffic = describeTraffic(effect);
  const hooks = describeHooks(bases);
  const resting = restingReason(place, bases);
  if (resting !== null) return { severity: 'low', reason: `A rule for ${traffic} is gone; ${resting}` };
  if (context.isNeverMet(chain, place.position)) {
    return { severity: 'low', reason: `A rule for ${traffic} is gone; a rule above it decided on everything` };
  }
  const equal = now === undefined ? -1 : chainIndex(now.rules, context).firstWith(rule.identity);
  if (now !== undefined && equal !== -1 && !effect.isHidden && equal < stillMetCount(effect, place, now)) {
    return { severity: 'low', reason: `A rule for ${traffic} is gone; the chain still has the same rule` };
  }
  return worst(
    [
      ...[...effectsOf(effect, context)].map((one) =>
        judgeRemovedEffect(one, rule, effect, place, bases, trafficOf(one, effect, traffic), hooks, now),
      ),
      ...judgeFills(rule, place, `${capital(traffic)} no longer`),
    ],
    { severity: 'low', reason: `A rule that only counted, logged or remembered ${traffic} is gone` },
  );
}

function judgeRemovedEffect(
  one: Effect,
  rule: NftRule,
  effect: RuleEffect,
  place: RulePlace,
  bases: readonly NftChain[],
  traffic: string,
  hooks: string,
  now: NftChain | undefined,
): Assessment {
  switch (one) {
    case 'accept': {
      if (bases.every((base) => base.type === 'nat')) {
        return { severity: 'high', reason: `Address translation now applies to ${traffic} at ${hooks}` };
      }
      if (!canDropWithout(place, bases)) {
        return { severity: 'low', reason: `The accept for ${traffic} is gone; nothing drops it at ${hooks}` };
      }
      if (now !== undefined && isCovered(effect, place, now.rules, stillMetCount(effect, place, now))) {
        return { severity: 'medium', reason: `The accept for ${traffic} is gone; a wider one remains` };
      }
      if (namesWireServer(rule.expr)) return wireServerBlocked();
      return {
        severity: 'critical',
        reason: `${capital(traffic)} is no longer accepted at ${hooks}: possible lock-out`,
      };
    }
    case 'drop': {
      const context = place.context;
      const isBackstop = isForAll('drop', effect, context);
      const denies = isBackstop ? dropsByPolicy(bases) : bases.every((base) => context.deniesByDefault(base));
      if (denies && !acceptsAfter(place)) {
        return { severity: 'medium', reason: `The drop for ${traffic} is gone; the rest is still dropped at ${hooks}` };
      }
      return { severity: 'critical', reason: `${capital(traffic)} is no longer dropped at ${hooks}` };
    }
    case 'dnat':
    case 'redirect':
      return { severity: 'high', reason: `${capital(traffic)} is no longer sent to another destination` };
    case 'snat':
    case 'masquerade':
      return {
        severity: 'high',
        reason: `${capital(traffic)} no longer gets a translated source address: outbound access may fail`,
      };
    case 'notrack':
      return { severity: 'medium', reason: `${capital(traffic)} is tracked again` };
    case 'queue':
      return {
        severity: 'high',
        reason: `${capital(traffic)} is no longer inspected by a program outside of the firewall`,
      };
    case 'return':
      return judgeReturn(place, effect, traffic, 'no longer');
    case 'divert':
      return { severity: 'high', reason: `${capital(traffic)} is no longer diverted or copied` };
    case 'mangle':
      return { severity: 'medium', reason: `${capital(traffic)} is no longer marked or rewritten` };
    case 'expect':
      return { severity: 'medium', reason: `Connections that ${traffic} announces no longer count as related` };
    case 'unknown':
      return { severity: 'high', reason: `A rule that this version cannot read in full is gone from ${hooks}` };
    case 'jump':
    case 'goto':
      return {
        severity: 'medium',
        reason: `${capital(traffic)} no longer goes through chain ${effect.targets[0] ?? ''}`,
      };
  }
}

/** A rule in the same place with other content. */
export function judgeRuleModified(
  before: { readonly rule: NftRule; readonly place: RulePlace },
  after: { readonly rule: NftRule; readonly place: RulePlace },
): Assessment {
  const was = before.place.context.effect(before.rule);
  const is = after.place.context.effect(after.rule);
  if (before.rule.identity === after.rule.identity)
    return { severity: 'low', reason: 'Only the comment of the rule changed' };
  const bases = after.place.context.baseChainsOf(after.place.chain.name);
  const sameActions = sameTexts(was.actions, is.actions);
  const textOf = ({ text }: Fill): string => text;
  if (sameActions && sameTexts(was.conditions, is.conditions)) {
    const fills = sameTexts(was.fills.map(textOf), is.fills.map(textOf))
      ? []
      : [
          ...judgeFills(before.rule, before.place, `${capital(describeTraffic(was))} no longer`),
          ...judgeFills(after.rule, after.place, `${capital(describeTraffic(is))} now`),
        ];
    return worst(fills, {
      severity: 'low',
      reason: 'Only counting, logging or remembering changed; the same packets meet the same verdict',
    });
  }
  const resting = restingReason(after.place, bases);
  if (resting !== null) return { severity: 'low', reason: `A rule changed; ${resting}` };
  const isNeverMet = ({ context, chain, position }: RulePlace): boolean => context.isNeverMet(chain, position);
  if (isNeverMet(before.place) && isNeverMet(after.place)) {
    return { severity: 'low', reason: 'A rule changed; a rule above it decides on everything' };
  }
  const traffic = describeTraffic(is);
  const hooks = describeHooks(bases);
  const swapped =
    (was.effects.has('jump') && is.effects.has('goto')) || (was.effects.has('goto') && is.effects.has('jump'));
  if (swapped && !sameActions) {
    return {
      severity: 'critical',
      reason: `${capital(traffic)}: jump and goto were exchanged at ${hooks}: after the chain ${is.targets[0] ?? ''} ends, other rules decide`,
    };
  }
  const stopsAll = ({ rule, place }: typeof before): boolean =>
    onlyActs(place.context.effect(rule), ['drop']) && dropsAll(rule, place.context.table);
  if (sameTexts(was.conditions, is.conditions) && stopsAll(before) && stopsAll(after)) {
    return {
      severity: 'low',
      reason: `${capital(traffic)} is stopped as before at ${hooks}: only the answer to it changed`,
    };
  }
  if (blocksWireServer(after.rule, is, bases)) return wireServerBlocked();
  if (sameActions && onlyLimitsDiffer(was, is)) {
    return { severity: 'medium', reason: `The limit of the rule for ${traffic} changed at ${hooks}` };
  }
  if (sameActions && onlyActs(is, ['accept'])) {
    const added = judgeRuleAdded(after.rule, after.place);
    const removed = judgeRuleRemoved(before.rule, before.place, undefined);
    const worse = compareSeverity(added.severity, removed.severity) <= 0 ? added : removed;
    return {
      severity: worse.severity,
      reason: `What is accepted at ${hooks} changed from ${describeTraffic(was)} to ${traffic}`,
    };
  }
  if (sameActions && onlyActs(is, ['drop'])) {
    return {
      severity: 'critical',
      reason: `What is dropped at ${hooks} changed from ${describeTraffic(was)} to ${traffic}`,
    };
  }
  if (acts(was, 'dnat') && acts(is, 'dnat')) {
    return { severity: 'critical', reason: `${capital(traffic)} is now sent to another destination at ${hooks}` };
  }
  const sides = [judgeRuleRemoved(before.rule, before.place, undefined), judgeRuleAdded(after.rule, after.place)];
  return worst(sides, { severity: 'medium', reason: 'The rule changed' });
}

/** An accept where the rest is dropped: as loud as what it opens, and to whom. */
function judgeOpened(effect: RuleEffect, place: RulePlace, bases: readonly NftChain[], what: string): Assessment {
  if (bases.every((base) => base.hook === 'output')) return { severity: 'medium', reason: what };
  const rule = place.chain.rules[place.position];
  if (rule === undefined || !isFromAnywhere(rule, place.context.table)) return { severity: 'medium', reason: what };
  const acceptsAll =
    effect.effects.has('accept') ||
    effect.targets.some((target) => place.context.closure(target).blanket.has('accept'));
  if (acceptsAll && isNearlyAll(rule, effect, place.context.table)) {
    return { severity: place.isToolWritten ? 'high' : 'critical', reason: `${what}: nearly everything can get in so` };
  }
  if (place.context.dropsOnlySome) {
    return { severity: 'medium', reason: `${what} and overtakes the rules that drop some senders` };
  }
  const service = sensitiveServiceIn(namedPorts(rule, place.context.table));
  if (service === null || place.isToolWritten) return { severity: 'high', reason: `${what}, from any source` };
  return { severity: 'critical', reason: `${what}: ${service.name} is open to any source` };
}

/**
 * A rule that stands elsewhere among its neighbours: an accept that changes places with a drop decides other packets,
 * one that passes only other accepts does not.
 */
export function judgeRuleMoved(rule: NftRule, place: RulePlace, from: number, moves: MoveJudge): Assessment {
  const { context, chain, position } = place;
  const effect = context.effect(rule);
  const bases = context.baseChainsOf(chain.name);
  const resting = restingReason(place, bases);
  if (resting !== null) return { severity: 'low', reason: `A rule moved; ${resting}` };
  const effects = effectsOf(effect, context);
  if (weightOf(effects) === 0) {
    return { severity: 'low', reason: `A rule that decides nothing moved within chain ${chain.name}` };
  }
  const does = ` (${[...effects].join(', ')})`;
  const where = `${position < from ? 'up' : 'down'} at ${describeHooks(bases)}`;
  return moves.judge(`The rule for ${describeTraffic(effect)}${does} moved ${where}`, from, position);
}

const DECISIVE: readonly Effect[] = [
  'accept',
  'drop',
  'return',
  'jump',
  'goto',
  'dnat',
  'redirect',
  'snat',
  'masquerade',
  'queue',
  'notrack',
  'divert',
  'unknown',
];

/** A rule deleted and added again: nothing, unless nft hides what is in it. */
export function judgeRuleRecreated(rule: NftRule, place: RulePlace): Assessment & { readonly isHidden: boolean } {
  const effect = place.context.effect(rule);
  if (!effect.isHidden)
    return { severity: 'low', reason: 'The same rule was deleted and added again', isHidden: false };
  return {
    severity: namesWireServer(rule.expr) ? 'critical' : 'high',
    reason: `A rule with an xt ${effect.flat.verdict === null ? 'extension' : 'match'} was replaced: nft does not show its parameters, so they may have changed${
      namesWireServer(rule.expr) ? `; it is for the Azure WireServer ${WIRESERVER}` : ''
    }`,
    isHidden: true,
  };
}

/** What a chain does that a rule leads to, it does with what its own rules match. */
function trafficOf(one: Effect, effect: RuleEffect, traffic: string): string {
  return effect.effects.has(one) ? traffic : `what chain ${effect.targets[0] ?? ''} picks of ${traffic}`;
}

function judgeReturn(place: RulePlace, effect: RuleEffect, traffic: string, when: string): Assessment {
  const index = chainIndex(place.chain.rules, place.context);
  if (!DECISIVE.some((one) => index.lastWith(one) > place.position))
    return {
      severity: 'low',
      reason: `${capital(traffic)} ${when} leaves chain ${place.chain.name} early; nothing after decides`,
    };
  return {
    severity: effect.isBlanket ? 'critical' : 'high',
    reason: `${capital(traffic)} ${when} skips the rest of chain ${place.chain.name}`,
  };
}

function wireServerBlocked(): Assessment {
  return {
    severity: 'critical',
    reason: `The Azure WireServer ${WIRESERVER} is now blocked: the guest agent, Run Command and extensions stop working`,
  };
}

function onlyLimitsDiffer(a: RuleEffect, b: RuleEffect): boolean {
  const isTurned = (effect: RuleEffect): string => effect.conditions.map((text) => text.includes('"inv":true')).join();
  if (isTurned(a) !== isTurned(b)) return false;
  const others = (effect: RuleEffect): string[] =>
    effect.conditions.filter((text) => !/^\{"(limit|quota|ct count|meter)"/.test(text));
  return sameTexts(others(a), others(b)) && a.conditions.length === b.conditions.length;
}

function sameTexts(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((text, index) => text === b[index]);
}

function acts(effect: RuleEffect, one: Effect): boolean {
  return effect.effects.has(one);
}

function onlyActs(effect: RuleEffect, effects: readonly Effect[]): boolean {
  return effect.effects.size === effects.length && effects.every((one) => effect.effects.has(one));
}

export function worst(assessments: readonly Assessment[], otherwise: Assessment): Assessment {
  let found: Assessment | null = null;
  for (const one of assessments) {
    if (found === null || compareSeverity(one.severity, found.severity) < 0) found = one;
  }
  return found ?? otherwise;
}

/** For the start of a sentence; `tcp/8080` stays as the field writes it. */
export function capital(text: string): string {
  return /^[a-z]+\/|^port /.test(text) ? text : `${text.slice(0, 1).toUpperCase()}${text.slice(1)}`;
}
