import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fleetFiles } from '../repository-root.ts';
import type { FirewallDefinition, FleetVm, RuleSource } from './demo-fleet.ts';
import type { Firewalls } from './fleet.ts';
import type { FleetChange } from './fleet-changes.ts';
import { kubeProxyRules } from './kube-services.ts';
import { deleteNamespaces, leftOverNamespaces, makeNamespace } from './namespaces.ts';
import { onProcessEnd } from './process-end.ts';
import { newRunName } from './run-identity.ts';
import { runScript } from './run-script.ts';
import { runTool } from './run-tool.ts';
import { makeScratchDirectory } from './scratch-directory.ts';
import { findTool, makeCommonPath, makeKernelTools } from './tools.ts';
import { makeVmRoot, vmEnvironment } from './vm-root.ts';

const NEEDED_TOOLS = ['ip', 'unshare', 'nft', 'ipset', 'xtables-legacy-multi', 'xtables-nft-multi'];

/** Undefined where namespaces with every kind of rule can be made, else why not. It tries, and leaves nothing behind. */
export async function kernelUnavailableReason(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'not Linux';
  if (process.getuid?.() !== 0) return 'not root';
  const missing = NEEDED_TOOLS.filter((tool) => findTool(tool) === undefined);
  if (missing.length > 0) return `not installed: ${missing.join(', ')}`;
  const name = `${newRunName()}-trial`;
  try {
    await makeNamespace(name);
    await loadRules(name, 'legacy', 'iptables', '*filter\nCOMMIT\n');
    await loadRules(name, 'nft', 'iptables', '*filter\n-A INPUT -m conntrack --ctstate NEW\nCOMMIT\n');
    await loadRules(name, 'nft', 'nft', 'table inet trial { set s { type ipv4_addr; }\n}\n');
    await loadRules(name, 'nft', 'ipset', 'create trial hash:ip\n');
    await runTool(namedShell(name, 'trial'), 'exit 0\n');
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    deleteNamespaces([name]);
  }
}

/**
 * One network namespace per Linux VM, its rules loaded by the real tools.
 *
 * A VM's shell sees its own set of tools (NFI_PATH: links to the real programs, with the VM's own default of `iptables`)
 * and its own release, boot id and modules (NFI_ROOT, see `makeVmRoot`); /proc/net there is its namespace's.
 */
export async function startKernelFirewalls(vms: readonly FleetVm[]): Promise<Firewalls> {
  deleteNamespaces(await leftOverNamespaces());
  const run = newRunName();
  const scratch = makeScratchDirectory(run);
  const namespaces = new Map(vms.filter((vm) => vm.firewall !== null).map((vm) => [vm.name, `${run}-${vm.name}`]));
  const cleanUp = (): void => {
    deleteNamespaces(namespaces.values());
    scratch.remove();
  };
  const forgetEnd = onProcessEnd(cleanUp);
  const stop = async (): Promise<void> => {
    forgetEnd();
    cleanUp();
  };
  let commonPath: string;
  try {
    commonPath = makeCommonPath(join(scratch.path, 'tools'));
    const loaded = await Promise.allSettled(
      vms.map(async ({ name, firewall }) => {
        const namespace = namespaces.get(name);
        if (firewall === null || namespace === undefined) return;
        makeKernelTools(join(scratch.path, name, 'tools'), firewall);
        // /proc/net leads to the namespace of whoever reads it.
        makeVmRoot(join(scratch.path, name, 'root'), name, firewall, '/proc/net');
        await makeNamespace(namespace);
        await loadFirewall(namespace, name, firewall);
      }),
    );
    // Only now, when none of them can make another namespace behind the back of the cleaning up.
    const failed = loaded.find((each) => each.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
  } catch (error) {
    await stop();
    throw error;
  }
  const namespaceOf = (vmName: string): string => {
    const namespace = namespaces.get(vmName);
    if (namespace === undefined) throw new Error(`${vmName} has no namespace`);
    return namespace;
  };
  return {
    executeScript: (vm, lines, signal) =>
      runScript(
        {
          command: namedShell(namespaceOf(vm.name), vm.name),
          environment: vmEnvironment(join(scratch.path, vm.name), commonPath),
        },
        lines,
        signal,
      ),
    apply: (change) => applyChange(namespaceOf(change.vmName), change),
    stop,
  };
}

/** A shell in a namespace that reads its script from stdin, on a host of this name. */
function namedShell(namespace: string, hostName: string): [string, ...string[]] {
  const setName = 'printf %s "$0" >/proc/sys/kernel/hostname && exec sh -s';
  return ['ip', 'netns', 'exec', namespace, 'unshare', '--uts', 'sh', '-c', setName, hostName];
}

async function loadFirewall(namespace: string, vmName: string, firewall: FirewallDefinition): Promise<void> {
  // In order: a rule that names an ipset needs the set.
  for (const source of firewall.load) {
    const text = source.from === 'generated' ? kubeProxyRules() : readFileSync(sourcePath(vmName, source), 'utf8');
    await loadRules(namespace, firewall.iptables === 'legacy' ? 'legacy' : 'nft', source.with, text);
  }
}

function sourcePath(vmName: string, source: RuleSource): string {
  return join(fleetFiles, 'vms', vmName, source.from);
}

async function loadRules(
  namespace: string,
  defaultBackend: 'legacy' | 'nft',
  tool: RuleSource['with'],
  text: string,
): Promise<void> {
  await runTool(['ip', 'netns', 'exec', namespace, ...loader(defaultBackend, tool)], text);
}

function loader(defaultBackend: 'legacy' | 'nft', tool: RuleSource['with']): string[] {
  switch (tool) {
    case 'nft':
      return ['nft', '-f', '-'];
    case 'ipset':
      return ['ipset', 'restore'];
    case 'iptables':
    case 'ip6tables':
      return [`xtables-${defaultBackend}-multi`, `${tool}-restore`];
    case 'iptables-legacy':
    case 'ip6tables-legacy':
      return ['xtables-legacy-multi', `${tool.replace('-legacy', '')}-restore`];
  }
}

async function applyChange(namespace: string, { action }: FleetChange): Promise<void> {
  const inNamespace = ['ip', 'netns', 'exec', namespace] as const;
  if (action.kind === 'script') await runTool([...inNamespace, 'sh', '-e', '-s'], action.script);
  else await runTool([...inNamespace, process.execPath, '-e', SEND_PACKETS, String(action.packets)]);
}

const SEND_PACKETS = `
  const socket = require('node:dgram').createSocket('udp4');
  let left = Number(process.argv[1]);
  const next = () => (left-- > 0 ? socket.send('x', 9, '127.0.0.1', next) : socket.close());
  next();
`;
