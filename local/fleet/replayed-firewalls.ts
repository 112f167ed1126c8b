import type { FleetVm } from './demo-fleet.ts';
import type { Firewalls } from './fleet.ts';
export async function startReplayedFirewalls(_vms: readonly FleetVm[]): Promise<Firewalls> {
  throw new Error('not yet');
}
