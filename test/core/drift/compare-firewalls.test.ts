import assert from 'node:assert/strict';
import { test } from 'node:test';
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
  assert.match(cut.coverage.reasons.join(), /ipv4 could not be read to its end: IPT_NO_COMMIT/);
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
