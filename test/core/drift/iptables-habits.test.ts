import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AssessedChange } from '../../../src/core/drift/family-drift.ts';
import { assessIptablesDrift } from '../../../src/core/drift/iptables-drift.ts';
import { parseIptablesSave } from '../../../src/core/iptables/index.ts';

/** The fold of churn is where a hostile rule would hide: each of these carries a tool's name, or stands in its chain. */

const BUILT_IN: Record<string, string[]> = {
  filter: ['INPUT', 'FORWARD', 'OUTPUT'],
  nat: ['PREROUTING', 'INPUT', 'OUTPUT', 'POSTROUTING'],
  raw: ['PREROUTING', 'OUTPUT'],
};

const FRAMES: Record<string, [string, ...string[]]> = {
  bans: [
    'filter',
    'INPUT -p tcp -m multiport --dports 22 -j f2b-sshd',
    'INPUT -p tcp -m tcp --dport 22 -j ACCEPT',
    'INPUT -p tcp -m tcp --dport 3306 -j DROP',
    'f2b-sshd -s 192.0.2.1/32 -j REJECT',
    'f2b-sshd -j RETURN',
    'f2b-idle -j ACCEPT',
  ],
  docker: [
    'filter',
    'FORWARD -j DOCKER-USER',
    'FORWARD -j DOCKER-ISOLATION-STAGE-1',
    'FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    'FORWARD -o docker0 -j DOCKER',
    'FORWARD -i docker0 ! -o docker0 -j ACCEPT',
    'FORWARD -i docker0 -o docker0 -j ACCEPT',
    'DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT',
    'DOCKER ! -i docker0 -o docker0 -j DROP',
    'DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2',
    'DOCKER-ISOLATION-STAGE-1 -j RETURN',
    'DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP',
    'DOCKER-ISOLATION-STAGE-2 -j RETURN',
    'DOCKER-USER -j RETURN',
    'MINE -j ACCEPT',
  ],
  dockerNat: [
    'nat',
    'PREROUTING -m addrtype --dst-type LOCAL -j DOCKER',
    'OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER',
    'POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE',
    'DOCKER -i docker0 -j RETURN',
    'DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80',
  ],
  kube: [
    'filter',
    'INPUT -m conntrack --ctstate NEW -j KUBE-NODEPORTS',
    'INPUT -j KUBE-FIREWALL',
    'INPUT -m conntrack --ctstate NEW -j KUBE-EXTERNAL-SERVICES',
    'KUBE-EXTERNAL-SERVICES -d 192.0.2.80/32 -p tcp -m tcp --dport 80 -j REJECT',
    'FORWARD -j KUBE-SERVICES',
    'OUTPUT -j KUBE-SERVICES',
    'OUTPUT -j KUBE-FIREWALL',
    'KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -j DROP',
    'KUBE-SERVICES -d 10.96.0.9/32 -p tcp -m tcp --dport 80 -j REJECT',
    'KUBE-NODEPORTS -p tcp -m tcp --dport 31000 -j ACCEPT',
  ],
  kubeNat: [
    'nat',
    'PREROUTING -j KUBE-SERVICES',
    'KUBE-SERVICES -d 10.96.0.1/32 -p tcp -m tcp --dport 443 -j KUBE-SVC-AAAAAAAAAAAAAAAA',
    'KUBE-SVC-AAAAAAAAAAAAAAAA -j KUBE-SEP-BBBBBBBBBBBBBBBB',
    'KUBE-SEP-BBBBBBBBBBBBBBBB -p tcp -m tcp -j DNAT --to-destination 10.244.0.5:6443',
  ],
  calico: [
    'filter',
    'FORWARD -j cali-FORWARD',
    'cali-FORWARD -j cali-tw-cali0123456789a',
    'cali-tw-cali0123456789a -m comment --comment "cali:AAAAAAAAAAAAAAAA" -j cali-pi-policy',
    'cali-tw-cali0123456789a -m comment --comment "cali:BBBBBBBBBBBBBBBB" -j DROP',
    'cali-pi-policy -m comment --comment "cali:CCCCCCCCCCCCCCCC" -p tcp -m tcp --dport 80 -j MARK --set-xmark 0x10000/0x10000',
  ],
};

/** `+rule` at the end of its chain, `^rule` at its top, `-rule` gone, `-rule => rule` in its place. */
function change(frame: string, edits: readonly string[]): AssessedChange[] {
  const [table, ...rules] = FRAMES[frame] as [string, ...string[]];
  let after = [...rules];
  for (const edit of edits) {
    const [rule = '', other] = edit.slice(1).split(' => ');
    if (edit.startsWith('-')) {
      assert.ok(after.includes(rule), rule);
      after = after.flatMap((one) => (one !== rule ? [one] : other === undefined ? [] : [other]));
    } else if (edit.startsWith('^')) after = [rule, ...after.filter((one) => one !== rule)];
    else after = [...after.filter((one) => one !== rule), rule];
  }
  const parse = (lines: readonly string[]) => {
    const builtIn = BUILT_IN[table] ?? [];
    const own = new Set(lines.map((line) => line.split(' ')[0] ?? '').filter((chain) => !builtIn.includes(chain)));
    const chains = [
      ...builtIn.map((chain) => `:${chain} ACCEPT [0:0]`),
      ...[...own].map((chain) => `:${chain} - [0:0]`),
    ];
    const text = [`*${table}`, ...chains, ...lines.map((line) => `-A ${line}`), 'COMMIT', ''].join('\n');
    return parseIptablesSave(text, { family: 'ipv4' }).ruleset;
  };
  return assessIptablesDrift(parse(rules), parse(after));
}

const HOSTILE: readonly (readonly [string, string, ...string[]])[] = [
  ['goto into a ban chain: its return is the policy, and no rule below is met', 'bans', '^INPUT -g f2b-sshd'],
  ['a new ban chain is left by goto', 'bans', '^INPUT -g f2b-evil', '+f2b-evil -j RETURN'],
  ['a jump into an old chain of a ban name that accepts', 'bans', '^INPUT -j f2b-idle'],
  ['a new chain of a ban name that accepts', 'bans', '+f2b-evil -s 203.0.113.9/32 -j ACCEPT'],
  ['a return at the top of a ban chain', 'bans', '^f2b-sshd -s 192.0.2.0/24 -j RETURN'],
  ['the return of a ban chain moved to its top', 'bans', '^f2b-sshd -j RETURN'],
  ['a ban of a port for all', 'bans', '^f2b-sshd -p tcp -m tcp --dport 22 -j DROP'],
  ['a ban of a large network', 'bans', '^f2b-sshd -s 10.0.0.0/8 -j DROP'],
  ['a ban of all but one', 'bans', '^f2b-sshd ! -s 192.0.2.77/32 -j DROP'],
  ['a ban of the WireServer', 'bans', '^f2b-sshd -s 168.63.129.16/32 -j DROP'],
  ['a ban chain that calls another', 'bans', '^f2b-sshd -j OTHER', '+OTHER -p tcp -m tcp --dport 1 -j LOG'],
  ['a jump into a ban chain below what accepts', 'bans', '+INPUT -p tcp -m multiport --dports 22 -j f2b-sshd'],
  [
    'a jump into a ban chain for other ports',
    'bans',
    '-INPUT -p tcp -m multiport --dports 22 -j f2b-sshd => INPUT -p tcp -m multiport --dports 9 -j f2b-sshd',
  ],
  ['all accepted in DOCKER-USER', 'docker', '^DOCKER-USER -j ACCEPT'],
  ['all accepted in a chain called nearly DOCKER', 'docker', '^FORWARD -j DOCKER-X', '+DOCKER-X -j ACCEPT'],
  ['new connections to all containers', 'docker', '^FORWARD -o docker0 -m conntrack --ctstate NEW -j ACCEPT'],
  ['all connections to all containers', 'docker', '^DOCKER -o docker0 -j ACCEPT'],
  ['the same from outside', 'docker', '^DOCKER ! -i docker0 -o docker0 -j ACCEPT'],
  ['a port of the host opened in DOCKER', 'docker', '^DOCKER -p tcp -m tcp --dport 22 -j ACCEPT'],
  ['one network let into another', 'docker', '^FORWARD -i docker1 -o docker0 -j ACCEPT'],
  ['a chain of Docker that calls another', 'docker', '^DOCKER -j MINE'],
  ['the guard of a bridge gone', 'docker', '-DOCKER ! -i docker0 -o docker0 -j DROP'],
  ['the isolation of a bridge gone', 'docker', '-DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP'],
  [
    'the way to the isolation of a bridge gone',
    'docker',
    '-DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2',
  ],
  ['isolation left at once', 'docker', '^DOCKER-ISOLATION-STAGE-1 -j RETURN'],
  ['a queue in DOCKER', 'docker', '^DOCKER -o docker0 -j NFQUEUE --queue-num 0'],
  ['a host port sent abroad', 'dockerNat', '^DOCKER -p tcp -m tcp --dport 80 -j DNAT --to-destination 203.0.113.9:80'],
  [
    'the SSH port of the host',
    'dockerNat',
    '^DOCKER ! -i docker0 -p tcp -m tcp --dport 22 -j DNAT --to-destination 172.17.0.9:22',
  ],
  [
    'the SSH port of an address of the host',
    'dockerNat',
    '^DOCKER -d 10.0.0.4/32 ! -i docker0 -p tcp -m tcp --dport 22 -j DNAT --to-destination 172.17.0.9:22',
  ],
  [
    'a port sent to the metadata of the VM',
    'dockerNat',
    '^DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 169.254.169.254:80',
  ],
  [
    'the metadata of the VM sent to a container',
    'dockerNat',
    '^DOCKER -d 169.254.169.254/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.9:80',
  ],
  [
    'the WireServer sent to a container',
    'dockerNat',
    '^DOCKER -d 168.63.129.16/32 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.9:80',
  ],
  ['a reject in KUBE-FIREWALL', 'kube', '+KUBE-FIREWALL -p tcp -m tcp --dport 22 -j REJECT'],
  ['a reject of a port of the host', 'kube', '+KUBE-SERVICES -p tcp -m tcp --dport 22 -j REJECT'],
  ['all of one address as a service', 'kube', '+KUBE-SERVICES -d 10.0.0.4/32 -j REJECT'],
  ['SSH to the host as a service', 'kube', '+KUBE-EXTERNAL-SERVICES -d 10.0.0.4/32 -p tcp -m tcp --dport 22 -j REJECT'],
  ['the WireServer as a service', 'kube', '+KUBE-SERVICES -d 168.63.129.16/32 -p tcp -m tcp --dport 80 -j REJECT'],
  ['SSH as a node port', 'kube', '+KUBE-NODEPORTS -p tcp -m tcp --dport 22 -j ACCEPT'],
  ['services skipped', 'kube', '^KUBE-SERVICES -j RETURN'],
  ['an accept in a chain called like a service', 'kube', '^KUBE-SERVICES -s 203.0.113.9/32 -j ACCEPT'],
  [
    'an endpoint sent elsewhere',
    'kubeNat',
    '-KUBE-SEP-BBBBBBBBBBBBBBBB -p tcp -m tcp -j DNAT --to-destination 10.244.0.5:6443 => KUBE-SEP-BBBBBBBBBBBBBBBB -p tcp -m tcp -j DNAT --to-destination 10.244.0.66:6443',
  ],
  [
    'an endpoint abroad',
    'kubeNat',
    '+KUBE-SEP-CCCCCCCCCCCCCCCC -p tcp -m tcp -j DNAT --to-destination 203.0.113.9:6443',
  ],
  ['an unsigned accept in a policy of Calico', 'calico', '^cali-pi-policy -p tcp -m tcp --dport 22 -j ACCEPT'],
  [
    'a signed accept of everything',
    'calico',
    '^cali-tw-cali0123456789a -m comment --comment "cali:ZZZZZZZZZZZZZZZZ" -j ACCEPT',
  ],
];

for (const [name, frame, ...edits] of HOSTILE) {
  test(`not folded: ${name}`, () => {
    const changes = change(frame, edits);
    const listed = changes.filter(({ ephemeral }) => !ephemeral);
    assert.ok(listed.length > 0, JSON.stringify(changes, null, 1));
    assert.ok(listed.some(({ severity }) => severity !== 'noise'));
  });
}

const CHURN: readonly (readonly [string, string, ...string[]])[] = [
  ['a ban', 'bans', '^f2b-sshd -s 198.51.100.7/32 -j REJECT --reject-with icmp-port-unreachable'],
  ['an unban', 'bans', '-f2b-sshd -s 192.0.2.1/32 -j REJECT'],
  ['a jail', 'bans', '^INPUT -p tcp -m multiport --dports 25 -j f2b-postfix', '+f2b-postfix -j RETURN'],
  ['a container', 'docker', '^DOCKER -d 172.17.0.3/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 22 -j ACCEPT'],
  [
    'a network',
    'docker',
    '+FORWARD -o br-0123456789ab -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '+FORWARD -o br-0123456789ab -j DOCKER',
    '+FORWARD -i br-0123456789ab ! -o br-0123456789ab -j ACCEPT',
    '+FORWARD -i br-0123456789ab -o br-0123456789ab -j ACCEPT',
    '+DOCKER ! -i br-0123456789ab -o br-0123456789ab -j DROP',
    '^DOCKER-ISOLATION-STAGE-1 -i br-0123456789ab ! -o br-0123456789ab -j DOCKER-ISOLATION-STAGE-2',
    '^DOCKER-ISOLATION-STAGE-2 -o br-0123456789ab -j DROP',
  ],
  [
    'the last network',
    'docker',
    '-FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    '-FORWARD -o docker0 -j DOCKER',
    '-FORWARD -i docker0 ! -o docker0 -j ACCEPT',
    '-FORWARD -i docker0 -o docker0 -j ACCEPT',
    '-DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT',
    '-DOCKER ! -i docker0 -o docker0 -j DROP',
    '-DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2',
    '-DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP',
  ],
  [
    'a published port',
    'dockerNat',
    '+DOCKER ! -i docker0 -p tcp -m tcp --dport 81 -j DNAT --to-destination 172.17.0.3:81',
  ],
  ['a service without endpoints', 'kube', '+KUBE-SERVICES -d 10.96.0.77/32 -p tcp -m tcp --dport 80 -j REJECT'],
  ['a health check', 'kube', '+KUBE-NODEPORTS -p tcp -m tcp --dport 32000 -j ACCEPT'],
  [
    'a service and its endpoint',
    'kubeNat',
    '+KUBE-SERVICES -d 10.96.0.2/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-DDDDDDDDDDDDDDDD',
    '+KUBE-SVC-DDDDDDDDDDDDDDDD -j KUBE-SEP-EEEEEEEEEEEEEEEE',
    '+KUBE-SEP-EEEEEEEEEEEEEEEE -s 10.244.0.7/32 -j KUBE-MARK-MASQ',
    '+KUBE-SEP-EEEEEEEEEEEEEEEE -p tcp -m tcp -j DNAT --to-destination 10.244.0.7:80',
  ],
  [
    'a policy of Calico',
    'calico',
    '+cali-pi-policy -m comment --comment "cali:DDDDDDDDDDDDDDDD" -p tcp -m tcp --dport 81 -j MARK --set-xmark 0x10000/0x10000',
  ],
];

for (const [name, frame, ...edits] of CHURN) {
  test(`folded: ${name}`, () => {
    const changes = change(frame, edits);
    assert.ok(changes.length > 0);
    const listed = changes.filter(({ ephemeral }) => !ephemeral);
    assert.deepEqual(
      listed.map(({ reason }) => reason),
      [],
    );
  });
}

test('folded: the built-in chain that comes with the first rule of a ban tool; not with anything else in it', () => {
  const parse = (text: string) => parseIptablesSave(text, { family: 'ipv4' }).ruleset;
  const jail = '*filter\n:INPUT ACCEPT [0:0]\n:f2b-sshd - [0:0]\n-A INPUT -p tcp -j f2b-sshd\n-A f2b-sshd -j RETURN\n';
  const drift = (text: string) => assessIptablesDrift(parse(''), parse(`${text}COMMIT\n`));
  assert.deepEqual(new Set(drift(jail).map(({ ephemeral }) => ephemeral)), new Set([true]));
  const evil = drift(`${jail}-A INPUT -j ACCEPT\n`).find(({ chain }) => chain === 'INPUT');
  assert.equal(evil?.ephemeral, false);
  const closed = drift(jail.replace('INPUT ACCEPT', 'INPUT DROP')).find(({ chain }) => chain === 'INPUT');
  assert.deepEqual([closed?.ephemeral, closed?.severity], [false, 'critical']);
});
