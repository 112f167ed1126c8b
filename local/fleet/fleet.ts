import type { ExecuteScript } from '../arm/simulated-vm.ts';
import { demoFleet, type FleetVm } from './demo-fleet.ts';
import { type FleetChange, type FleetChangeName, fleetChange } from './fleet-changes.ts';
import { kernelUnavailableReason, startKernelFirewalls } from './kernel-firewalls.ts';
import { startReplayedFirewalls } from './replayed-firewalls.ts';

/** The demo fleet while it runs: VMs for the simulator to list, and shells on them that see their firewalls. */
export interface Fleet {
  readonly mode: 'kernel' | 'replay';
  /** Why it is this mode, for people: `root with iptables, nft, ipset and ip netns`, `not root`, `asked for`. */
  readonly modeReason: string;
  readonly vms: readonly FleetVm[];
  /** For the simulator's option of that name. Windows answers with nothing. */
  readonly executeScript: ExecuteScript;
  /** Makes one of the scripted changes happen. Each can happen once. Errors: an unknown name, or a second time. */
  change(name: FleetChangeName): Promise<FleetChange>;
  /** Deletes everything the fleet made. Scripts that still run should have been ended before. */
  stop(): Promise<void>;
}

/** The firewalls behind a fleet, real or recorded. */
export interface Firewalls {
  executeScript(vm: FleetVm, lines: readonly string[], signal: AbortSignal): ReturnType<ExecuteScript>;
  apply(change: FleetChange): Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts the demo fleet. `kernel` needs root and the tools, and gives every VM a network namespace with real rules;
 * `replay` needs nothing and answers from recordings of the same tools in the same namespaces; `auto` takes the first
 * that works.
 *
 * Errors: rejects in mode `kernel` where that cannot be had, with the reason.
 */
export async function startFleet(options: { readonly mode?: 'kernel' | 'replay' | 'auto' } = {}): Promise<Fleet> {
  const { firewalls, mode, modeReason } = await startFirewalls(options.mode ?? 'auto');
  const happened = new Set<string>();
  return {
    mode,
    modeReason,
    vms: demoFleet,
    executeScript: async (vm, lines, signal) => {
      const known = demoFleet.find((each) => each.id === vm.id);
      if (known === undefined) throw new Error(`the fleet has no VM ${vm.id}`);
      if (known.firewall === null) return { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), exitCode: 0 };
      return firewalls.executeScript(known, lines, signal);
    },
    change: async (name) => {
      const change = fleetChange(name);
      if (happened.has(name)) throw new Error(`the change ${name} has happened already`);
      happened.add(name);
      await firewalls.apply(change);
      return change;
    },
    stop: () => firewalls.stop(),
  };
}

async function startFirewalls(
  wanted: 'kernel' | 'replay' | 'auto',
): Promise<{ readonly firewalls: Firewalls } & Pick<Fleet, 'mode' | 'modeReason'>> {
  let missing = wanted === 'replay' ? 'asked for' : await kernelUnavailableReason();
  if (missing === undefined) {
    try {
      const firewalls = await startKernelFirewalls(demoFleet);
      return { firewalls, mode: 'kernel', modeReason: 'root with iptables, nft, ipset and ip netns' };
    } catch (error) {
      if (wanted === 'kernel') throw error;
      missing = error instanceof Error ? error.message : String(error); // a match or table this kernel has not
    }
  }
  if (wanted === 'kernel') throw new Error(`no kernel firewalls here: ${missing}`);
  return { firewalls: await startReplayedFirewalls(demoFleet), mode: 'replay', modeReason: missing };
}
