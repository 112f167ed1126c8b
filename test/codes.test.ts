import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from './support/environment.ts';

const CODE =
  /['"`](?:(?:AGENT|LOCAL|IPT|NFT|IPSET|PROBE|ARM|BLOB|STORE|STATE|BASELINE|CONFIG|HTTP|INTERNAL|OPERATION|SNAPSHOT|DRIFT|SSH)_[A-Z0-9_]+|RUN_(?:FAILED|\w+_MISSING))['"`]/g;
// Names of settings look like codes.
const SETTINGS = new Set([
  'ARM_ENDPOINT',
  'BASELINE_STORAGE',
  'DRIFT_SWEEP_SELECTOR',
  'DRIFT_SWEEP_SCHEDULE',
  'SSH_AUTH_SOCK',
  'SSH_PORT',
  'SSH_USER',
]);
// Made of the outcome's reason: `ARM_${reason.toUpperCase()}`.
const DERIVED =
  /^ARM_(VM_STOPPED|VM_NOT_FOUND|AGENT_NOT_READY|BUSY|DENIED|NOT_LINUX|THROTTLED|TIMED_OUT|SERVICE_ERROR)$/;

function codesInSources(): Set<string> {
  const files = readdirSync(join(repositoryRoot, 'src'), { recursive: true })
    .map(String)
    .filter((name) => name.endsWith('.ts'));
  const codes = new Set<string>();
  for (const file of files) {
    for (const [quoted] of readFileSync(join(repositoryRoot, 'src', file), 'utf8').matchAll(CODE)) {
      const code = quoted.slice(1, -1);
      if (!SETTINGS.has(code)) codes.add(code);
    }
  }
  return codes;
}

function codesInDocument(): string[] {
  const text = readFileSync(join(repositoryRoot, 'docs', 'codes.md'), 'utf8');
  return [...text.matchAll(/^\| `([A-Z0-9_]+)` \|/gm)].map(([, code = '']) => code);
}

test('every code of the sources is documented', () => {
  const documented = new Set(codesInDocument());
  assert.deepEqual([...codesInSources()].filter((code) => !documented.has(code)).sort(), []);
});

test('every documented code exists, and stands there once', () => {
  const used = codesInSources();
  const documented = codesInDocument();
  assert.deepEqual(
    documented.filter((code) => !used.has(code) && !DERIVED.test(code)),
    [],
  );
  assert.equal(new Set(documented).size, documented.length);
  assert.ok(used.size > 60, `only ${used.size} codes were found in the sources: the search is broken`);
});
