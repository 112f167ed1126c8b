import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { diffRulesets, type NftRuleset, parseNftRuleset, printRuleText } from '../../../src/core/nftables/index.ts';
import { fixturePath } from '../../support/environment.ts';

const states = readdirSync(fixturePath('nftables', 'vm')).flatMap((scenario) =>
  readdirSync(fixturePath('nftables', 'vm', scenario)).map((state): [string, string] => [scenario, state]),
);

for (const [scenario, state] of states) {
  const file = (name: string): string => readFileSync(fixturePath('nftables', 'vm', scenario, state, name), 'utf8');
  const read = (name: string): NftRuleset => parseNftRuleset(file(name)).ruleset;

  test(`Recorded ${scenario} ${state}: nft 1.0.6 and 1.1.3 show no drift`, () => {
    const [older, newer] = [read('nft.json'), read('nft-1.1.3.json')];
    assert.deepEqual([older.version, newer.version], ['1.0.6', '1.1.3']);
    assert.deepEqual(diffRulesets(older, newer).changes, []);
    assert.deepEqual(diffRulesets(newer, older).changes, []);
  });

  // Where everything was flushed there was no text to record.
  if (!existsSync(fixturePath('nftables', 'vm', scenario, state, 'nft-a.txt'))) continue;
  test(`Recorded ${scenario} ${state}: each rule prints as nft printed it`, () => {
    const lines = new Set(
      file('nft-a.txt')
        .split('\n')
        .map((line) => line.trim()),
    );
    for (const table of read('nft.json').tables.values()) {
      for (const chain of table.chains.values()) {
        for (const rule of chain.rules) {
          const line = `${printRuleText(rule)} # handle ${rule.handle}`;
          assert.ok(lines.has(line), line);
        }
      }
    }
  });
}
