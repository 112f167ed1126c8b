import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AssessedChange } from '../../../src/core/drift/family-drift.ts';
import { assessIptablesDrift } from '../../../src/core/drift/iptables-drift.ts';
import type { Severity } from '../../../src/core/drift/severity.ts';
import { type IptablesRuleset, parseIptablesSave } from '../../../src/core/iptables/index.ts';

/** A filter table: `POLICIES; rule; rule`, where POLICIES are those of INPUT, FORWARD and OUTPUT. */
function ruleset(text: string, table = 'filter'): IptablesRuleset {
  const [policies = '', ...rules] = text.split(';').map((part) => part.trim());
  const [input = 'ACCEPT', forward = 'ACCEPT', output = 'ACCEPT'] = policies.split(' ');
  const builtIn =
    table === 'nat'
      ? [':PREROUTING ACCEPT', ':INPUT ACCEPT', ':OUTPUT ACCEPT', ':POSTROUTING ACCEPT']
      : table === 'raw'
        ? [':PREROUTING ACCEPT', ':OUTPUT ACCEPT']
        : [`:INPUT ${input}`, `:FORWARD ${forward}`, `:OUTPUT ${output}`];
  const lines = rules.filter((rule) => rule !== '').map((rule) => (rule.startsWith(':') ? `${rule} -` : `-A ${rule}`));
  const save = [
    `*${table}`,
    ...builtIn,
    ...lines.filter((line) => line.startsWith(':')),
    ...lines.filter((line) => !line.startsWith(':')),
    'COMMIT',
  ];
  return parseIptablesSave(save.join('\n'), { family: 'ipv4' }).ruleset;
}

function drift(before: string, after: string, table = 'filter'): AssessedChange[] {
  return assessIptablesDrift(ruleset(before, table), ruleset(after, table));
}

const SSH = 'INPUT -p tcp -m tcp --dport 22 -j ACCEPT';
const WEB = 'INPUT -p tcp -m tcp --dport 443 -j ACCEPT';
const BANS = ':f2b-sshd; INPUT -p tcp -j f2b-sshd';

/** What changes, what it is worth, and words of the reason; `folded` when it is its owner's churn. */
const ROWS: readonly (readonly [string, string, string, AssessedChange['kind'], Severity, RegExp, string?])[] = [
  ['a policy opened', 'DROP', 'ACCEPT', 'policy_changes', 'critical', /from DROP to ACCEPT/],
  ['a policy closed', 'ACCEPT ACCEPT ACCEPT', 'ACCEPT ACCEPT DROP', 'policy_changes', 'critical', /168\.63\.129\.16/],
  [
    'SSH opened to the world',
    'DROP',
    `DROP; ${SSH}`,
    'rules_added',
    'critical',
    /SSH \(tcp\/22\) is now open to any source/,
  ],
  [
    'SSH among a range opened',
    'DROP',
    'DROP; INPUT -p tcp -m tcp --dport 1:1024 -j ACCEPT',
    'rules_added',
    'critical',
    /SSH/,
  ],
  [
    'an accept below an equal one',
    `DROP; ${SSH}`,
    `DROP; ${SSH}; ${SSH}`,
    'rules_added',
    'low',
    /a rule above it accepts the same/,
  ],
  [
    'RETURN of everything where the policy drops',
    `DROP; ${SSH}`,
    `DROP; INPUT -j RETURN; ${SSH}`,
    'rules_added',
    'critical',
    /the policy DROP decides on nearly everything/,
  ],
  ['a target nobody knows', 'DROP', 'DROP; INPUT -p tcp -j WEIRD --x 1', 'rules_added', 'high', /not known here/],
  [
    'SSH opened to one network',
    'DROP',
    'DROP; INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT',
    'rules_added',
    'medium',
    /from 10\.0\.0\.0\/8/,
  ],
  [
    'a web port opened',
    'DROP',
    'DROP; INPUT -p tcp -m tcp --dport 8080 -j ACCEPT',
    'rules_added',
    'high',
    /any source/,
  ],
  [
    'return traffic accepted',
    'DROP',
    'DROP; INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    'rules_added',
    'low',
    /accepted connections/,
  ],
  ['loopback accepted', 'DROP', 'DROP; INPUT -i lo -j ACCEPT', 'rules_added', 'low', /loopback/],
  ['everything accepted', 'DROP', 'DROP; INPUT -j ACCEPT', 'rules_added', 'critical', /of everything/],
  ['all of TCP accepted', 'DROP', 'DROP; INPUT -p tcp -j ACCEPT', 'rules_added', 'critical', /nearly everything/],
  [
    'one outer interface accepted',
    'DROP',
    'DROP; INPUT -i eth0 -j ACCEPT',
    'rules_added',
    'critical',
    /nearly everything/,
  ],
  [
    'all but return traffic accepted',
    'DROP',
    'DROP; INPUT -m conntrack ! --ctstate ESTABLISHED -j ACCEPT',
    'rules_added',
    'critical',
    /nearly everything/,
  ],
  [
    'everything accepted in a chain that all reach',
    'DROP; :C; INPUT -j C',
    'DROP; :C; INPUT -j C; C -j ACCEPT',
    'rules_added',
    'critical',
    /everything/,
  ],
  [
    'everything accepted in a chain for one port',
    'DROP; :C; INPUT -p tcp -m tcp --dport 80 -j C',
    'DROP; :C; INPUT -p tcp -m tcp --dport 80 -j C; C -j ACCEPT',
    'rules_added',
    'high',
    /sent to this chain/,
  ],
  [
    'everything accepted in a chain that none reach',
    'DROP; :C',
    'DROP; :C; C -j ACCEPT',
    'rules_added',
    'low',
    /no hook reaches/,
  ],
  [
    'the last accept of a service gone',
    `DROP; ${SSH}; ${WEB}`,
    `DROP; ${WEB}`,
    'rules_removed',
    'critical',
    /last accept/,
  ],
  [
    'an accept gone that another one covers',
    `DROP; ${SSH}; INPUT -p tcp -m multiport --dports 22,80 -j ACCEPT`,
    'DROP; INPUT -p tcp -m multiport --dports 22,80 -j ACCEPT',
    'rules_removed',
    'medium',
    /another rule/,
  ],
  [
    'an accept gone where all is rejected at the end',
    `ACCEPT; ${SSH}; INPUT -j REJECT`,
    'ACCEPT; INPUT -j REJECT',
    'rules_removed',
    'critical',
    /last accept/,
  ],
  ['an accept added where nothing is dropped', 'ACCEPT', `ACCEPT; ${SSH}`, 'rules_added', 'low', /nothing is dropped/],
  ['an accept gone where nothing is dropped', `ACCEPT; ${SSH}`, 'ACCEPT', 'rules_removed', 'low', /nothing is dropped/],
  [
    'the WireServer accept gone',
    'ACCEPT ACCEPT DROP; OUTPUT -d 168.63.129.16/32 -p tcp -m tcp --dport 80 -j ACCEPT',
    'ACCEPT ACCEPT DROP',
    'rules_removed',
    'critical',
    /WireServer/,
  ],
  ['a drop added', 'ACCEPT', 'ACCEPT; INPUT -s 192.0.2.0/24 -j DROP', 'rules_added', 'critical', /now stopped/],
  ['a drop gone', 'ACCEPT; INPUT -s 192.0.2.0/24 -j DROP', 'ACCEPT', 'rules_removed', 'critical', /no longer stopped/],
  [
    'a drop of everything below a policy that drops',
    'DROP',
    'DROP; INPUT -j DROP',
    'rules_added',
    'low',
    /drops anyway/,
  ],
  [
    'the WireServer blocked by address',
    'ACCEPT',
    'ACCEPT; OUTPUT -d 168.63.0.0/16 -j DROP',
    'rules_added',
    'critical',
    /Run Command/,
  ],
  [
    'the WireServer blocked by port',
    'ACCEPT',
    'ACCEPT; OUTPUT -p tcp -m tcp --dport 80 -j REJECT',
    'rules_added',
    'critical',
    /WireServer/,
  ],
  [
    'another address blocked',
    'ACCEPT',
    'ACCEPT; OUTPUT -d 10.9.9.9/32 -j DROP',
    'rules_added',
    'critical',
    /now stopped/,
  ],
  [
    'a jump turned into a goto',
    'DROP; :C; INPUT -j C; C -p tcp -j DROP',
    'DROP; :C; INPUT -g C; C -p tcp -j DROP',
    'rules_modified',
    'critical',
    /no longer come back/,
  ],
  [
    'a jump redirected',
    'DROP; :C; :D; INPUT -j C',
    'DROP; :C; :D; INPUT -j D',
    'rules_modified',
    'critical',
    /redirected/,
  ],
  [
    'a jump into drops added',
    'ACCEPT; :C; C -s 1.2.3.4/32 -j DROP',
    'ACCEPT; :C; INPUT -j C; C -s 1.2.3.4/32 -j DROP',
    'rules_added',
    'critical',
    /dropped there/,
  ],
  ['a jump into nothing added', 'ACCEPT; :C', 'ACCEPT; :C; INPUT -j C', 'rules_added', 'low', /decides nothing/],
  [
    'a comment edited',
    'DROP; INPUT -s 1.2.3.4/32 -m comment --comment a -j DROP',
    'DROP; INPUT -s 1.2.3.4/32 -m comment --comment b -j DROP',
    'rules_modified',
    'low',
    /only comment/,
  ],
  [
    'a log prefix edited',
    'DROP; INPUT -j LOG --log-prefix a',
    'DROP; INPUT -j LOG --log-prefix b',
    'rules_modified',
    'low',
    /only target\.log_prefix/,
  ],
  [
    'an accept turned around',
    'DROP; INPUT -p tcp -m tcp --dport 22 -m owner --uid-owner 0 -j ACCEPT',
    'DROP; INPUT -p tcp -m tcp --dport 22 -m owner ! --uid-owner 0 -j ACCEPT',
    'rules_modified',
    'critical',
    /turned around/,
  ],
  [
    'an accept that lost a condition',
    'ACCEPT; INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 8080 -j ACCEPT',
    'ACCEPT; INPUT -p tcp -m tcp --dport 8080 -j ACCEPT',
    'rules_modified',
    'critical',
    /lost a condition/,
  ],
  [
    'an accept that gained a condition',
    `DROP; ${SSH}`,
    'DROP; INPUT -s 10.0.0.0/8 -p tcp -m tcp --dport 22 -j ACCEPT',
    'rules_modified',
    'high',
    /gained a condition/,
  ],
  [
    'an accept of another port',
    'DROP; INPUT -p tcp -m tcp --dport 8080 -j ACCEPT',
    'DROP; INPUT -p tcp -m tcp --dport 8081 -j ACCEPT',
    'rules_modified',
    'critical',
    /another accept/,
  ],
  [
    'a drop of another address',
    'ACCEPT; INPUT -s 1.2.3.4/32 -j DROP',
    'ACCEPT; INPUT -s 1.2.3.5/32 -j DROP',
    'rules_modified',
    'critical',
    /source changed/,
  ],
  [
    'a drop moved above an accept',
    `DROP; ${SSH}; INPUT -s 10.0.0.0/8 -j DROP`,
    `DROP; INPUT -s 10.0.0.0/8 -j DROP; ${SSH}`,
    'rules_repositioned',
    'critical',
    /decide the opposite/,
  ],
  [
    'an accept moved among accepts',
    `DROP; ${SSH}; ${WEB}`,
    `DROP; ${WEB}; ${SSH}`,
    'rules_repositioned',
    'low',
    /no rule that it passed/,
  ],
  [
    'a return moved',
    `DROP; ${SSH}; ${WEB}; INPUT -s 1.1.1.1/32 -j RETURN`,
    `DROP; INPUT -s 1.1.1.1/32 -j RETURN; ${SSH}; ${WEB}`,
    'rules_repositioned',
    'high',
    /met first/,
  ],
  [
    'an unknown match whose text changed',
    'DROP; INPUT -m nosuch --x 1 -j ACCEPT',
    'DROP; INPUT -m nosuch --x 2 -j ACCEPT',
    'rules_modified',
    'critical',
    /nosuch/,
  ],
  [
    'SSH opened to half of all addresses by a mask with holes',
    'DROP',
    'DROP; INPUT -s 0.0.0.0/0.0.0.1 -p tcp -m tcp --dport 22 -j ACCEPT',
    'rules_added',
    'critical',
    /open to any source/,
  ],
  [
    'SSH opened to an eighth of all addresses',
    'DROP',
    'DROP; INPUT -s 64.0.0.0/3 -p tcp -m tcp --dport 22 -j ACCEPT',
    'rules_added',
    'critical',
    /open to any source/,
  ],
  [
    'SSH opened to a range of all addresses',
    'DROP',
    'DROP; INPUT -p tcp -m iprange --src-range 1.0.0.0-223.255.255.255 -m tcp --dport 22 -j ACCEPT',
    'rules_added',
    'critical',
    /open to any source/,
  ],
  [
    'SSH opened to a range of a few',
    'DROP',
    'DROP; INPUT -p tcp -m iprange --src-range 10.0.0.1-10.0.0.9 -m tcp --dport 22 -j ACCEPT',
    'rules_added',
    'medium',
    /accepted/,
  ],
  [
    'any port opened to who sends from port 22, below SSH',
    `DROP; ${SSH}`,
    `DROP; ${SSH}; INPUT -p tcp -m multiport --ports 22 -j ACCEPT`,
    'rules_added',
    'critical',
    /any source/,
  ],
  [
    'new connections that NAT sends here',
    'DROP',
    'DROP; INPUT -m conntrack --ctstate ESTABLISHED,DNAT -j ACCEPT',
    'rules_added',
    'high',
    /any source/,
  ],
  [
    'a goto of everything into an empty chain',
    'ACCEPT; :C; INPUT -p tcp -j DROP',
    'ACCEPT; :C; INPUT -g C; INPUT -p tcp -j DROP',
    'rules_added',
    'critical',
    /the policy ACCEPT decides/,
  ],
  [
    'a goto of one network into an empty chain',
    'ACCEPT; :C; INPUT -p tcp -j DROP',
    'ACCEPT; :C; INPUT -s 192.0.2.0/24 -g C; INPUT -p tcp -j DROP',
    'rules_added',
    'high',
    /rules below/,
  ],
  [
    'a goto into an empty chain gone',
    'ACCEPT; :C; INPUT -s 192.0.2.0/24 -g C; INPUT -p tcp -j DROP',
    'ACCEPT; :C; INPUT -p tcp -j DROP',
    'rules_removed',
    'high',
    /rules below/,
  ],
  [
    'everything accepted by -m limit --limit 10000/sec',
    'DROP',
    'DROP; INPUT -m limit --limit 10000/sec -j ACCEPT',
    'rules_added',
    'critical',
    /nearly everything/,
  ],
  [
    'everything accepted by -m addrtype --dst-type LOCAL',
    'DROP',
    'DROP; INPUT -m addrtype --dst-type LOCAL -j ACCEPT',
    'rules_added',
    'critical',
    /nearly everything/,
  ],
  [
    'everything accepted by -m pkttype --pkt-type unicast',
    'DROP',
    'DROP; INPUT -m pkttype --pkt-type unicast -j ACCEPT',
    'rules_added',
    'critical',
    /nearly everything/,
  ],
  [
    'everything accepted by -m set ! --match-set few src',
    'DROP',
    'DROP; INPUT -m set ! --match-set few src -j ACCEPT',
    'rules_added',
    'critical',
    /nearly everything/,
  ],
  [
    'everything accepted by -m mac ! --mac-source 00:00:00:00:00:01',
    'DROP',
    'DROP; INPUT -m mac ! --mac-source 00:00:00:00:00:01 -j ACCEPT',
    'rules_added',
    'critical',
    /nearly everything/,
  ],
  [
    'everything accepted by -m ttl --ttl-gt 1',
    'DROP',
    'DROP; INPUT -m ttl --ttl-gt 1 -j ACCEPT',
    'rules_added',
    'critical',
    /nearly everything/,
  ],
  [
    'multicast accepted',
    'DROP',
    'DROP; INPUT -m addrtype --dst-type MULTICAST -j ACCEPT',
    'rules_added',
    'high',
    /any source/,
  ],
  [
    'one set accepted',
    'DROP',
    'DROP; INPUT -m set --match-set few src -j ACCEPT',
    'rules_added',
    'medium',
    /now accepted/,
  ],
  [
    'a ban',
    `ACCEPT; ${BANS}; f2b-sshd -j RETURN`,
    `ACCEPT; ${BANS}; f2b-sshd -s 1.2.3.4/32 -j REJECT; f2b-sshd -j RETURN`,
    'rules_added',
    'noise',
    /fail2ban itself/,
    'folded',
  ],
  [
    'an accept in a ban chain',
    `ACCEPT; ${BANS}`,
    `ACCEPT; ${BANS}; f2b-sshd -s 1.2.3.4/32 -j ACCEPT`,
    'rules_added',
    'medium',
    /overtakes|accepted/,
  ],
  [
    'a drop of everything in a ban chain',
    `ACCEPT; ${BANS}`,
    `ACCEPT; ${BANS}; f2b-sshd -j DROP`,
    'rules_added',
    'critical',
    /stopped/,
  ],
  [
    'the jump into a ban chain gone',
    `ACCEPT; ${BANS}; f2b-sshd -s 1.2.3.4/32 -j REJECT`,
    'ACCEPT; :f2b-sshd; f2b-sshd -s 1.2.3.4/32 -j REJECT',
    'rules_removed',
    'critical',
    /passes on/,
  ],
  [
    'a container',
    'ACCEPT DROP; :DOCKER; FORWARD -o docker0 -j DOCKER',
    'ACCEPT DROP; :DOCKER; FORWARD -o docker0 -j DOCKER; DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT',
    'rules_added',
    'noise',
    /docker itself/,
    'folded',
  ],
  [
    'a network of Docker in FORWARD',
    'ACCEPT DROP; :DOCKER',
    'ACCEPT DROP; :DOCKER; FORWARD -i br-0123456789ab ! -o br-0123456789ab -j ACCEPT',
    'rules_added',
    'noise',
    /docker itself/,
    'folded',
  ],
  [
    'everything accepted in DOCKER',
    'ACCEPT DROP; :DOCKER; FORWARD -j DOCKER',
    'ACCEPT DROP; :DOCKER; FORWARD -j DOCKER; DOCKER -j ACCEPT',
    'rules_added',
    'critical',
    /everything/,
  ],
  [
    'a rule of a person in DOCKER-USER',
    'ACCEPT DROP; :DOCKER-USER; FORWARD -j DOCKER-USER',
    'ACCEPT DROP; :DOCKER-USER; FORWARD -j DOCKER-USER; DOCKER-USER -i eth0 ! -s 203.0.113.0/24 -j DROP',
    'rules_added',
    'critical',
    /stopped/,
  ],
  [
    'a service without endpoints',
    'ACCEPT; :KUBE-SERVICES; FORWARD -j KUBE-SERVICES',
    'ACCEPT; :KUBE-SERVICES; FORWARD -j KUBE-SERVICES; KUBE-SERVICES -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j REJECT',
    'rules_added',
    'noise',
    /kube-proxy itself/,
    'folded',
  ],
];

for (const [name, before, after, kind, severity, reason, folded] of ROWS) {
  test(`${name} is ${severity}`, () => {
    const changes = drift(before, after);
    assert.deepEqual(
      changes.map((change) => [change.kind, change.severity, change.ephemeral]),
      [[kind, severity, folded === 'folded']],
      JSON.stringify(changes, null, 1),
    );
    assert.match(changes[0]?.reason ?? '', reason);
  });
}

test('what happens in nat and raw is judged by where traffic goes', () => {
  const dnat = 'PREROUTING -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.1:80';
  const rows: readonly (readonly [string, string, string, Severity])[] = [
    ['nat', dnat, dnat.replace('10.0.0.1', '10.0.0.2'), 'critical'],
    ['nat', '', dnat, 'high'],
    ['nat', 'POSTROUTING -o eth0 -j MASQUERADE', '', 'high'],
    ['nat', '', 'POSTROUTING -o eth0 -j MASQUERADE', 'medium'],
    ['raw', '', 'PREROUTING -j CT --notrack', 'critical'],
    ['raw', '', 'PREROUTING -p udp -m udp --dport 53 -j NOTRACK', 'high'],
    ['raw', '', 'PREROUTING -s 1.2.3.4/32 -j DROP', 'critical'],
  ];
  for (const [table, before, after, severity] of rows) {
    assert.deepEqual(
      drift(`ACCEPT; ${before}`, `ACCEPT; ${after}`, table).map((change) => change.severity),
      [severity],
      `${table}: ${before} to ${after}`,
    );
  }
});

test('a policy change in a chain of churn is listed, never folded', () => {
  const text = (policy: string): string => `*filter\n:DOCKER ${policy} [0:0]\nCOMMIT\n`;
  const [change] = assessIptablesDrift(
    parseIptablesSave(text('ACCEPT'), { family: 'ipv4' }).ruleset,
    parseIptablesSave(text('DROP'), { family: 'ipv4' }).ruleset,
  );
  assert.deepEqual([change?.kind, change?.ephemeral, change?.severity], ['policy_changes', false, 'critical']);
});

test('an empty table or built-in chain that appears is listed and is no drift', () => {
  const [change, ...others] = assessIptablesDrift(
    parseIptablesSave('', { family: 'ipv4' }).ruleset,
    parseIptablesSave('*raw\n:PREROUTING ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n', { family: 'ipv4' }).ruleset,
  );
  assert.deepEqual([change?.kind, change?.informational, others.length], ['tables_added', true, 0]);
});

test('a table that comes with a policy or rules is as bad as its worst rule', () => {
  const after = '*filter\n:INPUT DROP [0:0]\nCOMMIT\n';
  const [change] = assessIptablesDrift(
    parseIptablesSave('', { family: 'ipv4' }).ruleset,
    parseIptablesSave(after, { family: 'ipv4' }).ruleset,
  );
  assert.deepEqual([change?.kind, change?.severity], ['tables_added', 'critical']);
});

test('a line that is not understood is at least as visible as a change', () => {
  const [change] = assessIptablesDrift(
    parseIptablesSave('', { family: 'ipv4' }).ruleset,
    parseIptablesSave("# Table `nat' is incompatible, use 'nft' tool.", { family: 'ipv4' }).ruleset,
  );
  assert.deepEqual([change?.kind, change?.severity], ['unparsed_changed', 'high']);
});

test('rule changes carry the printed rule, 1-based positions, and what differs', () => {
  const [moved] = drift(`DROP; ${SSH}; ${WEB}; INPUT -j LOG`, `DROP; INPUT -j LOG; ${SSH}; ${WEB}`);
  assert.deepEqual(moved?.detail, { rule: '-A INPUT -j LOG', position: 1, baseline_position: 3, current_position: 1 });
  const [modified] = drift(`DROP; ${SSH}`, `DROP; ${SSH.replace('22', '23')}`);
  assert.deepEqual(modified?.detail, {
    rule: `-A ${SSH.replace('22', '23')}`,
    position: 1,
    baseline_position: 1,
    current_position: 1,
    before: `-A ${SSH}`,
    after: `-A ${SSH.replace('22', '23')}`,
    fields: ['tcp.dport'],
  });
});

test('a chain that came or went shows its rules, and a table shows its chains', () => {
  const [chain] = drift('DROP', 'DROP; :EVIL; EVIL -j ACCEPT; EVIL -p tcp -j LOG');
  assert.deepEqual(
    [chain?.kind, chain?.detail['type'], chain?.detail['rule_count']],
    ['chains_added', 'user-defined', 2],
  );
  assert.deepEqual(chain?.detail['rules'], ['-A EVIL -j ACCEPT', '-A EVIL -p tcp -j LOG']);
  const gone = assessIptablesDrift(ruleset(`DROP; ${SSH}`), parseIptablesSave('', { family: 'ipv4' }).ruleset);
  assert.deepEqual(
    gone.map(({ kind, chain: name }) => [kind, name]),
    [
      ['tables_removed', null],
      ['chains_removed', 'INPUT'],
    ],
  );
});
