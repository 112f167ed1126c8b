import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { repositoryRoot } from '../local/repository-root.ts';

interface Manifest {
  readonly bin: Readonly<Record<string, string>>;
  readonly exports: Readonly<Record<string, string>>;
}

/** What `npm pack` would put into the package; its scripts stay out of it, so nothing is built here. */
function packedFiles(): readonly string[] {
  const output = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: repositoryRoot,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [listing] = JSON.parse(output) as { readonly files: readonly { readonly path: string }[] }[];
  return (listing?.files ?? []).map(({ path }) => path);
}

test('the package holds what its commands and modules need, and no tests, fixtures or demo', () => {
  const manifest = JSON.parse(readFileSync(`${repositoryRoot}/package.json`, 'utf8')) as Manifest;
  const files = packedFiles();
  for (const path of [
    ...Object.values(manifest.bin),
    ...Object.values(manifest.exports),
    'probe/probe.sh',
    'LICENSE',
  ]) {
    assert.ok(files.includes(path.replace('./', '')), path);
  }
  const folders = new Set(
    files.map((path) =>
      path
        .split('/')
        .slice(0, path.startsWith('dist/') ? 2 : 1)
        .join('/'),
    ),
  );
  assert.deepEqual(
    [...folders].sort(),
    ['ARCHITECTURE.md', 'CHANGELOG.md', 'LICENSE', 'README.md', 'dist/src', 'docs', 'package.json', 'probe'].sort(),
  );
});
