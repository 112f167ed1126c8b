import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { EXIT, exitCodeOf } from '../../src/cli/framework/exit-codes.ts';
import { sha256Hex } from '../../src/core/baseline/integrity.ts';
import { COMMANDS, inputChain, iptablesPair, nftPair, run, scratch } from './run-command.ts';

const SSH_OPENED = iptablesPair('ipt-insert-top-of-100');

test('drift is reported with exit 0, and standard error names --fail-on with a severity that would fail', async () => {
  const { code, stdout, stderr } = await run('iptables-diff', SSH_OPENED);
  assert.equal(code, EXIT.ok);
  assert.match(stdout, /^1 change: 1 critical$/m);
  assert.match(stderr, /^note: drift found, exit 0\. Use --fail-on critical to fail this command\.$/m);
});

test('--fail-on fails from its severity upwards, in both languages', async () => {
  const nft = nftPair('nft-counter-object-added');
  for (const [command, pair, severity, wanted] of [
    ['iptables-diff', SSH_OPENED, 'critical', EXIT.drift],
    ['iptables-diff', SSH_OPENED, 'noise', EXIT.drift],
    ['nftables-diff', nft, 'low', EXIT.drift],
    ['nftables-diff', nft, 'medium', EXIT.ok],
  ] as const) {
    const { code, stderr } = await run(command, ['--fail-on', severity, ...pair]);
    assert.equal(code, wanted, `${command} --fail-on ${severity}`);
    if (wanted === EXIT.ok) assert.match(stderr, /none of it medium or worse, exit 0/);
  }
});

test('churn alone fails only with --fail-on noise', async () => {
  const churn = iptablesPair('ipt-kube-churn');
  assert.equal((await run('iptables-diff', ['--fail-on', 'low', ...churn])).code, EXIT.ok);
  assert.equal((await run('iptables-diff', ['--fail-on', 'noise', ...churn])).code, EXIT.drift);
});

test('equal rulesets exit 0 without a note, whatever --fail-on says', async () => {
  const [baseline] = iptablesPair('ipt-kube-churn');
  const { code, stdout, stderr } = await run('iptables-diff', ['--fail-on', 'noise', baseline, baseline]);
  assert.deepEqual({ code, stderr }, { code: EXIT.ok, stderr: '' });
  assert.match(stdout, /^no drift$/m);
});

test('counters alone are no drift', async () => {
  assert.equal(
    (await run('iptables-diff', ['--fail-on', 'noise', ...iptablesPair('ipt-only-counters')])).code,
    EXIT.ok,
  );
  assert.equal((await run('nftables-diff', ['--fail-on', 'noise', ...nftPair('nft-only-counters')])).code, EXIT.ok);
});

test('counters of nft are shown on request, and are no drift then either', async (t) => {
  const [before = ''] = nftPair('nft-only-counters');
  const after = join(scratch(t), 'after.json');
  writeFileSync(after, readFileSync(before, 'utf8').replace('"packets": 0, "bytes": 0', '"packets": 3, "bytes": 180'));
  const { code, stdout } = await run('nftables-diff', ['--counters', '--fail-on', 'noise', before, after]);
  assert.equal(code, EXIT.ok);
  assert.match(stdout, / nft counters\n {2}~ .*\(packets 0 → 3, bytes 0 → 180\)\n\nno drift\n/);
  const json = await run('nftables-diff', ['--counters', '-o', 'json', before, after]);
  const { drift_detected, counter_changes } = JSON.parse(json.stdout) as {
    drift_detected: boolean;
    counter_changes: { packets_before: number; packets_after: number }[];
  };
  assert.deepEqual(
    [drift_detected, counter_changes.map((one) => [one.packets_before, one.packets_after])],
    [false, [[0, 3]]],
  );
});

test('with --strict an input that is cut off exits 4, and drift of the --fail-on severity goes before it', async (t) => {
  const directory = scratch(t);
  const whole = join(directory, 'whole.rules');
  const cut = join(directory, 'cut.rules');
  writeFileSync(whole, inputChain('-p tcp --dport 22 -j ACCEPT'));
  writeFileSync(cut, inputChain('-j ACCEPT').replace('COMMIT\n', ''));
  const lax = await run('iptables-diff', [whole, cut]);
  assert.equal(lax.code, EXIT.ok);
  assert.match(lax.stdout, /coverage partial: 1 reason on standard error$/m);
  assert.match(lax.stderr, /cut\.rules:\d+.* error IPT_NO_COMMIT /);
  // A ticket has no standard error.
  const ticket = await run('iptables-diff', ['-o', 'markdown', whole, cut]);
  assert.match(
    ticket.stdout,
    /coverage partial: 1 reason\*\*\n\nNot compared, or not in full:\n\n- .*IPT&#95;NO&#95;COMMIT /,
  );
  assert.equal((await run('iptables-diff', ['--strict', whole, cut])).code, EXIT.incomplete);
  assert.equal((await run('iptables-diff', ['--strict', '--fail-on', 'low', whole, cut])).code, EXIT.drift);
  assert.equal((await run('iptables-parser', [cut])).code, EXIT.ok);
  assert.equal((await run('iptables-parser', ['--strict', cut])).code, EXIT.incomplete);
  assert.equal((await run('iptables-parser', ['--strict', whole])).code, EXIT.ok);
});

test('with --strict rules that say that there are more rules elsewhere exit 4', async () => {
  const text = `# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n${inputChain()}`;
  const { code, stderr } = await run('iptables-parser', ['--strict', '-'], { input: text });
  assert.equal(code, EXIT.incomplete);
  assert.match(stderr, /^stdin:1:1: warning IPT_LEGACY_TABLES_PRESENT /m);
});

test('with --strict a listing of nft that is cut off exits 4', async (t) => {
  const [baseline] = nftPair('nft-map-add-element');
  const whole = await run('nftables-parser', ['--print', baseline]);
  const cut = join(scratch(t), 'cut.json');
  writeFileSync(cut, whole.stdout.slice(0, -200));
  assert.equal((await run('nftables-diff', ['--strict', baseline, baseline])).code, EXIT.ok);
  assert.equal((await run('nftables-diff', ['--strict', baseline, cut])).code, EXIT.incomplete);
  assert.equal((await run('nftables-parser', ['--strict', cut])).code, EXIT.incomplete);
});

test('an integrity failure exits 2 and compares nothing, even where --fail-on would fail', async (t) => {
  const directory = scratch(t);
  const snapshot = join(directory, 'fw_20260101_000000_snapshot.json');
  const text = JSON.stringify({ rulesets: { ipv4: await parsed(inputChain('-j DROP')), ipv6: null, nft: null } });
  writeFileSync(snapshot, text);
  const unverified = await run('iptables-diff', [snapshot, snapshot]);
  assert.match(unverified.stderr, /is a snapshot without its \.sha256 companion beside it: not verified/);
  writeFileSync(`${snapshot}.sha256`, `${sha256Hex(text)}\n`);
  const [, current] = SSH_OPENED;
  const sound = await run('iptables-diff', ['--fail-on', 'low', snapshot, current]);
  assert.equal(sound.code, EXIT.drift);
  assert.match(sound.stdout, /snapshot\.json \(1 rule, sha256 verified\)/);
  writeFileSync(snapshot, text.replace('DROP', 'ACCEPT'));
  const tampered = await run('iptables-diff', ['--fail-on', 'low', snapshot, current]);
  assert.equal(tampered.code, EXIT.integrity);
  assert.equal(tampered.stdout, '');
  assert.match(tampered.stderr, /BASELINE_TAMPERED.*stored sha256 [0-9a-f]{16}, computed [0-9a-f]{16}/);
  const missing = await run('iptables-diff', [snapshot, join(directory, 'missing')]);
  assert.equal(missing.code, EXIT.integrity, 'the baseline is read first');
});

test('of drift and incompleteness drift decides', () => {
  assert.equal(exitCodeOf({}), 0);
  assert.equal(exitCodeOf({ incomplete: true }), 4);
  assert.equal(exitCodeOf({ drift: true, incomplete: true }), 3);
});

test('help and version exit 0 on every command, and help shows the exit codes and every option', async () => {
  for (const command of COMMANDS) {
    const help = await run(command, ['--help']);
    assert.equal(help.code, EXIT.ok);
    assert.equal(help.stderr, '');
    assert.match(help.stdout, new RegExp(`^Usage: ${command} \\[OPTIONS\\]`));
    for (const code of Object.values(EXIT)) assert.match(help.stdout, new RegExp(`^ {2}${code} {2}\\S`, 'm'));
    for (const line of help.stdout.split('\n')) assert.ok(line.length <= 100, line);
    const version = await run(command, ['-V']);
    assert.match(version.stdout, new RegExp(`^${command} \\d+\\.\\d+\\.\\d+\n$`));
  }
});

async function parsed(text: string): Promise<unknown> {
  const { stdout } = await run('iptables-parser', ['-'], { input: text });
  return JSON.parse(stdout);
}
