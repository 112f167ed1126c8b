import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { assessIpsetDrift } from '../../../src/core/drift/ipset-drift.ts';
import { assessIptablesDrift } from '../../../src/core/drift/iptables-drift.ts';
import { assessNftablesDrift } from '../../../src/core/drift/nftables-drift.ts';
import { SEVERITIES, type Severity } from '../../../src/core/drift/severity.ts';
import { parseIpsetSave } from '../../../src/core/ipset/index.ts';
import { parseIptablesSave } from '../../../src/core/iptables/index.ts';
import { parseNftRuleset } from '../../../src/core/nftables/index.ts';
import { kernelSkipReason } from '../../support/environment.ts';
import { VerdictRig, type Verdicts } from './verdict-rig.ts';

const skip = kernelSkipReason(['ip', 'iptables', 'nft', 'ipset', 'nsenter']);

const rig = skip === false ? new VerdictRig() : null;
after(() => rig?.close());

/** Someone, someone else, the office; each of them asks for SSH and HTTP. */
const [ANYONE, OTHER, OFFICE] = ['198.51.100.7', '203.0.113.9', '10.0.0.9'];
const CONNECTIONS = [ANYONE, OTHER, OFFICE].flatMap((source) => [`${source} 22`, `${source} 80`]);

/** A base chain of nft for what comes in; rules one a line. */
function input(policy: 'accept' | 'drop', rules: string, others = ''): string {
  return `nft -f - <<'END'\ntable inet t {\n${others}\nchain c { type filter hook input priority 0; policy ${policy};\n${rules}\n}\n}\nEND`;
}

/** The filter table of iptables; rules one a line, as for \`iptables -A\`; a chain is made where it is first named. */
function filter(policy: 'ACCEPT' | 'DROP', rules: string): string {
  const lines = rules.split('\n').filter((line) => line.trim() !== '');
  const chains = new Set(lines.map((line) => line.trim().split(' ')[0] ?? '').filter((chain) => chain !== 'INPUT'));
  return [
    `iptables -P INPUT ${policy}`,
    ...[...chains].map((chain) => `iptables -N ${chain}`),
    ...lines.map((line) => `iptables -A ${line.trim()}`),
  ].join('\n');
}

interface Row {
  readonly what: string;
  readonly before: string;
  readonly after: string;
  /** What the kernel lets in now and did not before, and the other way round. */
  readonly opened?: readonly string[];
  readonly closed?: readonly string[];
  readonly knocks?: readonly string[];
  readonly severity: Severity;
  readonly reason: RegExp;
}

const SETS = `set administration { type inet_service; elements = { 22, 23 }; }
set world { type ipv4_addr; flags interval; elements = { 10.0.0.0/8, 128.0.0.0-223.255.255.255 }; }`;

const ROWS: readonly Row[] = [
  {
    what: 'one of two equal drops goes, and an accept stands above the other',
    before: input('accept', `ip saddr ${ANYONE} drop\ntcp dport 22 accept\nip saddr ${ANYONE} drop`),
    after: input('accept', `tcp dport 22 accept\nip saddr ${ANYONE} drop`),
    opened: [`${ANYONE} 22`],
    severity: 'critical',
    reason: /no longer dropped/,
  },
  {
    what: 'one of two equal accepts goes, and a drop stands above the other',
    before: input('drop', `tcp dport 22 accept\nip saddr ${ANYONE} drop\ntcp dport 22 accept`),
    after: input('drop', `ip saddr ${ANYONE} drop\ntcp dport 22 accept`),
    closed: [`${ANYONE} 22`],
    severity: 'critical',
    reason: /lock-out/,
  },
  {
    what: 'one of two equal drops goes, and only what drops too stands above the other',
    before: input('accept', `ip saddr ${ANYONE} drop\nip saddr ${OTHER} drop\nip saddr ${ANYONE} drop`),
    after: input('accept', `ip saddr ${OTHER} drop\nip saddr ${ANYONE} drop`),
    severity: 'low',
    reason: /still has the same rule/,
  },
  {
    what: 'an accept goes, and a drop stands above the wider one',
    before: input('drop', `ip saddr 192.0.0.0/4 tcp dport 22 accept\nip saddr ${ANYONE} drop\ntcp dport 22 accept`),
    after: input('drop', `ip saddr ${ANYONE} drop\ntcp dport 22 accept`),
    closed: [`${ANYONE} 22`],
    severity: 'critical',
    reason: /lock-out/,
  },
  {
    what: 'an accept of iptables goes, and a drop stands above the wider one',
    before: filter(
      'DROP',
      `INPUT -p tcp --dport 22 -j ACCEPT\nINPUT -s ${ANYONE} -j DROP\nINPUT -p tcp --dport 20:30 -j ACCEPT`,
    ),
    after: filter('DROP', `INPUT -s ${ANYONE} -j DROP\nINPUT -p tcp --dport 20:30 -j ACCEPT`),
    closed: [`${ANYONE} 22`],
    severity: 'critical',
    reason: /stands below rules that may drop it/,
  },
  {
    what: 'an accept below one that asks for two ranges of ports',
    before: filter('DROP', 'INPUT -p tcp -m tcp --dport 1:100 -m multiport --dports 80,443 -j ACCEPT'),
    after: filter(
      'DROP',
      'INPUT -p tcp -m tcp --dport 1:100 -m multiport --dports 80,443 -j ACCEPT\nINPUT -p tcp --dport 22 -j ACCEPT',
    ),
    opened: [`${ANYONE} 22`, `${OTHER} 22`, `${OFFICE} 22`],
    severity: 'critical',
    reason: /SSH/,
  },
  {
    what: 'who knocks joins a set by which a rule accepts',
    before: input('drop', 'ip saddr @friends accept', 'set friends { type ipv4_addr; size 99; flags dynamic; }'),
    after: input(
      'drop',
      'tcp dport 9999 add @friends { ip saddr }\nip saddr @friends accept',
      'set friends { type ipv4_addr; size 99; flags dynamic; }',
    ),
    knocks: [`${ANYONE} 9999`],
    opened: [`${ANYONE} 22`, `${ANYONE} 80`],
    severity: 'high',
    reason: /tcp\/9999 now fills set friends, by which other rules decide/,
  },
  {
    what: 'who knocks twice joins a set by which a rule accepts',
    before: input(
      'drop',
      'ip saddr @once tcp dport 9998 add @friends { ip saddr }\nip saddr @friends accept',
      'set once { type ipv4_addr; size 99; flags dynamic; }\nset friends { type ipv4_addr; size 99; flags dynamic; }',
    ),
    after: input(
      'drop',
      'ip saddr @once tcp dport 9998 add @friends { ip saddr }\ntcp dport { 9998, 9999 } add @once { ip saddr }\nip saddr @friends accept',
      'set once { type ipv4_addr; size 99; flags dynamic; }\nset friends { type ipv4_addr; size 99; flags dynamic; }',
    ),
    knocks: [`${ANYONE} 9999`, `${ANYONE} 9998`, `${ANYONE} 9998`],
    opened: [`${ANYONE} 22`, `${ANYONE} 80`],
    severity: 'high',
    reason: /fills set once, by which other rules decide/,
  },
  {
    what: 'who knocks joins a set that nothing looks into',
    before: input('drop', 'tcp dport 80 accept', 'set seen { type ipv4_addr; size 99; flags dynamic; }'),
    after: input(
      'drop',
      'tcp dport 9999 add @seen { ip saddr }\ntcp dport 80 accept',
      'set seen { type ipv4_addr; size 99; flags dynamic; }',
    ),
    knocks: [`${ANYONE} 9999`],
    severity: 'low',
    reason: /only counts, logs or remembers/,
  },
  {
    what: 'who knocks joins an ipset by which a rule accepts',
    before: `ipset create friends hash:ip\n${filter('DROP', 'INPUT -m set --match-set friends src -j ACCEPT')}`,
    after: `ipset create friends hash:ip\n${filter('DROP', 'INPUT -p tcp --dport 9999 -j SET --add-set friends src\nINPUT -m set --match-set friends src -j ACCEPT')}`,
    knocks: [`${ANYONE} 9999`],
    opened: [`${ANYONE} 22`, `${ANYONE} 80`],
    severity: 'high',
    reason: /SET of tcp\/9999: .* by which other rules may decide/,
  },
  {
    what: 'who knocks joins a recent list by which a rule accepts',
    before: filter('DROP', 'INPUT -m recent --rcheck --name friends -j ACCEPT'),
    after: filter(
      'DROP',
      'INPUT -p tcp --dport 9999 -m recent --set --name friends\nINPUT -m recent --rcheck --name friends -j ACCEPT',
    ),
    knocks: [`${ANYONE} 9999`],
    opened: [`${ANYONE} 22`, `${ANYONE} 80`],
    severity: 'high',
    reason: /counting of tcp\/9999 \(recent\): .* by which other rules may decide/,
  },
  ...[
    'iifname "eth0" accept',
    'meta l4proto tcp accept',
    'ip protocol { tcp, udp } accept',
    'ct state new accept',
    'ct state != established accept',
    'ip saddr { 0.0.0.0/1, 192.0.0.0/2, 10.0.0.0/8 } accept',
    'ip saddr 1.0.0.0-223.255.255.255 accept',
    'ip saddr != 10.9.9.9 accept',
    'meta mark 0 accept',
    'tcp sport 1024-65535 accept',
    'tcp flags & (fin | syn | rst | ack) == syn accept',
    'tcp dport >= 1 accept',
    'meta nfproto ipv4 limit rate 1000/second burst 100 packets accept',
    'fib daddr type local accept',
    'iifname "eth0" jump open',
  ].map((rule) => ({
    what: `nearly everything gets in by ${rule}`,
    before: input('drop', 'tcp dport 2222 accept', 'chain open { accept; }'),
    after: input('drop', `tcp dport 2222 accept\n${rule}`, 'chain open { accept; }'),
    opened: CONNECTIONS,
    severity: 'critical' as const,
    reason: /nearly everything can get in so/,
  })),
  ...[
    'iifname "eth0" tcp dport 22 accept',
    'ip saddr 1.0.0.0-223.255.255.255 tcp dport 22 accept',
    'ip saddr != 10.9.9.9 tcp dport 22 accept',
    'tcp dport @administration accept',
    'tcp dport vmap { 22 : accept, 23 : accept }',
    'ip saddr @world tcp dport 22 accept',
  ].map((rule) => ({
    what: `SSH opened to any source by ${rule}`,
    before: input('drop', 'tcp dport 2222 accept', SETS),
    after: input('drop', `tcp dport 2222 accept\n${rule}`, SETS),
    opened: CONNECTIONS.filter((one) => one.endsWith(' 22')),
    severity: 'critical' as const,
    reason: /SSH is open to any source/,
  })),
  ...[
    `ip saddr ${OFFICE} accept`,
    'iifname "eth0" ip saddr 10.0.0.0/8 accept',
    `ip saddr . tcp dport { ${OFFICE} . 22, ${OFFICE} . 80 } accept`,
    'iifname { "lo", "wg0" } accept',
  ].map((rule) => ({
    what: `some get in by ${rule}`,
    before: input('drop', 'tcp dport 2222 accept'),
    after: input('drop', `tcp dport 2222 accept\n${rule}`),
    opened: rule.includes('saddr') ? [`${OFFICE} 22`, `${OFFICE} 80`] : [],
    severity: 'medium' as const,
    reason: /is now accepted at the input hook$/,
  })),
  {
    what: 'SSH opened above a jump to a chain that drops the rest',
    before: filter('ACCEPT', 'REST -j LOG\nREST -j DROP\nINPUT -p tcp --dport 80 -j ACCEPT\nINPUT -j REST'),
    after: filter(
      'ACCEPT',
      'REST -j LOG\nREST -j DROP\nINPUT -p tcp --dport 80 -j ACCEPT\nINPUT -p tcp --dport 22 -j ACCEPT\nINPUT -j REST',
    ),
    opened: CONNECTIONS.filter((one) => one.endsWith(' 22')),
    severity: 'critical',
    reason: /SSH \(tcp\/22\) is now open to any source/,
  },
  {
    what: 'the accept of SSH gone above a jump to a chain that drops the rest',
    before: filter('ACCEPT', 'REST -j DROP\nINPUT -p tcp --dport 22 -j ACCEPT\nINPUT -j REST'),
    after: filter('ACCEPT', 'REST -j DROP\nINPUT -j REST'),
    closed: CONNECTIONS.filter((one) => one.endsWith(' 22')),
    severity: 'critical',
    reason: /last accept/,
  },
  {
    what: 'SSH opened in a chain that rejects what it does not accept',
    before: filter('ACCEPT', 'SERVICES -p tcp --dport 80 -j ACCEPT\nSERVICES -j REJECT\nINPUT -p tcp -j SERVICES'),
    after: filter(
      'ACCEPT',
      'SERVICES -p tcp --dport 80 -j ACCEPT\nSERVICES -p tcp --dport 22 -j ACCEPT\nSERVICES -j REJECT\nINPUT -p tcp -j SERVICES',
    ),
    opened: CONNECTIONS.filter((one) => one.endsWith(' 22')),
    severity: 'critical',
    reason: /SSH \(tcp\/22\) is now open to any source/,
  },
  {
    what: 'SSH opened, and a rule put below the drop of the rest so that it is not the last',
    before: filter('ACCEPT', 'INPUT -p tcp --dport 80 -j ACCEPT\nINPUT -j DROP'),
    after: filter(
      'ACCEPT',
      'INPUT -p tcp --dport 22 -j ACCEPT\nINPUT -p tcp --dport 80 -j ACCEPT\nINPUT -j DROP\nINPUT -j LOG',
    ),
    opened: CONNECTIONS.filter((one) => one.endsWith(' 22')),
    severity: 'critical',
    reason: /SSH \(tcp\/22\) is now open to any source/,
  },
  {
    what: 'an accept above bans lets in those who are banned',
    before: filter('ACCEPT', `INPUT -s ${ANYONE} -j DROP`),
    after: filter('ACCEPT', `INPUT -p tcp --dport 22 -j ACCEPT\nINPUT -s ${ANYONE} -j DROP`),
    opened: [`${ANYONE} 22`],
    severity: 'medium',
    reason: /overtakes the rules below that drop/,
  },
  ...['--sport 1024:65535', '--syn', '-m multiport --sports 53,1024:65535'].map((match) => ({
    what: `any port opened by ${match}`,
    before: filter('DROP', 'INPUT -p tcp --dport 2222 -j ACCEPT'),
    after: filter('DROP', `INPUT -p tcp --dport 2222 -j ACCEPT\nINPUT -p tcp ${match} -j ACCEPT`),
    // Of --syn only the first packet, which is what a scan asks.
    opened: CONNECTIONS,
    severity: 'critical' as const,
    reason: /every port is now open to any source/,
  })),
  ...['-p tcp --dport 22 -j ACCEPT', `-s ${ANYONE} -j DROP`, '-j RETURN', '-p tcp -j OPEN'].map((rule) => ({
    what: `${rule} below a drop of everything`,
    before: filter('ACCEPT', 'OPEN -j ACCEPT\nINPUT -p tcp --dport 80 -j ACCEPT\nINPUT -j REJECT'),
    after: filter('ACCEPT', `OPEN -j ACCEPT\nINPUT -p tcp --dport 80 -j ACCEPT\nINPUT -j REJECT\nINPUT ${rule}`),
    severity: 'low' as const,
    reason: /a rule above it decides on everything/,
  })),
  ...['tcp dport 22 accept', `ip saddr ${ANYONE} drop`, 'return', 'jump open'].map((rule) => ({
    what: `${rule} below a drop of everything`,
    before: input('accept', 'tcp dport 80 accept\nreject', 'chain open { accept; }'),
    after: input('accept', `tcp dport 80 accept\nreject\n${rule}`, 'chain open { accept; }'),
    severity: 'low' as const,
    reason: /a rule above it decides on everything/,
  })),
  {
    what: 'a drop gone above a return and a drop of the rest',
    before: input('accept', `ip saddr ${ANYONE} drop\ntcp dport 22 return\ndrop`),
    after: input('accept', 'tcp dport 22 return\ndrop'),
    opened: [`${ANYONE} 22`],
    severity: 'critical',
    reason: /no longer dropped/,
  },
  {
    what: 'a drop added above a return and a drop of the rest',
    before: input('accept', 'tcp dport 22 return\ndrop'),
    after: input('accept', `ip saddr ${ANYONE} drop\ntcp dport 22 return\ndrop`),
    closed: [`${ANYONE} 22`],
    severity: 'critical',
    reason: /now dropped/,
  },
  {
    what: 'a limit turned around',
    before: input('accept', 'tcp dport 22 limit rate over 100/second drop'),
    after: input('accept', 'tcp dport 22 limit rate 100/second drop'),
    closed: CONNECTIONS.filter((one) => one.endsWith(' 22')),
    severity: 'critical',
    reason: /What is dropped at the input hook changed/,
  },
  {
    what: 'a set of ports for a chain that accepts gets SSH',
    before: input(
      'drop',
      'tcp dport @ports jump open',
      'set ports { type inet_service; elements = { 80 }; }\nchain open { accept; }',
    ),
    after: input(
      'drop',
      'tcp dport @ports jump open',
      'set ports { type inet_service; elements = { 80, 22 }; }\nchain open { accept; }',
    ),
    opened: CONNECTIONS.filter((one) => one.endsWith(' 22')),
    severity: 'critical',
    reason: /1 element added in set ports, which an accept rule looks into/,
  },
  {
    what: 'an accept of nft above bans lets in those who are banned',
    before: input('accept', `ip saddr ${ANYONE} drop`),
    after: input('accept', `tcp dport 22 accept\nip saddr ${ANYONE} drop`),
    opened: [`${ANYONE} 22`],
    severity: 'medium',
    reason: /overtakes the rules that drop some senders/,
  },
  {
    what: 'an element of a verdict map that no rule looks into',
    before: input('accept', 'tcp dport 80 accept', 'map m { type inet_service : verdict; }'),
    after: input('accept', 'tcp dport 80 accept', 'map m { type inet_service : verdict; elements = { 22 : drop }; }'),
    severity: 'low',
    reason: /no rule in use looks into/,
  },
  {
    what: 'another answer to who is rejected',
    before: input('accept', `ip saddr ${ANYONE} reject`),
    after: input('accept', `ip saddr ${ANYONE} drop`),
    severity: 'low',
    reason: /only the answer to it changed/,
  },
  {
    what: 'another answer of iptables to who is rejected',
    before: filter('ACCEPT', `INPUT -s ${ANYONE} -j REJECT`),
    after: filter('ACCEPT', `INPUT -s ${ANYONE} -j DROP`),
    severity: 'low',
    reason: /only the answer to it changed/,
  },
  {
    what: 'an ipset that takes its addresses for networks',
    before: `ipset create friends hash:ip netmask 32; ipset add friends 192.0.0.0\n${filter('DROP', 'INPUT -m set --match-set friends src -j ACCEPT')}`,
    after: `ipset create friends hash:ip netmask 2; ipset add friends 192.0.0.0\n${filter('DROP', 'INPUT -m set --match-set friends src -j ACCEPT')}`,
    opened: CONNECTIONS.filter((one) => !one.startsWith(OFFICE)),
    severity: 'critical',
    reason: /netmask changed, so its members mean other addresses/,
  },
  {
    what: 'a member of an ipset for which a RETURN skips the drop of the rest',
    before: `ipset create friends hash:ip\n${filter('ACCEPT', 'INPUT -m set --match-set friends src -j RETURN\nINPUT -j DROP')}`,
    after: `ipset create friends hash:ip; ipset add friends ${ANYONE}\n${filter('ACCEPT', 'INPUT -m set --match-set friends src -j RETURN\nINPUT -j DROP')}`,
    opened: [`${ANYONE} 22`, `${ANYONE} 80`],
    severity: 'high',
    reason: /a rule that steers packets looks it up/,
  },
  {
    what: 'the comment of a member of an ipset',
    before: `ipset create foes hash:ip comment; ipset add foes ${ANYONE} comment a\n${filter('ACCEPT', 'INPUT -m set --match-set foes src -j DROP')}`,
    after: `ipset create foes hash:ip comment; ipset add foes ${ANYONE} comment b\n${filter('ACCEPT', 'INPUT -m set --match-set foes src -j DROP')}`,
    severity: 'low',
    reason: /only comments of members changed/,
  },
];

for (const { what, before, after: then, opened = [], closed = [], knocks = [], severity, reason } of ROWS) {
  test(`${severity}: ${what}`, { skip }, async () => {
    const ask = async (isPatient: boolean) => {
      const was = await (rig as VerdictRig).ask(before, CONNECTIONS, knocks, isPatient);
      const is = await (rig as VerdictRig).ask(then, CONNECTIONS, knocks, isPatient);
      const verdicts = {
        opened: is.open.filter((one) => !was.open.includes(one)),
        closed: was.open.filter((one) => !is.open.includes(one)),
      };
      return { was, is, verdicts };
    };
    let asked = await ask(false);
    if (!isDeepStrictEqual(asked.verdicts, { opened, closed })) asked = await ask(true);
    assert.deepEqual(asked.verdicts, { opened, closed }, 'what the kernel says');
    const { was, is } = asked;
    const changes = assess(was, is, before.includes('iptables'));
    const worst = changes.toSorted((a, b) => SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity))[0];
    assert.equal(worst?.severity, severity, JSON.stringify(changes, null, 1));
    assert.match(worst?.reason ?? '', reason);
  });
}

function assess(was: Verdicts, is: Verdicts, isIptables: boolean) {
  const read = ({ iptables, nft, ipset }: Verdicts) => ({
    iptables: parseIptablesSave(iptables, { family: 'ipv4' }).ruleset,
    nft: parseNftRuleset(nft).ruleset,
    sets: parseIpsetSave(ipset).sets,
  });
  const [left, right] = [read(was), read(is)];
  return isIptables
    ? [
        ...assessIptablesDrift(left.iptables, right.iptables),
        ...assessIpsetDrift(left.sets, right.sets, [right.iptables]),
      ]
    : assessNftablesDrift(left.nft, right.nft);
}
