import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv } from 'node:process';
import { pathToFileURL } from 'node:url';
import { assessNftablesDrift } from '../src/core/drift/nftables-drift.ts';
import { diffRulesets, parseNftRuleset, printNftJson, ruleIdentity } from '../src/core/nftables/index.ts';
import { blocklistListing, kubeProxyListing } from './nftables-listings.ts';

const RUNS_MIN = 5;
const RUNS_MAX = 200;
const BUDGET_MS = 1_500;

/** The best of as many runs as fit a second and a half, in milliseconds: short ones need many until they are compiled. */
function bestOf(run: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  const begin = performance.now();
  for (let runs = 0; runs < RUNS_MAX && (runs < RUNS_MIN || performance.now() - begin < BUDGET_MS); runs += 1) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

function parseWithIdentities(text: string): number {
  let length = 0;
  for (const table of parseNftRuleset(text).ruleset.tables.values()) {
    for (const chain of table.chains.values()) for (const rule of chain.rules) length += ruleIdentity(rule).length;
  }
  return length;
}

/** Seconds that `nft -c -j -f` needs for what we print of a listing; null where it cannot run. */
function nftCheckSeconds(listing: string): number | null {
  const folder = mkdtempSync(join(tmpdir(), 'nft-bench-'));
  const file = join(folder, 'ruleset.json');
  try {
    writeFileSync(file, printNftJson(parseNftRuleset(listing).ruleset));
    const start = performance.now();
    execFileSync('unshare', ['--net', 'nft', '-c', '-j', '-f', file], { stdio: 'ignore' });
    return (performance.now() - start) / 1000;
  } catch {
    // Not root, no nft, or no namespaces: the other figures stand without this one.
    return null;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Writes one table line per size: parse and identity beside JSON.parse of the same bytes, the diffs, nft's own check. */
export function benchNftables(write: (line: string) => void): void {
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  write(
    '| nft rules | JSON | JSON.parse | parse + identity | ratio | diff, same | diff, first rule gone | judged | nft -c -j -f |',
  );
  write('|---|---|---|---|---|---|---|---|---|');
  for (const count of [1_000, 10_000, 50_000]) {
    const text = kubeProxyListing(count);
    const floor = bestOf(() => JSON.parse(text));
    const parse = bestOf(() => parseWithIdentities(text));
    const baseline = parseNftRuleset(text).ruleset;
    const again = parseNftRuleset(text).ruleset;
    const other = parseNftRuleset(text.replace(/\{"rule":\{[^\n]*?\]\}\},/, '')).ruleset;
    const same = bestOf(() => diffRulesets(baseline, again));
    const gone = bestOf(() => diffRulesets(baseline, other));
    const judged = bestOf(() => assessNftablesDrift(baseline, other));
    const check = nftCheckSeconds(text);
    const cells = [
      String(count),
      `${(text.length / 1e6).toFixed(1)} MB`,
      ms(floor),
      ms(parse),
      (parse / floor).toFixed(2),
      ms(same),
      ms(gone),
      ms(judged),
      check === null
        ? 'not run'
        : `${check.toFixed(2)} s (${((check * 1000) / parse).toFixed(0)} times parse + identity)`,
    ];
    write(`| ${cells.join(' | ')} |`);
  }
  write('');
  write('| set elements | JSON | JSON.parse | parse | ratio | diff, same | diff, 1 of 100 gone |');
  write('|---|---|---|---|---|---|---|');
  for (const count of [10_000, 100_000, 1_000_000]) {
    const text = blocklistListing(count);
    const floor = bestOf(() => JSON.parse(text));
    const parse = bestOf(() => parseNftRuleset(text));
    const baseline = parseNftRuleset(text).ruleset;
    const again = parseNftRuleset(text).ruleset;
    const other = parseNftRuleset(blocklistListing(count, 100)).ruleset;
    const same = bestOf(() => diffRulesets(baseline, again));
    const gone = bestOf(() => diffRulesets(baseline, other));
    write(
      `| ${count} | ${(text.length / 1e6).toFixed(1)} MB | ${ms(floor)} | ${ms(parse)} | ${(parse / floor).toFixed(2)} | ${ms(same)} | ${ms(gone)} |`,
    );
  }
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  benchNftables((line) => process.stdout.write(`${line}\n`));
}
