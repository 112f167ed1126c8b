import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FirewallDefinition, guidOf } from './demo-fleet.ts';

/**
 * Makes the directory a VM's NFI_ROOT points to: a release and a boot id of its own, and links for the rest.
 *
 * @param links  path below the root → what it leads to, such as `proc/net` → `/proc/net`
 */
export function makeVmRoot(
  root: string,
  vmName: string,
  { osRelease }: FirewallDefinition,
  links: ReadonlyMap<string, string>,
): void {
  const random = join(root, 'proc', 'sys', 'kernel', 'random');
  mkdirSync(join(root, 'etc'), { recursive: true });
  mkdirSync(random, { recursive: true });
  const { id, versionId, prettyName } = osRelease;
  writeFileSync(join(root, 'etc', 'os-release'), `PRETTY_NAME="${prettyName}"\nVERSION_ID="${versionId}"\nID=${id}\n`);
  writeFileSync(join(random, 'boot_id'), `${guidOf(`boot of ${vmName}`)}\n`);
  for (const [path, target] of links) symlinkSync(target, join(root, path));
}

/**
 * The environment of a VM's shell.
 *
 * @param directory   the VM's own, with its `tools` and its `root`
 * @param commonPath  where all other tools are
 */
export function vmEnvironment(directory: string, commonPath: string): Record<string, string> {
  return {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    NFI_PATH: `${join(directory, 'tools')}:${commonPath}`,
    NFI_ROOT: join(directory, 'root'),
  };
}
