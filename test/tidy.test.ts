import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { repositoryRoot } from './support/environment.ts';

/** Which layer may import which. Arrows point down: functions, cli → api, orchestrators, activities → azure, ssh → core. */
const ALLOWED: Readonly<Record<string, RegExp>> = {
  'src/core': /^(src\/core|node:crypto)$/,
  'src/orchestrators': /^(src\/orchestrators|src\/core|durable-functions)$/,
  'src/activities': /^(src\/activities|src\/core|node:.+)$/,
  'src/api': /^(src\/api|src\/agent|src\/activities|src\/core|zod|@azure\/functions|node:.+)$/,
  'src/azure': /^(src\/azure|src\/activities|src\/core|@azure\/.+|node:.+)$/,
  'src/ssh': /^(src\/ssh|src\/core|node:.+)$/,
  'src/directory': /^(src\/directory|src\/core|node:.+)$/,
  'src/agent': /^(src\/agent|src\/core|zod)$/,
  'src/cli':
    /^(src\/cli|src\/core|src\/agent|@modelcontextprotocol\/sdk\/.+|src\/azure|src\/ssh|src\/directory|src\/activities|node:.+)$/,
  'src/functions': /^(src\/(api|orchestrators|activities|azure|core)|@azure\/functions|durable-functions)$/,
};

/** What would make core impure, or an orchestrator differ between replays. */
const BANNED = /\bnew Date\(\)|\b(Date\.now|Math\.random|randomUUID|setTimeout|process\.|performance\.|async |await )/;
const PURE = /^src\/(core|orchestrators)\//;

/** As Biome lays them out: a `from` clause starts its line, or ends a list that was broken over lines. */
const IMPORT = /^(?:(?:import|export)\b[^'\n=]*from |\} from |import )'([^'\n]+)'|\bimport\(\s*'([^'\n]+)'/gm;

interface Finding {
  readonly file: string;
  readonly what: string;
}

function check(file: string, text: string): Finding[] {
  const findings: Finding[] = [];
  const layer = Object.keys(ALLOWED).find((folder) => file.startsWith(`${folder}/`));
  const allowed = layer === undefined ? undefined : ALLOWED[layer];
  if (allowed === undefined) return [{ file, what: 'lies in no known layer' }];
  for (const found of text.matchAll(IMPORT)) {
    const specifier = found[1] ?? found[2] ?? '';
    const imported = specifier.startsWith('.') ? layerOf(join(dirname(file), specifier)) : specifier;
    if (!allowed.test(imported)) findings.push({ file, what: `imports ${imported}` });
  }
  const code = text.replace(/\/\*[\s\S]*?\*\/|(?<![:'"`])\/\/.*$/gm, '').replace(/'[^'\n]*'|`[^`]*`/g, "''");
  const banned = PURE.test(file) ? BANNED.exec(code) : null;
  if (banned !== null) findings.push({ file, what: `uses ${banned[0].trim()}` });
  return findings;
}

function layerOf(path: string): string {
  return path.split('/').slice(0, 2).join('/');
}

function sources(folder: string): string[] {
  return readdirSync(join(repositoryRoot, folder), { recursive: true })
    .map((name) => `${folder}/${String(name)}`)
    .filter((name) => name.endsWith('.ts'));
}

test('arrows between layers point down, and core stays pure', () => {
  const findings = sources('src').flatMap((file) => check(file, readFileSync(join(repositoryRoot, file), 'utf8')));
  assert.deepEqual(findings, []);
});

test('the layer check sees what it is there for', () => {
  const bad: [string, string, string][] = [
    ['src/core/a.ts', "import { readFileSync } from 'node:fs';", 'imports node:fs'],
    ['src/core/a.ts', "import { x } from '../azure/x.ts';", 'imports src/azure'],
    ['src/core/iptables/a.ts', "const x = await import('zod');", 'imports zod'],
    ['src/core/a.ts', 'const now = Date.now();', 'uses Date.now'],
    ['src/orchestrators/a.ts', "import { makeX } from '../activities/x.ts';", 'imports src/activities'],
    ['src/orchestrators/a.ts', 'const now = new Date();', 'uses new Date()'],
    ['src/activities/a.ts', "import { x } from '@azure/arm-compute';", 'imports @azure/arm-compute'],
    ['src/elsewhere/a.ts', '', 'lies in no known layer'],
  ];
  for (const [file, text, what] of bad)
    assert.ok(
      check(file, text).some((finding) => finding.what === what),
      `${file}: ${what}`,
    );
  assert.deepEqual(
    check('src/core/a.ts', "// Date.now() in a comment\nimport { x } from './b.ts';\nconst s = 'await ';"),
    [],
  );
});

test('importing a file has an effect in src/functions only', () => {
  const effect = /^(app|df)\.|^\s*df\.app\.|^main\(/m;
  const offenders = sources('src').filter(
    (file) => !/^src\/(functions|cli)\//.test(file) && effect.test(readFileSync(join(repositoryRoot, file), 'utf8')),
  );
  assert.deepEqual(offenders, []);
});

test('nothing that is committed names a path of one machine', () => {
  const offenders = ['src', 'local', 'test', 'bench', 'scripts'].flatMap((folder) =>
    sources(folder).filter((file) => {
      const text = readFileSync(join(repositoryRoot, file), 'utf8');
      return file !== 'test/tidy.test.ts' && /\/(work|farm)\/[a-z]/.test(text);
    }),
  );
  assert.deepEqual(offenders, []);
});

test('every relative link in the documents leads somewhere', () => {
  const documents = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'probe/README.md', ...markdown('docs')];
  const broken = documents.flatMap((document) => {
    const text = readFileSync(join(repositoryRoot, document), 'utf8');
    return [...text.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
      .map(([, target = '']) => resolve(repositoryRoot, dirname(document), target))
      .filter((target) => !exists(target))
      .map((target) => `${document} → ${relative(repositoryRoot, target)}`);
  });
  assert.deepEqual(broken, []);
});

function markdown(folder: string): string[] {
  return readdirSync(join(repositoryRoot, folder), { recursive: true })
    .map((name) => `${folder}/${String(name)}`)
    .filter((name) => name.endsWith('.md'));
}

function exists(path: string): boolean {
  try {
    readdirSync(dirname(path));
    return readdirSync(dirname(path)).includes(path.slice(dirname(path).length + 1)) || path === repositoryRoot;
  } catch {
    return false;
  }
}
