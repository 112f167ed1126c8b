import { execFileSync } from 'node:child_process';
import { isLeftOver } from './run-identity.ts';
import { runTool } from './run-tool.ts';

/** Makes a network namespace whose loopback device is up, and nothing else in it. */
export async function makeNamespace(name: string): Promise<void> {
  await runTool(['ip', 'netns', 'add', name]);
  await runTool(['ip', '-n', name, 'link', 'set', 'lo', 'up']);
}

/** Deletes namespaces at once and without a promise, because it also has to work while the process exits. */
export function deleteNamespaces(names: Iterable<string>): void {
  for (const name of names) {
    try {
      execFileSync('ip', ['netns', 'delete', name], {
        stdio: 'ignore',
        env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
      });
    } catch {
      // gone already, which is what was wanted
    }
  }
}

/** Namespaces of fleets whose process died without a chance to clean up. */
export async function leftOverNamespaces(): Promise<string[]> {
  const listed = await runTool(['ip', 'netns', 'list']);
  const names = listed.split('\n').map((line) => line.split(' ')[0] ?? '');
  return names.filter(isLeftOver);
}
