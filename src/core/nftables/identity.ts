import { createHash } from 'node:crypto';
import type { NftRule } from './model.ts';

/**
 * What makes two rules the same rule, wherever they stand and whenever they were loaded: every statement in order,
 * without handle, comment, counter values and other moving parts. Text, equal for equal rules; see `canonical.ts` for
 * what counts as equal. Kinds of statements that are not known are in it verbatim.
 */
export function ruleIdentity(rule: NftRule): string {
  return rule.identity;
}

/** SHA-256 of `ruleIdentity`, in hex: a fixed-length name for it, used in documents. */
export function expressionHash(rule: NftRule): string {
  return createHash('sha256').update(rule.identity).digest('hex');
}
