import { readFileSync } from 'node:fs';
import { diffRulesets, parseIptablesSave, ruleIdentity } from '../src/core/iptables/index.ts';

/** One process that reads a file as the benchmark asks, for its time and memory from outside: `FILE [all]`. */
const [, , file = '', what = 'parse'] = process.argv;
const text = readFileSync(file, 'utf8');
const { ruleset } = parseIptablesSave(text, { family: 'ipv4' });
if (what === 'all') {
  for (const table of ruleset.tables.values()) {
    for (const chain of table.chains.values()) for (const rule of chain.rules) ruleIdentity(rule);
  }
  diffRulesets(ruleset, ruleset);
}
process.stdout.write(JSON.stringify({ tables: ruleset.tables.size, peakBytes: process.resourceUsage().maxRSS * 1024 }));
