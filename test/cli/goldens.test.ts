import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { test } from 'node:test';
import { fixturePath, repositoryRoot } from '../support/environment.ts';
import { type CommandName, iptablesPair, nftPair, run } from './run-command.ts';

const RULES = ['examples/iptables/before.rules', 'examples/iptables/after.rules'];
const SETS = ['--baseline-ipset', 'examples/iptables/before.ipset', '--current-ipset', 'examples/iptables/after.ipset'];
const LISTINGS = ['examples/nftables/before.json', 'examples/nftables/after.json'];
const relativePaths = (paths: readonly string[]): string[] => paths.map((path) => relative(repositoryRoot, path));

/** What each command prints, in test/fixtures/cli; UPDATE_GOLDEN=1 writes these files anew. */
const GOLDENS: readonly (readonly [file: string, command: CommandName, args: readonly string[]])[] = [
  ['iptables.txt', 'iptables-diff', [...SETS, ...RULES]],
  ['iptables-color.txt', 'iptables-diff', ['--color', 'always', ...SETS, ...RULES]],
  ['iptables-show-all.txt', 'iptables-diff', ['--show-all', '--context', '0', ...SETS, ...RULES]],
  ['iptables.md', 'iptables-diff', ['--output', 'markdown', ...SETS, ...RULES]],
  ['iptables.json', 'iptables-diff', ['-o', 'json', ...SETS, ...RULES]],
  ['iptables-counters.txt', 'iptables-diff', ['--counters', ...relativePaths(iptablesPair('ipt-only-counters'))]],
  [
    'iptables-counters.json',
    'iptables-diff',
    ['--counters', '-o', 'json', ...relativePaths(iptablesPair('ipt-only-counters'))],
  ],
  ['iptables-no-drift.txt', 'iptables-diff', ['examples/iptables/before.rules', 'examples/iptables/before.rules']],
  ['iptables-parsed.json', 'iptables-parser', ['examples/iptables/before.rules']],
  ['iptables-stats.txt', 'iptables-parser', ['--stats', 'examples/iptables/before.rules']],
  ['nftables.txt', 'nftables-diff', LISTINGS],
  ['nftables.md', 'nftables-diff', ['-o', 'markdown', ...LISTINGS]],
  ['nftables.json', 'nftables-diff', ['-o', 'json', ...LISTINGS]],
  ['nftables-table-deleted.txt', 'nftables-diff', relativePaths(nftPair('nft-crit-table-deleted'))],
  ['nftables-set-flushed.txt', 'nftables-diff', relativePaths(nftPair('nft-set-flushed'))],
  ['nftables-chain-hook.txt', 'nftables-diff', relativePaths(nftPair('nft-chain-hook-changed'))],
  ['nftables-text.txt', 'nftables-parser', ['--text', 'examples/nftables/before.json']],
  ['nftables-stats.txt', 'nftables-parser', ['--stats', 'examples/nftables/before.json']],
];

for (const [file, command, args] of GOLDENS) {
  test(`${command} ${args.filter((arg) => !arg.includes('/')).join(' ')} prints ${file}`, async () => {
    const path = fixturePath('cli', file);
    const { code, stdout } = await run(command, args);
    assert.equal(code, 0);
    if (process.env['UPDATE_GOLDEN'] === '1' || !existsSync(path)) {
      assert.equal(process.env['UPDATE_GOLDEN'], '1', `${path} is missing: UPDATE_GOLDEN=1 writes it`);
      mkdirSync(join(path, '..'), { recursive: true });
      writeFileSync(path, stdout);
    }
    assert.equal(stdout, readFileSync(path, 'utf8'));
  });
}

test('colour adds nothing but colour', async () => {
  const [plain, colored] = ['iptables.txt', 'iptables-color.txt'].map((file) =>
    readFileSync(fixturePath('cli', file), 'utf8'),
  );
  assert.notEqual(colored, plain);
  assert.equal(colored?.replace(/\u001b\[[0-9;]*m/g, ''), plain);
});

test('what the parsers print is read back as the same ruleset', async () => {
  const rules = await run('iptables-parser', ['--print', 'examples/iptables/before.rules']);
  assert.equal(
    rules.stdout,
    readFileSync(join(repositoryRoot, 'examples/iptables/before.rules'), 'utf8').replace(/^#.*\n/gm, ''),
  );
  const listing = await run('nftables-parser', ['--print', 'examples/nftables/before.json']);
  const again = await run('nftables-diff', ['examples/nftables/before.json', '-'], { input: listing.stdout });
  assert.match(again.stdout, /^no drift$/m);
});
