import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIptablesSave, printIptablesSave } from '../../../src/core/iptables/index.ts';

const SAVED = `*filter
:INPUT DROP [12:800]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [9007199254740993:18446744073709551615]
:C - [0:0]
[3:180] -A INPUT -s 10.0.0.0/8 ! -i lo -p tcp -m tcp --dport 22 -m conntrack --ctstate NEW -j ACCEPT
[0:0] -A INPUT -g C
[0:0] -A C -m comment --comment "x\\" -j ACCEPT y" -j LOG --log-prefix "it\\'s "
COMMIT
`;

test('a saved ruleset is printed as it was read, counters and all', () => {
  const { ruleset, diagnostics } = parseIptablesSave(SAVED, { family: 'ipv4' });
  assert.deepEqual(diagnostics, []);
  assert.equal(printIptablesSave(ruleset, { counters: true }), SAVED);
});

test('a rule says in JSON where it is and what it is', () => {
  const { ruleset } = parseIptablesSave(SAVED, { family: 'ipv4' });
  assert.deepEqual(JSON.parse(JSON.stringify(ruleset.tables.get('filter')?.chains.get('INPUT')?.rules[1])), {
    family: 'ipv4',
    table: 'filter',
    chain: 'INPUT',
    text: '-A INPUT -g C',
    packets: 0,
    bytes: 0,
  });
});
