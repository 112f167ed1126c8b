import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { argv, execPath } from 'node:process';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { assessIptablesDrift } from '../src/core/drift/iptables-drift.ts';
import { diffRulesets, type IptablesRuleset, parseIptablesSave, ruleIdentity } from '../src/core/iptables/index.ts';
import { kubeProxyRuleset, oneChainRuleset } from './iptables-rulesets.ts';

const RUNS = 5;

/** The best of a few runs, in milliseconds. */
function bestOf(run: () => unknown, runs = RUNS): number {
  let best = Number.POSITIVE_INFINITY;
  for (let index = 0; index < runs; index += 1) {
    globalThis.gc?.();
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return best;
}

const parse = (text: string): IptablesRuleset => parseIptablesSave(text, { family: 'ipv4' }).ruleset;

function identities(ruleset: IptablesRuleset): number {
  let length = 0;
  for (const table of ruleset.tables.values()) {
    for (const chain of table.chains.values()) for (const rule of chain.rules) length += ruleIdentity(rule).length;
  }
  return length;
}

/** One rule in a hundred has another port or address: what a day does to a host. */
function changed(text: string): string {
  let rule = 0;
  return text.replace(/^-A .*$/gm, (line) => {
    rule += 1;
    return rule % 100 === 0 ? line.replace(/(:|--dport )[0-9]+/, '$165000') : line;
  });
}

interface ProcessRun {
  readonly seconds: number;
  readonly output: string;
}

/** The best of three whole processes; null where it cannot run. */
function bestProcess(command: string, args: readonly string[], input?: string): ProcessRun | null {
  let best: ProcessRun | null = null;
  for (let run = 0; run < 3; run += 1) {
    const start = performance.now();
    const result = spawnSync(command, args, { input, encoding: 'utf8', maxBuffer: 1 << 28 });
    const seconds = (performance.now() - start) / 1000;
    // Not root, no tool, or no namespaces: the other figures stand without this one.
    if (result.status !== 0) return null;
    if (best === null || seconds < best.seconds) best = { seconds, output: result.stdout };
  }
  return best;
}

const ms = (value: number): string => `${value.toFixed(0)} ms`;

function restoreTime(tool: string, file: string): string {
  const run = bestProcess('unshare', ['--net', 'sh', '-c', `PATH="$PATH:/usr/sbin:/sbin" ${tool} --test < '${file}'`]);
  return run === null ? 'not run' : ms(run.seconds * 1000);
}

/** Writes one table line per shape and size, beside a bare split of the same text and the tools' own parsers. */
export function benchIptables(write: (line: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'iptables-bench-'));
  const file = join(folder, 'ruleset.txt');
  const child = fileURLToPath(import.meta.url).replace(/iptables(\.[jt]s)$/, 'iptables-parse$1');
  write(
    '| iptables rules | text | split into tokens | parse | ratio | identity | diff, same | diff, 1 % changed | judged | own process: parse | peak / text | with identity and diff | legacy-restore --test | nft-restore --test |',
  );
  write('|---|---|---|---|---|---|---|---|---|---|---|---|---|---|');
  try {
    for (const [shape, make, counts] of [
      ['kube-proxy', kubeProxyRuleset, [1_000, 10_000, 50_000, 100_000]],
      ['one chain', oneChainRuleset, [100_000]],
    ] as const) {
      for (const count of counts) {
        const text = make(count);
        writeFileSync(file, text);
        const split = bestOf(() => text.split('\n').map((line) => line.split(/\s+/)));
        const parsing = bestOf(() => parse(text));
        const [baseline, again, other] = [parse(text), parse(text), parse(changed(text))];
        const own = bestProcess(execPath, [child, file]);
        const all = bestProcess(execPath, [child, file, 'all']);
        const peak = (run: ProcessRun | null): string =>
          run === null
            ? 'not run'
            : `${((JSON.parse(run.output) as { peakBytes: number }).peakBytes / text.length).toFixed(1)}`;
        write(
          `| ${[
            `${count} (${shape})`,
            `${(text.length / 1e6).toFixed(1)} MB`,
            ms(split),
            ms(parsing),
            (parsing / split).toFixed(2),
            ms(bestOf(() => identities(baseline))),
            ms(bestOf(() => diffRulesets(baseline, again))),
            ms(bestOf(() => diffRulesets(baseline, other), 2)),
            ms(bestOf(() => assessIptablesDrift(baseline, other), 2)),
            own === null ? 'not run' : ms(own.seconds * 1000),
            peak(own),
            peak(all),
            restoreTime('iptables-legacy-restore', file),
            restoreTime('iptables-nft-restore', file),
          ].join(' | ')} |`,
        );
      }
    }
    const empty = bestProcess(execPath, ['-p', 'process.resourceUsage().maxRSS']);
    if (empty !== null)
      write(`\nOf each peak, a process that does nothing has ${(Number(empty.output) / 1024).toFixed(1)} MiB.`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  benchIptables((line) => process.stdout.write(`${line}\n`));
}
