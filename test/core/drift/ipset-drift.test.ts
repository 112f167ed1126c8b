import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AssessedChange } from '../../../src/core/drift/family-drift.ts';
import { assessIpsetDrift } from '../../../src/core/drift/ipset-drift.ts';
import type { Severity } from '../../../src/core/drift/severity.ts';
import { parseIpsetSave } from '../../../src/core/ipset/index.ts';
import { type IptablesRuleset, parseIptablesSave } from '../../../src/core/iptables/index.ts';

const SETS =
  'create blk hash:net family inet maxelem 65536\nadd blk 203.0.113.0/24\ncreate all list:set size 8\nadd all blk\n';

function rules(...lines: string[]): IptablesRuleset {
  const chains = [':INPUT DROP [0:0]', ':FORWARD ACCEPT [0:0]', ':OUTPUT ACCEPT [0:0]', ':C - [0:0]'];
  return parseIptablesSave(['*filter', ...chains, ...lines, 'COMMIT'].join('\n'), { family: 'ipv4' }).ruleset;
}

function changes(from: string, to: string, ...used: string[]) {
  return assessIpsetDrift(parseIpsetSave(SETS).sets, parseIpsetSave(SETS.replace(from, to)).sets, [rules(...used)]);
}

const ADD = ['add blk 203.0.113.0/24\n', 'add blk 203.0.113.0/24\nadd blk 0.0.0.0/1\n'] as const;

test('a member of a set is as bad as the rule that looks the set up', () => {
  const rows: readonly (readonly [string, Severity, RegExp])[] = [
    [
      '-A INPUT -m set --match-set blk src -j DROP',
      'critical',
      /0\.0\.0\.0\/1 added; a rule that drops looks it up: -A INPUT/,
    ],
    ['-A INPUT -m set --match-set all src -j DROP', 'critical', /a rule that drops/],
    ['-A INPUT -m set --match-set blk src -g C\n-A C -j DROP', 'critical', /a rule that drops/],
    ['-A INPUT -m set --match-set blk src -j ACCEPT', 'critical', /a rule that accepts/],
    ['-A INPUT -m set --match-set blk src -j LOG', 'medium', /looked up by/],
    ['-A INPUT -m set --match-set other src -j DROP', 'low', /no rule uses it/],
  ];
  for (const [rule, severity, reason] of rows) {
    const [change, ...others] = changes(...ADD, rule);
    assert.equal(others.length, 0);
    assert.equal(change?.severity, severity, rule);
    assert.match(change?.reason ?? '', reason);
    assert.deepEqual(change?.detail['members_added'], ['0.0.0.0/1']);
  }
});

test('a small network let in by an accept rule is high, not critical', () => {
  const [change] = changes(ADD[0], `${ADD[0]}add blk 10.1.2.0/24\n`, '-A INPUT -m set --match-set blk src -j ACCEPT');
  assert.equal(change?.severity, 'high');
});

test('bans in the sets of a ban tool are folded, half the address space is not', () => {
  const base = 'create f2b-sshd hash:net family inet timeout 0\n';
  const drift = (member: string) =>
    assessIpsetDrift(parseIpsetSave(base).sets, parseIpsetSave(`${base}add f2b-sshd ${member} timeout 600\n`).sets, [
      rules('-A INPUT -m set --match-set f2b-sshd src -j REJECT'),
    ])[0];
  assert.deepEqual([drift('192.0.2.1')?.severity, drift('192.0.2.1')?.ephemeral], ['noise', true]);
  assert.deepEqual([drift('0.0.0.0/1')?.severity, drift('0.0.0.0/1')?.ephemeral], ['critical', false]);
});

test('what no ban tool does to its set is not folded', () => {
  const drift = (before: string, after: string, rule = '-A INPUT -m set --match-set f2b-sshd src -j REJECT') =>
    assessIpsetDrift(parseIpsetSave(before).sets, parseIpsetSave(after).sets, [rules(rule)])[0];
  const base = 'create f2b-sshd hash:net family inet\nadd f2b-sshd 192.0.2.1\n';
  const member = 'add f2b-sshd 203.0.113.9\n';
  assert.equal(drift(base, base + member)?.ephemeral, true);
  assert.equal(drift('', base)?.ephemeral, true);
  const rows: readonly (readonly [string, AssessedChange | undefined])[] = [
    ['spared', drift(base, `${base}add f2b-sshd 203.0.113.9 nomatch\n`)],
    ['spared by a change', drift(base, base.replace('192.0.2.1', '192.0.2.1 nomatch'))],
    ['the WireServer', drift(base, `${base}add f2b-sshd 168.63.129.0/24\n`)],
    ['an allow list', drift(base, base + member, '-A INPUT -m set --match-set f2b-sshd src -j ACCEPT')],
    ['a provider', drift(base, `${base}add f2b-sshd 20.0.0.0/9\n`)],
    ['half the world in a new set', drift('', base.replace('192.0.2.1', '0.0.0.0/1'))],
    ['a name for people', drift('create attackers hash:ip\n', 'create attackers hash:ip\nadd attackers 192.0.2.1\n')],
    [
      'whom a load balancer lets in',
      drift(
        'create KUBE-LOAD-BALANCER-SOURCE-CIDR hash:ip,port,net\n',
        'create KUBE-LOAD-BALANCER-SOURCE-CIDR hash:ip,port,net\nadd KUBE-LOAD-BALANCER-SOURCE-CIDR 192.0.2.1,tcp:80,203.0.113.0/24\n',
      ),
    ],
  ];
  for (const [name, change] of rows) assert.equal(change?.ephemeral, false, name);
});

test('another member is another finding, the same one is the same', () => {
  const subject = (member: string) => changes(ADD[0], `${ADD[0]}add blk ${member}\n`)[0]?.subject;
  assert.equal(subject('10.0.0.1'), subject('10.0.0.1'));
  assert.notEqual(subject('10.0.0.1'), subject('10.0.0.2'));
});

test('sets that come, go or change their kind are listed', () => {
  const drop = '-A INPUT -m set --match-set blk src -j DROP';
  assert.deepEqual(
    changes('create all', 'create other').map(({ kind }) => kind),
    ['sets_added', 'sets_removed', 'unparsed_changed'],
  );
  assert.equal(changes('hash:net', 'hash:ip', drop)[0]?.severity, 'critical');
  assert.equal(changes('maxelem 65536', 'maxelem 10', drop)[0]?.severity, 'low');
});
