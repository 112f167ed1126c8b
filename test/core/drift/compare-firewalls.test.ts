import assert from 'node:assert/strict';
import { test } from 'node:test';
import { reasonTexts } from '../../../src/core/capture/coverage.ts';
import { compareFirewalls, type FirewallComparison } from '../../../src/core/drift/compare-firewalls.ts';
import { readHostFirewall } from '../../../src/core/host-firewall.ts';
import { payloadOf } from '../capture/envelopes.ts';

type Said = Record<string, string | { status: string; stdout?: string; stderr?: string }>;

const RULES = '*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\nCOMMIT\n';
const NO_RULES = '*filter\n:INPUT DROP [0:0]\nCOMMIT\n';
const EMPTY_LISTING = '{"nftables": [{"metainfo": {"version": "1.0.6", "json_schema_version": 1}}]}';

/** A host with both tools installed and no rule anywhere, but for what is said. */
function host(said: Said) {
  const quiet: Said = {
    subsystems: 'nf_tables loaded\nnft_compat loaded\nip_set not-loaded',
    ip_tables_names: { status: 'skipped:not-loaded' },
    ip6_tables_names: { status: 'skipped:not-loaded' },
    'iptables-backend': 'nft',
    'ip6tables-backend': 'nft',
    'iptables-save': '',
    'ip6tables-save': '',
    'nft-ruleset': EMPTY_LISTING,
    'ipset-save': { status: 'absent' },
  };
  const sections = Object.entries({ ...quiet, ...said }).map(([name, what]) =>
    typeof what === 'string' ? { name, stdout: what } : { name, ...what },
  );
  return readHostFirewall(payloadOf(sections));
}

function summary({ families }: FirewallComparison): Record<string, string[]> {
  return Object.fromEntries(
    Object.entries(families).map(([family, { changes }]) => [
      family,
      Object.entries(changes).flatMap(([kind, list]) => (list.length === 0 ? [] : [`${kind} ${list.length}`])),
    ]),
  );
}

const legacyHost = (save: string) =>
  host({ 'iptables-backend': 'legacy', ip_tables_names: 'filter\n', 'iptables-save': save });

test('two equal captures show no change in any family, and leave nothing uncompared', () => {
  const comparison = compareFirewalls(host({ 'iptables-save': RULES }), host({ 'iptables-save': RULES }));
  assert.deepEqual(Object.values(summary(comparison)).flat(), []);
  assert.deepEqual(comparison.uncompared, []);
});

test('a removed rule is found', () => {
  const comparison = compareFirewalls(host({ 'iptables-save': RULES }), host({ 'iptables-save': NO_RULES }));
  assert.deepEqual(summary(comparison)['ipv4'], ['rules_removed 1']);
});

test('switching the default iptables from legacy to nft renames rulesets and changes no rule', () => {
  const switched = host({ ip_tables_names: 'filter\n', 'iptables-legacy-save': RULES });
  const comparison = compareFirewalls(legacyHost(RULES), switched);
  assert.deepEqual(Object.values(summary(comparison)).flat(), []);
  assert.ok('ipv4_legacy' in comparison.families);
});

test('a change made with iptables-legacy is found while the default is nft', () => {
  const baseline = host({ ip_tables_names: 'filter\n', 'iptables-legacy-save': NO_RULES });
  const current = host({ ip_tables_names: 'filter\n', 'iptables-legacy-save': RULES });
  assert.deepEqual(summary(compareFirewalls(baseline, current))['ipv4_legacy'], ['rules_added 1']);
});

test('legacy tables that are gone are rules removed, not a family forgotten', () => {
  const baseline = host({ ip_tables_names: 'filter\n', 'iptables-legacy-save': RULES });
  const comparison = compareFirewalls(baseline, host({}));
  assert.deepEqual(summary(comparison)['ipv4_legacy'], ['tables_removed 1', 'chains_removed 1']);
});

test('a source that one side could not read is not compared, and said so', () => {
  const current = host({ 'iptables-save': { status: 'timeout' } });
  const comparison = compareFirewalls(host({ 'iptables-save': RULES }), current);
  assert.ok(!('ipv4' in comparison.families));
  assert.match(comparison.uncompared.join(), /ipv4 could not be read in the current capture/);
});

test('half an nft listing is not compared as if the other half were gone', () => {
  const whole =
    '{"nftables": [{"table": {"family": "inet", "name": "f", "handle": 1}}, {"table": {"family": "ip", "name": "g", "handle": 2}}]}';
  const comparison = compareFirewalls(host({ 'nft-ruleset': whole }), host({ 'nft-ruleset': whole.slice(0, 70) }));
  assert.ok(!('nft' in comparison.families));
  assert.match(comparison.uncompared.join(), /nft could not be read in the current capture/);
});

test('iptables-save cut off is compared as far as it goes, and coverage says so', () => {
  const cut = host({ 'iptables-save': RULES.replace('COMMIT\n', '') });
  assert.equal(cut.coverage.state, 'partial');
  assert.match(reasonTexts(cut.coverage).join(), /ipv4 could not be read to its end: IPT_NO_COMMIT/);
  assert.deepEqual(summary(compareFirewalls(host({ 'iptables-save': RULES }), cut))['ipv4'], []);
});

test('an ipset member is found and told with the rule that drops by it', () => {
  const save = '*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m set --match-set blocked src -j DROP\nCOMMIT\n';
  const set = (members: string[]) =>
    `create blocked hash:ip family inet hashsize 1024 maxelem 65536\n${members.map((member) => `add blocked ${member}\n`).join('')}`;
  const at = (members: string[]) => host({ 'iptables-save': save, 'ipset-save': set(members) });
  const { families } = compareFirewalls(at(['192.0.2.1']), at(['192.0.2.1', '192.0.2.2']));
  const [change] = families['ipset']?.changes.sets_changed ?? [];
  assert.match(change?.reason ?? '', /192\.0\.2\.2|1 (member|entry|address)/i);
  assert.notEqual(change?.severity, 'noise');
});

test('installing the iptables tools changes how iptables-nft tables are shown, not what they hold', () => {
  const nft = JSON.stringify({
    nftables: [
      { table: { family: 'ip', name: 'filter', handle: 1 } },
      {
        chain: {
          family: 'ip',
          table: 'filter',
          name: 'INPUT',
          handle: 1,
          type: 'filter',
          hook: 'input',
          prio: 0,
          policy: 'drop',
        },
      },
    ],
  });
  const without = host({
    'iptables-backend': '',
    'ip6tables-backend': '',
    'iptables-save': { status: 'absent' },
    'ip6tables-save': { status: 'absent' },
    'nft-ruleset': nft,
  });
  const comparison = compareFirewalls(without, host({ 'iptables-save': NO_RULES, 'nft-ruleset': nft }));
  assert.deepEqual(Object.values(summary(comparison)).flat(), []);
});

const chain = (family: string, name = 'INPUT', prio = 0) => ({
  chain: { family, table: 'filter', name, handle: 1, type: 'filter', hook: 'input', prio, policy: 'drop' },
});
const port = (value: unknown) => ({
  match: { op: '==', left: { payload: { protocol: 'tcp', field: 'dport' } }, right: value },
});
const COUNTER = { counter: { packets: 0, bytes: 0 } };
const XT = { xt: { type: 'match', name: 'multiport' } };
const rule = (family: string, ...expr: unknown[]) => ({
  rule: { family, table: 'filter', chain: 'INPUT', handle: 2, expr },
});
const listing = (...items: unknown[]) => JSON.stringify({ nftables: items });
const table = (family: string, ...items: unknown[]) => [{ table: { family, name: 'filter', handle: 1 } }, ...items];
const SSH = (family: string) => rule(family, port(22), COUNTER, { accept: null });
const OWNED = listing(...table('ip', chain('ip'), SSH('ip')), ...table('ip6', chain('ip6'), SSH('ip6')));
const both = (said: Said = {}) =>
  host({ 'iptables-save': RULES, 'ip6tables-save': RULES, 'nft-ruleset': OWNED, ...said });
const changes = (comparison: FirewallComparison) =>
  Object.entries(summary(comparison)).flatMap(([family, kinds]) => kinds.map((kind) => `${family} ${kind}`));

test('iptables-save of one family alone that fails, or goes, makes no table of nft appear', () => {
  const absent = { 'ip6tables-backend': 'none', 'ip6tables-save': { status: 'absent' } };
  const failed = { 'ip6tables-save': { status: 'timeout' } };
  for (const less of [absent, failed]) {
    assert.deepEqual(changes(compareFirewalls(both(), both(less))), []);
    assert.deepEqual(changes(compareFirewalls(both(less), both())), []);
    const emptied = listing(...table('ip', chain('ip'), SSH('ip')), ...table('ip6', chain('ip6')));
    const comparison = compareFirewalls(both(), both({ ...less, 'nft-ruleset': emptied }));
    assert.deepEqual(changes(comparison), ['nft rules_removed 1']);
  }
});

test('a rule that nft puts into a table of iptables-nft is told once, and by nft, which shows all of it', () => {
  const save = '*filter\n:INPUT DROP [0:0]\n-A INPUT -p tcp -m multiport --dports 1,2 -j ACCEPT\nCOMMIT\n';
  const before = table('ip', chain('ip'), rule('ip', XT, COUNTER, { accept: null }));
  const at = (text: string, ...items: unknown[]) => host({ 'iptables-save': text, 'nft-ruleset': listing(...items) });
  // iptables-save 1.8.9 leaves the set out of what it prints.
  const seen = save.replace('COMMIT', '-A INPUT -p tcp -j ACCEPT\nCOMMIT');
  const added = rule('ip', port({ set: [80, 443] }), { accept: null });
  const comparison = compareFirewalls(at(save, ...before), at(seen, ...before, added));
  assert.deepEqual(changes(comparison), ['nft rules_added 1']);
  assert.match(JSON.stringify(comparison.families['nft']?.changes), /80, ?443/);

  const parameters = compareFirewalls(at(seen, ...before, added), at(seen.replace('1,2', '1,3'), ...before, added));
  assert.deepEqual(changes(parameters), ['ipv4 rules_modified 1']);
  const iptables = seen.replace('COMMIT', '-A INPUT -p udp -m multiport --dports 5,6 -j ACCEPT\nCOMMIT');
  const again = compareFirewalls(
    at(seen, ...before, added),
    at(iptables, ...before, added, rule('ip', XT, COUNTER, { accept: null })),
  );
  assert.deepEqual(changes(again), ['ipv4 rules_added 1']);
});

test('a move, a policy and a rule that went are told once, where nft lists all of them', () => {
  const ports = (order: number[], policy = 'DROP') =>
    host({
      'iptables-save': `*filter\n:INPUT ${policy} [0:0]\n${order.map((one) => `-A INPUT -p tcp -m tcp --dport ${one} -j ${one > 2 ? 'DROP' : 'ACCEPT'}\n`).join('')}COMMIT\n`,
      'nft-ruleset': listing(
        { table: { family: 'ip', name: 'filter', handle: 1 } },
        { chain: { ...chain('ip').chain, policy: policy.toLowerCase() } },
        // Without a counter: not as iptables writes rules.
        ...order.map((one) => rule('ip', port(one), one > 2 ? { drop: null } : { accept: null })),
      ),
    });
  assert.deepEqual(changes(compareFirewalls(ports([1, 2, 3]), ports([3, 1, 2]))), ['nft rules_repositioned 1']);
  assert.deepEqual(changes(compareFirewalls(ports([1, 2, 3]), ports([1, 3]))), ['nft rules_removed 1']);
  assert.deepEqual(changes(compareFirewalls(ports([1]), ports([1], 'ACCEPT'))), ['nft policy_changes 1']);
});

test('a base chain of its own in a table of iptables-nft is told once', () => {
  const remark = "# Table `filter' contains incompatible base-chains, use 'nft' tool to list them.\n";
  const items = table('ip', chain('ip'), SSH('ip'));
  const before = host({ 'iptables-save': RULES, 'nft-ruleset': listing(...items) });
  const own = listing(...items, chain('ip', 'early', -10));
  const after = host({ 'iptables-save': remark + RULES, 'nft-ruleset': own });
  assert.deepEqual(changes(compareFirewalls(before, after)), ['nft chains_added 1']);
  const unlisted = host({ 'iptables-save': remark + RULES, 'nft-ruleset': { status: 'timeout' } });
  assert.match(reasonTexts(unlisted.coverage).join('\n'), /only the nft listing has it/);
});

test('the table that iptables leaves behind is told once', () => {
  const left = host({
    'iptables-save': '*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n',
    'nft-ruleset': listing(...table('ip')),
  });
  assert.deepEqual(changes(compareFirewalls(host({}), left)), ['ipv4 tables_added 1']);
});

test('a tool that was not there on one side is no change, and said', () => {
  const native = listing({ table: { family: 'inet', name: 'f', handle: 1 } });
  const sets = 'create s hash:ip family inet hashsize 1024 maxelem 65536\n';
  const loaded = { subsystems: 'nf_tables loaded\nnft_compat loaded\nip_set loaded' };
  const without = host({ ...loaded, 'nft-ruleset': { status: 'absent' } });
  const withAll = host({ ...loaded, 'nft-ruleset': native, 'ipset-save': sets });
  for (const [before, after] of [
    [without, withAll],
    [withAll, without],
  ] as const) {
    const comparison = compareFirewalls(before, after);
    assert.deepEqual(changes(comparison), []);
    assert.match(comparison.uncompared.join('\n'), /nft could not be read.*\n.*ipsets could not be read/);
  }
  // Where the kernel says that there can be none, what came came.
  const none = host({
    subsystems: 'nf_tables not-loaded\nnft_compat not-loaded\nip_set not-loaded',
    'nft-ruleset': { status: 'absent' },
  });
  assert.deepEqual(changes(compareFirewalls(none, withAll)), ['nft tables_added 1', 'ipset sets_added 1']);
  assert.deepEqual(compareFirewalls(without, without).uncompared, []);
});

test('rules of iptables-nft that came are told though nft is not installed', () => {
  const quiet: Said = { 'iptables-backend': 'legacy', 'iptables-save': '', 'nft-ruleset': { status: 'absent' } };
  const before = host({ ...quiet, 'iptables-nft-save': '' });
  const after = host({ ...quiet, 'iptables-nft-save': RULES });
  assert.deepEqual(changes(compareFirewalls(before, after)), ['ipv4_nft tables_added 1', 'ipv4_nft chains_added 1']);
});

test('what could not be read is known by its backend: the default was switched meanwhile', () => {
  const failed = host({
    'iptables-backend': 'legacy',
    ip_tables_names: 'filter\n',
    'iptables-save': { status: 'timeout' },
    'iptables-nft-save': NO_RULES,
  });
  const switched = host({ ip_tables_names: 'filter\n', 'iptables-legacy-save': RULES, 'iptables-save': RULES });
  assert.deepEqual(changes(compareFirewalls(failed, switched)), ['ipv4 rules_added 1']);
});

test('matches of which nft lists no parameters, without iptables-save to show them, are no complete coverage', () => {
  const rules = listing(...table('ip', chain('ip'), rule('ip', XT, COUNTER, { accept: null })));
  const shown = host({ 'iptables-save': RULES, 'nft-ruleset': rules });
  assert.equal(shown.coverage.state, 'complete');
  const hidden = host({ 'iptables-backend': 'none', 'iptables-save': { status: 'absent' }, 'nft-ruleset': rules });
  assert.match(reasonTexts(hidden.coverage).join('\n'), /ip\/filter.*parameters nft does not list/);
});

test('a table that iptables-save passes over is compared in the listing of nft, and is not gone', () => {
  const added = rule('ip', port({ set: [80, 443] }), { accept: null });
  const before = host({ 'iptables-save': RULES, 'nft-ruleset': listing(...table('ip', chain('ip'), SSH('ip'))) });
  // As iptables up to 1.8.7 does with a table that it cannot print; a save that ends early says less.
  for (const save of ["# Table `filter' is incompatible, use 'nft' tool.\n", '']) {
    const nft = listing(...table('ip', chain('ip'), SSH('ip'), added));
    const after = host({ 'iptables-save': save, 'nft-ruleset': nft });
    assert.deepEqual(changes(compareFirewalls(before, after)), ['nft rules_added 1']);
    assert.deepEqual(changes(compareFirewalls(after, before)), ['nft rules_removed 1']);
    const unlisted = host({ 'iptables-save': RULES, 'nft-ruleset': { status: 'timeout' } });
    const comparison = compareFirewalls(unlisted, after);
    assert.deepEqual(comparison.families['ipv4']?.changes.tables_removed, []);
    assert.match(comparison.uncompared.join('\n'), /ip\/filter: iptables-save did not show this table/);
  }
});

test('what a cut off iptables-save does not come to has not gone', () => {
  const mangle = '*mangle\n:INPUT ACCEPT [0:0]\n-A INPUT -j DROP\nCOMMIT\n';
  const nat = '*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -j MASQUERADE\nCOMMIT\n';
  const whole = legacyHost(mangle + RULES + nat);
  const cut = legacyHost(mangle.replace('-A INPUT -j DROP\n', '') + NO_RULES.replace('COMMIT\n', ''));
  const comparison = compareFirewalls(whole, cut);
  assert.deepEqual(changes(comparison), ['ipv4 rules_removed 1']);
  assert.equal(comparison.families['ipv4']?.changes.rules_removed[0]?.table, 'mangle');
  assert.match(comparison.uncompared.join(), /ipv4 was cut off in the current capture/);
  assert.deepEqual(changes(compareFirewalls(cut, whole)), ['ipv4 rules_added 1']);
});
