import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeProbeOutput } from '../../src/activities/poll-probe.ts';

test('what another script printed, its secrets and rules, does not travel on in a message', () => {
  const message = 'Enable succeeded: \n[stdout]\npassword=hunter2 -A INPUT -j ACCEPT\n\n[stderr]\n';
  const answer = decodeProbeOutput([{ code: 'ProvisioningState/succeeded', message }], {
    nonce: '0'.repeat(32),
    slice: 1,
  });
  assert.ok('kind' in answer);
  assert.equal(answer.code, 'PROBE_FOREIGN_OUTPUT');
  assert.doesNotMatch(JSON.stringify(answer), /hunter2|INPUT/);
  assert.match(answer.message, /\d+ characters/);
});
