import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runBodySchema } from '../src/api/run-schema.ts';
import { parseSettings } from '../src/core/settings.ts';
import { kernelSkipReason, repositoryRoot } from './support/environment.ts';

const document = (name: string) => readFileSync(join(repositoryRoot, name), 'utf8');

/** Lines of a document's shell blocks that start one of our commands, with `npx` and without what stands before a pipe. */
function commandLines(name: string): { line: string; source: string | null; command: string; args: string[] }[] {
  const blocks = [...document(name).matchAll(/```sh\n([\s\S]*?)```/g)].map(([, block = '']) => block);
  return blocks
    .flatMap((block) => block.split('\n'))
    .flatMap((line) => {
      const found = /^(?:(.+?) \| )?npx ((?:iptables|nftables)-(?:diff|parser)) ?(.*)$/.exec(line);
      if (found === null) return [];
      const [, source = null, command = '', rest = ''] = found;
      return [{ line, source, command, args: rest.split(/\s+/).filter((word) => word !== '') }];
    });
}

function run(command: string, args: readonly string[], input?: string) {
  const extension = import.meta.filename.endsWith('.ts') ? 'ts' : 'js';
  const file = join(import.meta.dirname, '..', 'src', 'cli', `${command}.${extension}`);
  return spawnSync(process.execPath, [file, ...args], {
    cwd: repositoryRoot,
    encoding: 'utf8',
    ...(input === undefined ? {} : { input }),
  });
}

const lines = commandLines('README.md');

test('what the README opens with is what the command prints', () => {
  const [, shown = ''] = /```\n(edge-nft {2}[\s\S]*?)```/.exec(document('README.md')) ?? assert.fail('no output there');
  // The guide's outputs are made anew by a test of their own; only the session and its digest differ.
  const real = /```text\n[\s\S]*?(edge-nft {2}nftables {2}baseline [\s\S]*?)```/.exec(
    document('docs/firewall-inspector.md'),
  );
  const printed = new Set(real?.[1]?.split('\n'));
  const [title = '', ...rest] = shown.split('\n');
  assert.match(title, /^edge-nft {2}nftables {2}baseline \w+ \(sha256 [0-9a-f]{8}… verified\)$/);
  assert.ok(rest.length > 5, shown);
  for (const line of rest.filter((line) => !line.startsWith('exit '))) assert.ok(printed.has(line), line);
});

test('the README shows each of the four commands at work', () => {
  assert.deepEqual([...new Set(lines.map(({ command }) => command))].sort(), [
    'iptables-diff',
    'iptables-parser',
    'nftables-diff',
    'nftables-parser',
  ]);
});

for (const { line, source, command, args } of lines) {
  const skip = source === null ? false : kernelSkipReason();
  test(`README: ${line}`, { skip }, () => {
    // What a README pipes in is taken from a namespace with one rule, so that it is never this machine's firewall.
    const made =
      source === null
        ? undefined
        : spawnSync('unshare', ['--net', 'sh', '-c', `${ONE_RULE}; ${source}`], { encoding: 'utf8' });
    assert.equal(made?.status ?? 0, 0, made?.stderr);
    const { status, stdout, stderr } = run(command, args, made?.stdout);
    assert.equal(status, 0, stderr);
    assert.match(stdout, source === null ? /critical/ : /rules +1|dport 22/);
  });
}

const ONE_RULE = 'PATH="$PATH:/usr/sbin:/sbin"; iptables -A INPUT -p tcp --dport 22 -j ACCEPT';

test('the request that the API document shows is a valid one', () => {
  const [, body = ''] = /```json\n([\s\S]*?)```/.exec(document('docs/api.md')) ?? [];
  const parsed = runBodySchema.safeParse(JSON.parse(body));
  assert.equal(parsed.success, true, JSON.stringify(parsed.error?.issues));
});

test('the settings document lists every setting that is read, with its default', () => {
  const text = document('docs/settings.md');
  const read = new Set<string>();
  const spy = new Proxy({} as Record<string, string>, {
    get: (_target, name) => {
      read.add(String(name));
      return name === 'BASELINE_STORAGE' ? 'UseDevelopmentStorage=true' : undefined;
    },
  });
  const { run: defaults } = parseSettings(spy);
  assert.deepEqual(
    [...read].filter((name) => !text.includes(`\`${name}\``)),
    [],
  );
  for (const [name, value] of [
    ['RUN_LANES', defaults.lanes],
    ['RUN_PAGE_SIZE', defaults.pageSize],
    ['RUN_POLL_SECONDS', defaults.pollSeconds],
    ['RUN_VM_DEADLINE_SECONDS', defaults.vmDeadlineSeconds],
    ['RUN_SLICES_MAX', defaults.slicesMax],
    ['RUN_RECAPTURES_MAX', defaults.recapturesMax],
    ['RUN_ATTEMPTS_MAX', defaults.attemptsMax],
  ] as const) {
    assert.match(text, new RegExp(`\\| \`${name}\` \\| ${value} \\|`), name);
  }
});
