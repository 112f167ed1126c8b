import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type TestFn, type TestOptions, test } from 'node:test';
import { repositoryRoot } from '../../local/repository-root.ts';

export { repositoryRoot };

export function fixturePath(...parts: string[]): string {
  return join(repositoryRoot, 'test', 'fixtures', ...parts);
}

/** A path in the corpus that lies beside a developer's checkout; tests that use it skip where it is not. */
export function sharedPath(...parts: string[]): string {
  return join(repositoryRoot, '..', 'shared', ...parts);
}

/**
 * `test`, for what needs a part of the corpus: elsewhere there is nothing to test, and so no test, rather than one that
 * is skipped.
 */
export function sharedTest(...parts: string[]): SharedTest {
  if (!existsSync(sharedPath(...parts))) return () => {};
  return (name, ...rest) => {
    const [options, run] = rest.length === 1 ? [{}, rest[0]] : rest;
    void test(name, options, run);
  };
}

type SharedTest = (name: string, ...rest: [TestFn] | [TestOptions, TestFn]) => void;

/**
 * For node:test's `skip` option: false where network namespaces and these tools can be used, else the reason. With
 * REQUIRE_KERNEL=1 (continuous integration) a missing one is an error instead, so that nothing is skipped unseen.
 */
export function kernelSkipReason(tools: readonly string[] = ['ip', 'iptables', 'nft', 'ipset']): string | false {
  const reason = missingForKernelTests(tools);
  if (reason !== false && process.env['REQUIRE_KERNEL'] === '1') throw new Error(`REQUIRE_KERNEL=1, but ${reason}`);
  return reason;
}

function missingForKernelTests(tools: readonly string[]): string | false {
  if (process.platform !== 'linux') return 'not Linux';
  if (process.getuid?.() !== 0) return 'not root';
  for (const tool of tools) {
    try {
      execFileSync('sh', ['-c', `PATH="$PATH:/usr/sbin:/sbin"; command -v ${tool}`], { stdio: 'ignore' });
    } catch {
      return `${tool} is not installed`;
    }
  }
  try {
    execFileSync('unshare', ['--net', 'true'], { stdio: 'ignore' });
  } catch {
    return 'network namespaces cannot be made here';
  }
  return false;
}
