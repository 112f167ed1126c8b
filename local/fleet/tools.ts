import { accessSync, chmodSync, constants, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FirewallDefinition } from './demo-fleet.ts';

const TOOL_DIRECTORIES = ['/usr/sbin', '/usr/bin', '/sbin', '/bin', '/usr/local/sbin', '/usr/local/bin'];

/** Tools whose presence differs between VMs, or whose answers do; none of them is in the common directory. */
const FIREWALL_TOOL = /^(?:(?:ip6?|eb|arp)tables|xtables|nft|ipset|update-alternatives|firewall-cmd|ufw|conntrack)/;

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
 * Fills a directory with links to every program of this machine that is not about firewalls. Together with a VM's own
 * tools it makes a PATH on which a tool the VM lacks is really absent, although the machine has it.
 */
export function makeCommonTools(directory: string): void {
  mkdirSync(directory, { recursive: true });
  const linked = new Set<string>();
  for (const from of TOOL_DIRECTORIES) {
    for (const name of listNames(from)) {
      if (linked.has(name) || FIREWALL_TOOL.test(name)) continue;
      symlinkSync(join(from, name), join(directory, name));
      linked.add(name);
    }
  }
}

function listNames(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return []; // not every system has all six
  }
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
