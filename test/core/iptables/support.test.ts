import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { renderIptablesSupport } from '../../../scripts/support-iptables.ts';
import { findMatch, findTarget, MATCHES, TARGETS } from '../../../src/core/iptables/index.ts';
import { repositoryRoot } from '../../support/environment.ts';

test('docs/support.md shows the extension table as it is', () => {
  const page = readFileSync(join(repositoryRoot, 'docs', 'support.md'), 'utf8');
  assert.ok(page.includes(renderIptablesSupport()), 'run: node scripts/support-iptables.ts docs');
});

test('no two extensions of one family share a name, and no two options of one extension', () => {
  for (const extension of [...MATCHES, ...TARGETS]) {
    const find = extension.kind === 'match' ? findMatch : findTarget;
    for (const family of extension.families) {
      for (const name of [extension.name, ...extension.aliases]) assert.equal(find(name, family), extension, name);
    }
    const names = extension.options.flatMap((option) => [option.name, ...option.aliases]);
    assert.equal(new Set(names).size, names.length, extension.name);
  }
});
