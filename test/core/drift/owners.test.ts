import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chainOwner, setOwner } from '../../../src/core/drift/owners.ts';

test('chains that tools churn are ephemeral, chains that people fill are not', () => {
  const rows: [string, string | null, boolean | null][] = [
    ['KUBE-SEP-Q7F2ADKLLWRT5B3M', 'kube-proxy', true],
    ['KUBE-MARK-MASQ', 'kube-proxy', false],
    ['DOCKER', 'docker', true],
    ['DOCKER-USER', 'docker', false],
    ['f2b-sshd', 'fail2ban', true],
    ['ufw-user-input', 'ufw', false],
    ['IN_public_allow', 'firewalld', false],
    ['LIBVIRT_INP', 'libvirt', false],
    ['ISTIO_REDIRECT', 'istio', false],
    ['INPUT', null, null],
    ['my-docker', null, null],
    ['xDOCKER', null, null],
  ];
  for (const [chain, name, ephemeral] of rows) {
    const owner = chainOwner('filter', chain);
    assert.deepEqual([owner?.name ?? null, owner?.ephemeral ?? null], [name, ephemeral], chain);
  }
});

test('a table of one tool owns the chains in it', () => {
  assert.equal(chainOwner('inet/firewalld', 'nat_PREROUTING')?.name, 'firewalld');
  assert.equal(chainOwner('inet/f2b-table', 'f2b-chain')?.name, 'fail2ban');
  assert.equal(chainOwner('inet/mine', 'input'), null);
});

test('ban sets are churn, address lists of people are not', () => {
  assert.deepEqual(setOwner(null, 'f2b-sshd'), { name: 'fail2ban', ephemeral: true });
  assert.equal(setOwner('inet/filter', 'blocklist'), null);
});
