import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import {
  type Family,
  parseIptablesSave,
  printIptablesSave,
  rulesetIdentity,
} from '../../../src/core/iptables/index.ts';
import { fixturePath, kernelSkipReason } from '../../support/environment.ts';

const skip = kernelSkipReason(['iptables-legacy', 'iptables-nft', 'ip6tables-legacy', 'ip6tables-nft', 'ipset']);

const TOOLS: Record<Family, string> = { ipv4: 'iptables', ipv6: 'ip6tables' };

/** Loads a ruleset into a network namespace of its own and gives back what the kernel then holds. */
function throughKernel(family: Family, backend: 'legacy' | 'nft', text: string): { saved: string; error: string } {
  const tool = `${TOOLS[family]}-${backend}`;
  const script = `ipset create s4 hash:ip family inet counters timeout 0 skbinfo 2>/dev/null
    ${tool}-restore && ${tool}-save`;
  const run = spawnSync('unshare', ['--net', 'sh', '-c', `PATH="$PATH:/usr/sbin:/sbin"\n${script}`], {
    input: text,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  return { saved: run.stdout, error: run.status === 0 ? '' : run.stderr || `exit ${run.status}` };
}

function assertUnchanged(family: Family, backend: 'legacy' | 'nft', text: string): void {
  const { ruleset, diagnostics } = parseIptablesSave(text, { family });
  assert.deepEqual(diagnostics, []);
  const printed = printIptablesSave(ruleset, { counters: true });
  const { saved, error } = throughKernel(family, backend, printed);
  assert.equal(error, '', `${family} ${backend}`);
  const back = parseIptablesSave(saved, { family });
  assert.deepEqual(back.diagnostics, []);
  const without = (dump: string): string[] =>
    dump.split('\n').filter((line) => line.startsWith('-A') || line.startsWith('['));
  // nf_tables keeps all chains' rules together as well, but saves chains in the order they were made.
  assert.deepEqual(without(printIptablesSave(back.ruleset)).sort(), without(printIptablesSave(ruleset)).sort());
  const named = new Set(ruleset.tables.keys());
  const tables = new Map([...back.ruleset.tables].filter(([name]) => named.has(name)));
  assert.equal(rulesetIdentity({ ...back.ruleset, tables }), rulesetIdentity(ruleset));
}

/** Every rule of the fixture that a backend takes, one ruleset for each. */
function everyRule(family: Family, backend: 'legacy' | 'nft'): string {
  const builtIn: Record<string, readonly string[]> = {
    filter: ['INPUT', 'FORWARD', 'OUTPUT'],
    mangle: ['PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'],
    nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
    raw: ['PREROUTING', 'OUTPUT'],
    security: ['INPUT', 'FORWARD', 'OUTPUT'],
  };
  // What one backend refuses (a day between two packets, the QUEUE verdict), and what needs an object made beforehand.
  const refused =
    backend === 'legacy'
      ? /RATEEST|IDLETIMER|TRACE|--limit 1\/day/
      : /RATEEST|IDLETIMER|--nflog-range|-j QUEUE|! -d ::\/0/;
  const lines = readFileSync(fixturePath('iptables', 'saved-forms.tsv'), 'utf8').split('\n');
  return Object.entries(builtIn)
    .map(([table, chains]) => {
      const rules = lines.flatMap((line) => {
        const [rowFamily, rowTable, , given = '', legacy = '', nft = legacy] = line.split('\t');
        if (rowFamily !== family || rowTable !== table || refused.test(given)) return [];
        const saved = backend === 'legacy' ? legacy : nft;
        // iptables saves the whole range of ipcomp as nothing, and reads nothing as the one number 0; it saves fewer than
        // 16 bytes a second as none, and takes no such rate.
        return saved.endsWith('-m ipcomp') || saved.includes(' 0b/s ') ? [] : [saved];
      });
      return [`*${table}`, ...chains.map((chain) => `:${chain} ACCEPT [0:0]`), ...rules, 'COMMIT', ''].join('\n');
    })
    .join('');
}

for (const family of ['ipv4', 'ipv6'] as const) {
  for (const backend of ['legacy', 'nft'] as const) {
    test(`${family}, ${backend}: every extension that we print is taken by the kernel and saved the same`, {
      skip,
    }, () => {
      assertUnchanged(family, backend, everyRule(family, backend));
    });

    test(`${family}, ${backend}: chains, policies, jumps, gotos, counters and strings come back`, { skip }, () => {
      const host = family === 'ipv4' ? '192.0.2.1/32' : '2001:db8::1/128';
      const text = [
        '*filter',
        ':INPUT DROP [0:0]',
        ':FORWARD DROP [0:0]',
        ':OUTPUT ACCEPT [0:0]',
        ':A-long_chain.name - [0:0]',
        ':__proto__ - [0:0]',
        '[7:420] -A INPUT -m comment --comment "x\\" -j ACCEPT y" -j A-long_chain.name',
        '[0:0] -A INPUT -g __proto__',
        `[18446744073709551615:18446744073709551615] -A A-long_chain.name ! -s ${host} ! -i lo -j LOG --log-prefix "it\\'s \\\\ "`,
        '[0:0] -A __proto__ -j RETURN',
        'COMMIT',
        '',
      ].join('\n');
      assertUnchanged(family, backend, text);
    });
  }
}
