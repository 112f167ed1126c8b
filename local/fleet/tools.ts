import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import type { FirewallDefinition } from './demo-fleet.ts';

const TOOL_DIRECTORIES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin'];

/** Tools whose presence differs between VMs. update-alternatives is not one: every VM has its own, before this machine's. */
const FIREWALL_TOOL = /^(?:(?:ip6?|eb|arp)tables(?:-legacy|-nft)?(?:-save|-restore)?|nft|ipset)$/;

/** Absolute path of a program of this machine, or undefined. */
export function findTool(name: string): string | undefined {
  return TOOL_DIRECTORIES.map((directory) => join(directory, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // absent, or not ours to run
  }
}

/**
 * The PATH of this machine's ordinary tools, without those about firewalls. Behind a VM's own tools it makes a PATH on
 * which a tool that the VM lacks is really absent, although the machine has it.
 *
 * A directory without firewall tools is on it as it is. Where they share one with the ordinary tools (some systems keep
 * `sbin` and `bin` in one place), the others are linked to from `links`; an `sbin` of its own is left out.
 */
export function makeCommonPath(links: string): string {
  mkdirSync(links, { recursive: true });
  const path = [links];
  const linked = new Set<string>();
  for (const directory of new Set(TOOL_DIRECTORIES.filter(existsSync).map((each) => realpathSync(each)))) {
    const names = readdirSync(directory);
    if (basename(directory) === 'sbin') continue;
    if (!names.some((name) => FIREWALL_TOOL.test(name))) {
      path.push(directory);
      continue;
    }
    for (const name of names) {
      if (linked.has(name) || FIREWALL_TOOL.test(name)) continue;
      symlinkSync(join(directory, name), join(links, name));
      linked.add(name);
    }
  }
  return path.join(':');
}

/** The names a VM's firewall tools go by, each with the program that answers to it. */
export function firewallTools(firewall: FirewallDefinition): ReadonlyMap<string, string> {
  const tools = new Map<string, string>();
  if (firewall.iptables !== 'none') {
    for (const family of ['iptables', 'ip6tables']) {
      for (const suffix of ['', '-save']) {
        tools.set(`${family}${suffix}`, `xtables-${firewall.iptables}-multi`);
        tools.set(`${family}-legacy${suffix}`, 'xtables-legacy-multi');
        tools.set(`${family}-nft${suffix}`, 'xtables-nft-multi');
      }
    }
  }
  if (firewall.nft) tools.set('nft', 'nft');
  if (firewall.ipset) tools.set('ipset', 'ipset');
  return tools;
}

/** What is recorded and replayed of a VM: its firewall tools, and what tells one machine from another. */
export function recordedTools(firewall: FirewallDefinition): ReadonlyMap<string, string> {
  const others = ['update-alternatives', 'uname', 'id'];
  return new Map([...firewallTools(firewall), ...others.map((name): [string, string] => [name, name])]);
}

/**
 * Makes a VM's own tools out of the real ones: links, because xtables-legacy-multi and xtables-nft-multi do what the
 * name they are called by says. This is how one machine has several defaults of `iptables` at once.
 */
export function makeKernelTools(directory: string, firewall: FirewallDefinition): void {
  mkdirSync(directory, { recursive: true });
  for (const [name, program] of firewallTools(firewall)) {
    const path = findTool(program);
    if (path === undefined) throw new Error(`${program} is not installed`);
    symlinkSync(path, join(directory, name));
  }
  writeUpdateAlternatives(directory, firewall.iptables);
}

function writeUpdateAlternatives(directory: string, iptables: FirewallDefinition['iptables']): void {
  const path = join(directory, 'update-alternatives');
  const body =
    iptables === 'none'
      ? "echo 'update-alternatives: error: no alternatives for iptables' >&2\nexit 2\n"
      : `cat <<'END'\n${alternativesOf(iptables)}END\n`;
  writeFileSync(path, `#!/bin/sh\n${body}`);
  chmodSync(path, 0o755);
}

/** What `update-alternatives --query iptables` prints on Debian after `--set iptables /usr/sbin/iptables-…`. */
function alternativesOf(chosen: 'legacy' | 'nft'): string {
  const links = (backend: string): string[] => [
    ` iptables-restore /usr/sbin/iptables${backend}-restore`,
    ` iptables-save /usr/sbin/iptables${backend}-save`,
  ];
  const alternative = (backend: string, priority: number): string[] => [
    '',
    `Alternative: /usr/sbin/iptables-${backend}`,
    `Priority: ${priority}`,
    'Slaves:',
    ...links(`-${backend}`),
  ];
  return [
    'Name: iptables',
    'Link: /usr/sbin/iptables',
    'Slaves:',
    ...links(''),
    `Status: ${chosen === 'nft' ? 'auto' : 'manual'}`,
    'Best: /usr/sbin/iptables-nft',
    `Value: /usr/sbin/iptables-${chosen}`,
    ...alternative('legacy', 10),
    ...alternative('nft', 20),
    '',
  ].join('\n');
}
