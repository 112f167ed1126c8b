import assert from 'node:assert/strict';
import { after, test } from 'node:test';
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
];

for (const { what, before, after: then, opened = [], closed = [], knocks = [], severity, reason } of ROWS) {
  test(`${severity}: ${what}`, { skip }, async () => {
    const was = await (rig as VerdictRig).ask(before, CONNECTIONS, knocks);
    const is = await (rig as VerdictRig).ask(then, CONNECTIONS, knocks);
    assert.deepEqual(
      {
        opened: is.open.filter((one) => !was.open.includes(one)),
        closed: was.open.filter((one) => !is.open.includes(one)),
      },
      { opened, closed },
      'what the kernel says',
    );
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
