import { isVerdict, type RuleFields } from '../iptables/index.ts';

/** What a rule does to the packets it matches, in the words the judgement needs. */
export type RuleEffect =
  | 'accept'
  | 'drop'
  | 'reject'
  | 'return'
  | 'queue'
  | 'chain'
  | 'destination-nat'
  | 'source-nat'
  | 'notrack'
  | 'log'
  | 'count'
  | 'alter'
  | 'remember'
  | 'unknown';

const EFFECTS: ReadonlyMap<string, RuleEffect> = new Map<string, RuleEffect>([
  ['ACCEPT', 'accept'],
  ['DROP', 'drop'],
  ['REJECT', 'reject'],
  ['TARPIT', 'reject'],
  ['RETURN', 'return'],
  ['QUEUE', 'queue'],
  ['NFQUEUE', 'queue'],
  ['DNAT', 'destination-nat'],
  ['REDIRECT', 'destination-nat'],
  ['TPROXY', 'destination-nat'],
  ['DNPT', 'destination-nat'],
  ['NETMAP', 'destination-nat'],
  ['CLUSTERIP', 'destination-nat'],
  ['SNAT', 'source-nat'],
  ['MASQUERADE', 'source-nat'],
  ['SNPT', 'source-nat'],
  ['SAME', 'source-nat'],
  ['NOTRACK', 'notrack'],
  ['SET', 'remember'],
  ['LOG', 'log'],
  ['NFLOG', 'log'],
  ['ULOG', 'log'],
  ['AUDIT', 'log'],
  ['TRACE', 'log'],
  ['LED', 'log'],
  ['IDLETIMER', 'log'],
  ['RATEEST', 'log'],
]);

export function effectOf(fields: RuleFields): RuleEffect {
  const target = fields.target;
  if (target === null) return 'count';
  if (fields.goto) return 'chain';
  const known = EFFECTS.get(target.name);
  if (known !== undefined) return known;
  if (target.name === 'CT') return target.options.some(({ name }) => name === '--notrack') ? 'notrack' : 'alter';
  if (target.spec !== null) return 'alter';
  return isVerdict(target.name) ? 'unknown' : 'chain';
}

/** Packets that the rule matches write into a list of `-m recent`, by which other rules may decide. */
export function fillsRecentList({ matches }: RuleFields): boolean {
  return matches.some(
    ({ name, options }) => name === 'recent' && options.some((option) => /^--(set|update|remove)$/.test(option.name)),
  );
}

export function denies(effect: RuleEffect): boolean {
  return effect === 'drop' || effect === 'reject';
}
