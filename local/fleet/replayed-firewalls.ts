import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, renameSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { fleetFiles } from '../repository-root.ts';
import type { FirewallDefinition, FleetVm } from './demo-fleet.ts';
import type { Firewalls } from './fleet.ts';
import { onProcessEnd } from './process-end.ts';
import { BASELINE_STATE, readRecording, unpackRecording } from './recording.ts';
import { newRunName } from './run-identity.ts';
import { runScript, type ScriptUser } from './run-script.ts';
import { makeScratchDirectory } from './scratch-directory.ts';
import { makeCommonPath, recordedTools } from './tools.ts';
import { makeVmRoot, vmEnvironment } from './vm-root.ts';

/**
 * The same VMs without a kernel of their own: a shell runs the same script, its firewall tools answer from recordings of
 * the real ones, and a change switches its VM to the recording that was made after it.
 */
export async function startReplayedFirewalls(vms: readonly FleetVm[]): Promise<Firewalls> {
  const scratch = makeScratchDirectory(newRunName());
  const forgetEnd = onProcessEnd(scratch.remove);
  const stop = async (): Promise<void> => {
    forgetEnd();
    scratch.remove();
  };
  let commonPath: string;
  try {
    commonPath = makeCommonPath(join(scratch.path, 'tools'));
    for (const { name, firewall } of vms) {
      if (firewall !== null) layOutVm(join(scratch.path, name), name, firewall);
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const user = unprivilegedUser(scratch.path);
  return {
    executeScript: (vm, lines, signal) =>
      runScript(
        {
          command: ['sh', '-s'],
          environment: vmEnvironment(join(scratch.path, vm.name), commonPath),
          ...(user ? { user } : {}),
        },
        lines,
        signal,
      ),
    apply: async ({ vmName, name }) => switchState(join(scratch.path, vmName), vmName, name),
    stop,
  };
}

/** `{vm}/states/{state}` for each recording, `{vm}/recording` for the present one, and tools and a root that read it. */
function layOutVm(directory: string, vmName: string, firewall: FirewallDefinition): void {
  switchState(directory, vmName, BASELINE_STATE);
  makeShimTools(directory, firewall, 'replay.sh');
  makeVmRoot(join(directory, 'root'), vmName, firewall, join(directory, 'recording', 'net'));
}

function switchState(directory: string, vmName: string, state: string): void {
  unpackRecording(join(directory, 'states', state), readRecording(vmName, state));
  const next = join(directory, 'next-recording');
  symlinkSync(join('states', state), next);
  renameSync(next, join(directory, 'recording')); // at once: a probe sees one state or the other
}

/**
 * Makes `{directory}/tools`, where every firewall tool's name leads to a copy of a shim. The copy has the real
 * program's name, because that is how the probe tells which iptables it has before it.
 */
export function makeShimTools(directory: string, firewall: FirewallDefinition, shim: string): void {
  const programs = join(directory, 'programs');
  const tools = join(directory, 'tools');
  mkdirSync(programs, { recursive: true });
  mkdirSync(tools, { recursive: true });
  for (const [name, program] of recordedTools(firewall)) {
    const copy = join(programs, program);
    copyFileSync(join(fleetFiles, 'shims', shim), copy);
    chmodSync(copy, 0o755);
    symlinkSync(copy, join(tools, name));
  }
}

/** `nobody` where this process is root and may become somebody else: a replay needs no rights, so it gets none. */
function unprivilegedUser(scratch: string): ScriptUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const nobody = { uid: 65534, gid: 65534 };
  const canRead = spawnSync('/bin/sh', ['-c', 'test -x "$0"', join(scratch, 'tools')], nobody);
  return canRead.status === 0 ? nobody : undefined;
}
