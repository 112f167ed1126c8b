import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkSessionId, sessionIdAt } from '../../../src/core/baseline/session-id.ts';

test('a session id is made of the UTC time', () => {
  assert.equal(sessionIdAt(new Date('2026-11-03T04:05:06.789Z')), 'fw_20261103_040506');
});

test('what could become a path, an option or a command is refused', () => {
  for (const bad of ['', '../x', 'a/b', 'a b', 'x'.repeat(65), 'fw_1\n', '$(id)', 'é']) {
    assert.throws(() => checkSessionId(bad), /CONFIG_SESSION_ID/);
  }
  for (const good of ['a', 'fw_20261103_040506', '-dash', 'x'.repeat(64)]) assert.equal(checkSessionId(good), good);
});
