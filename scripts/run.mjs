// The first file every npm script runs. It works on any Node from 20 with nothing installed: it installs from the
// lockfile and builds when that is missing or stale, then hands over to the pinned Node 22 on the compiled code.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
const modules = join(root, 'node_modules');
const installStamp = join(modules, '.netfilter-inspector-lock');
const buildStamp = join(root, 'dist', '.build-stamp');
const sourceDirectories = ['src', 'local', 'test', 'bench', 'scripts'];

/** Each task: which compiled file runs, with which Node options. */
const tasks = {
  demo: ['dist/local/demo.js'],
  start: ['dist/local/start.js'],
  functions: ['dist/local/list-functions.js'],
  bench: ['--expose-gc', 'dist/bench/main.js'],
};

const [task = 'help', ...args] = process.argv.slice(2);
process.exit(await main());

async function main() {
  if (task === 'clean') {
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    return 0;
  }
  if (task !== 'build' && task !== 'test' && !(task in tasks)) {
    note(`unknown task "${task}"; use one of: build, test, clean, ${Object.keys(tasks).join(', ')}`);
    return 1;
  }
  const failed = ensureInstalled() || ensureBuilt();
  if (failed || task === 'build') return failed;
  return task === 'test' ? runTests() : runNode([...tasks[task], ...args]);
}

/** Runs every compiled test, or those named on the command line (source or compiled paths). */
function runTests() {
  const named = args.filter((arg) => !arg.startsWith('-'));
  const options = args.filter((arg) => arg.startsWith('-'));
  const compiled = (file) => (file.startsWith('dist/') ? file : `dist/${file}`).replace(/\.ts$/, '.js');
  const files = (named.length > 0 ? named.map(compiled) : list('dist/test', '.test.js')).sort();
  if (files.length === 0) {
    note('no test file found');
    return 1;
  }
  return runNode(['--test', '--test-concurrency=2', ...options, ...files]);
}

function ensureInstalled() {
  const wanted = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  if (existsSync(installStamp) && readFileSync(installStamp, 'utf8') === wanted) return 0;
  note('installing packages from package-lock.json (about half a minute)');
  const npm = process.env.npm_execpath
    ? [process.execPath, process.env.npm_execpath]
    : [process.platform === 'win32' ? 'npm.cmd' : 'npm'];
  const status = run(npm[0], [...npm.slice(1), 'ci', '--loglevel=error']);
  if (status !== 0) {
    note('npm ci failed; its message is above. Is the npm registry reachable?');
    return status;
  }
  writeFileSync(installStamp, wanted);
  return 0;
}

function ensureBuilt() {
  const wanted = sourceState();
  if (existsSync(buildStamp) && readFileSync(buildStamp, 'utf8') === wanted) return 0;
  note('building');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  const tsc = join(dirname(createRequire(import.meta.url).resolve('typescript/package.json')), 'bin', 'tsc');
  const status = run(process.execPath, [tsc, '--project', join(root, 'tsconfig.json')]);
  if (status !== 0) return status;
  mkdirSync(dirname(buildStamp), { recursive: true });
  writeFileSync(buildStamp, wanted);
  return 0;
}

/** A digest of names, sizes and modification times: cheap, and any edit changes it. */
function sourceState() {
  const digest = createHash('sha256');
  const files = sourceDirectories.flatMap((directory) => list(directory, '.ts'));
  for (const file of [...files.sort(), 'tsconfig.json', 'package-lock.json']) {
    const { size, mtimeMs } = statSync(join(root, file));
    digest.update(`${file}\0${size}\0${mtimeMs}\n`);
  }
  return digest.digest('hex');
}

function list(directory, suffix) {
  if (!existsSync(join(root, directory))) return [];
  return readdirSync(join(root, directory), { recursive: true })
    .map((file) => `${directory}/${String(file).replaceAll('\\', '/')}`)
    .filter((file) => file.endsWith(suffix));
}

/** The pinned Node 22 from node_modules; the machine's own Node only where that one is new enough. */
function node22() {
  const pinned = join(modules, '.bin', process.platform === 'win32' ? 'node.cmd' : 'node');
  if (existsSync(pinned) && spawnSync(pinned, ['--version']).status === 0) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= 22) return process.execPath;
  throw new Error(
    'Node 22 is needed: the pinned one did not install. Run "npm ci" and read its messages, or use Node 22.',
  );
}

/**
 * The task itself: it has ports and namespaces, so a signal to this process, which is the one that a supervisor knows, is
 * passed on. Ctrl-C reaches both without that.
 */
async function runNode(nodeArgs) {
  const child = spawn(node22(), ['--enable-source-maps', ...nodeArgs], { cwd: root, stdio: 'inherit' });
  for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  process.on('SIGINT', () => {});
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', (status, signal) => resolve(status ?? 128 + (constants.signals[signal] ?? 0)));
  });
}

function run(command, commandArgs) {
  const { status, signal, error } = spawnSync(command, commandArgs, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  return status ?? (signal === 'SIGINT' ? 130 : 1);
}

function note(text) {
  process.stderr.write(`netfilter-inspector: ${text}\n`);
}
