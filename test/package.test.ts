import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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

/** Of these paths those that `.funcignore` leaves, read as .gitignore patterns are: VS Code and azd do so. */
function deployed(paths: readonly string[]): readonly string[] {
  const folder = mkdtempSync(join(tmpdir(), 'netfilter-inspector-funcignore-'));
  try {
    execFileSync('git', ['init', '--quiet'], { cwd: folder });
    copyFileSync(join(repositoryRoot, '.funcignore'), join(folder, '.gitignore'));
    const { stdout } = spawnSync('git', ['check-ignore', '--no-index', '--stdin'], {
      cwd: folder,
      input: paths.join('\n'),
      encoding: 'utf8',
    });
    const ignored = new Set(stdout.split('\n'));
    return paths.filter((path) => !ignored.has(path));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const withoutGit = spawnSync('git', ['--version']).status === 0 ? false : 'git is not installed';

test('.funcignore leaves what the app needs, and none of its sources, tests and local parts', {
  skip: withoutGit,
}, () => {
  const needed = [
    'host.json',
    'package.json',
    'probe/probe.sh',
    'dist/src/functions/durable.js',
    'dist/src/core/iptables/index.js',
    // Packages have folders of every name.
    'node_modules/durable-functions/package.json',
    'node_modules/durable-functions/lib/src/index.js',
    'node_modules/yaml/dist/doc/docs/local/scripts/test/bench/infra/web/examples/a.js',
  ];
  const kept = [
    'src/functions/durable.ts',
    'local/host/main.ts',
    'dist/local/host/main.js',
    'dist/test/package.test.js',
    'dist/bench/main.js',
    'dist/src/functions/durable.d.ts',
    'dist/src/functions/durable.js.map',
    'test/package.test.ts',
    'scripts/run.mjs',
    'examples/iptables/before.rules',
    'docs/api.md',
    'local.settings.json',
    '.git/config',
    'node_modules/azurite/package.json',
    'node_modules/node/bin/node',
  ];
  assert.deepEqual(deployed([...needed, ...kept]), needed);
});

test('.funcignore says where: its folders are those of the root to whoever reads it', () => {
  // Core Tools takes every pattern from the root on, git a folder's name wherever it comes.
  for (const line of readFileSync(`${repositoryRoot}/.funcignore`, 'utf8').split('\n'))
    if (line.endsWith('/')) assert.match(line, /^\//);
});
