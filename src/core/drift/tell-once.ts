import type { AssessedChange } from './family-drift.ts';

/** What iptables-save says of a table that it shows in part; nft's listing is compared for it. */
const INCOMPATIBLE = /^# Table .* (?:is|contains) incompatible/;
/** nft lists these without their parameters. */
const XTABLES = /xt (?:match|target) \\?"/;

/**
 * Leaves out what two listings of one table both say: a rule that nft added to a table of iptables-nft shows in
 * iptables-save too, and often as less than it is. Told by nft, which leaves nothing out, but for rules with a match or
 * target of iptables, whose parameters only iptables-save prints.
 *
 * @param family  of the iptables changes
 */
export function tellOnce(
  family: 'ipv4' | 'ipv6',
  iptables: readonly AssessedChange[],
  nft: readonly AssessedChange[],
): { iptables: AssessedChange[]; nft: AssessedChange[] } {
  const nftFamily = family === 'ipv4' ? 'ip' : 'ip6';
  const byPlace = new Map(nft.map((change) => [placeOf(change, change.table), change]));
  const toldByIptables = new Set<AssessedChange>();
  const kept = iptables.filter((change) => {
    if (change.kind === 'unparsed_changed') return !INCOMPATIBLE.test(String(change.detail['text']));
    const twin = byPlace.get(placeOf(change, `${nftFamily}/${change.table}`));
    if (twin === undefined) return true;
    if (!XTABLES.test(JSON.stringify(twin.detail))) return false;
    toldByIptables.add(twin);
    return true;
  });
  return { iptables: kept, nft: nft.filter((change) => !toldByIptables.has(change)) };
}

/** Kind and place of a change; the positions of rules are the same in both listings. */
function placeOf({ kind, chain, detail }: AssessedChange, table: string | null): string {
  const { position, current_position: now = position, baseline_position: before } = detail;
  return JSON.stringify([kind, table, chain, now ?? null, kind === 'rules_added' ? null : (before ?? null)]);
}
