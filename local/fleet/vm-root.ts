import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type FirewallDefinition, guidOf } from './demo-fleet.ts';

/**
 * Makes the directory a VM's NFI_ROOT points to: a release, a boot id and loaded modules of its own, as a host has them
 * that holds this firewall and nothing else. Without the last, every VM would seem to use what this machine's kernel can.
 *
 * @param procNet  the directory that `/proc/net` is on this VM
 */
export function makeVmRoot(root: string, vmName: string, firewall: FirewallDefinition, procNet: string): void {
  const random = join(root, 'proc', 'sys', 'kernel', 'random');
  mkdirSync(join(root, 'etc'), { recursive: true });
  mkdirSync(random, { recursive: true });
  const { id, versionId, prettyName } = firewall.osRelease;
  writeFileSync(join(root, 'etc', 'os-release'), `PRETTY_NAME="${prettyName}"\nVERSION_ID="${versionId}"\nID=${id}\n`);
  writeFileSync(join(random, 'boot_id'), `${guidOf(`boot of ${vmName}`)}\n`);
  const modules = loadedModules(firewall).map((name) => `${name} 16384 0 - Live 0x0000000000000000\n`);
  writeFileSync(join(root, 'proc', 'modules'), modules.join(''));
  // Symbols are there, none of them of a module that is built in.
  writeFileSync(join(root, 'proc', 'kallsyms'), '0000000000000000 T _text\n');
  symlinkSync(procNet, join(root, 'proc', 'net'));
}

function loadedModules({ iptables, nft, ipset, load }: FirewallDefinition): string[] {
  const modules: string[] = [];
  if (iptables === 'legacy' || load.some((source) => source.with.endsWith('-legacy'))) modules.push('ip_tables');
  if (iptables === 'nft' || nft) modules.push('nf_tables');
  if (iptables === 'nft') modules.push('nft_compat');
  if (ipset) modules.push('ip_set');
  return modules;
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
