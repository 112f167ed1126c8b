import assert from 'node:assert/strict';
import { test } from 'node:test';
import { viewFamily } from '../../../src/cli/inspector/family-view.ts';
import { reasonTexts } from '../../../src/core/capture/coverage.ts';
import { readHostFirewall } from '../../../src/core/host-firewall.ts';
import { payloadOf } from '../../core/capture/envelopes.ts';

const SAVE = '*filter\n:INPUT DROP [0:0]\nCOMMIT\n';
const XT = { xt: { type: 'match', name: 'conntrack' } };
const LISTING = JSON.stringify({
  nftables: ['ip', 'ip6', 'inet'].flatMap((family) => [
    { table: { family, name: 'filter', handle: 1 } },
    { chain: { family, table: 'filter', name: 'c', handle: 1 } },
    ...(family === 'ip6' ? [{ rule: { family, table: 'filter', chain: 'c', handle: 2, expr: [XT] } }] : []),
  ]),
});

/** ip6tables failed; iptables did not. */
const firewall = readHostFirewall(
  payloadOf([
    { name: 'subsystems', stdout: 'nf_tables loaded\nnft_compat loaded\nip_set not-loaded' },
    { name: 'ip_tables_names', status: 'skipped:not-loaded' },
    { name: 'ip6_tables_names', status: 'timeout' },
    { name: 'iptables-backend', stdout: 'nft' },
    { name: 'ip6tables-backend', stdout: 'nft' },
    { name: 'iptables-save', stdout: SAVE },
    { name: 'ip6tables-save', status: 'timeout' },
    { name: 'nft-ruleset', stdout: LISTING },
    { name: 'ipset-save', status: 'absent' },
  ]),
);

test('one family is complete though the other could not be read', () => {
  assert.equal(firewall.coverage.reasons.length, 3, reasonTexts(firewall.coverage).join('\n'));
  const { coverage, unread, nft, iptables } = viewFamily(firewall, 'ipv4');
  assert.deepEqual(coverage, { state: 'complete', reasons: [] });
  assert.deepEqual(unread, []);
  assert.deepEqual([...(nft?.tables.keys() ?? [])], ['ip/filter', 'inet/filter']);
  assert.deepEqual(
    iptables.map(({ key }) => key),
    ['ipv4'],
  );
});

test('the family that could not be read stays so', () => {
  assert.deepEqual(viewFamily(firewall, 'ipv6').coverage, firewall.coverage);
  assert.equal(viewFamily(firewall, 'both'), firewall);
});
