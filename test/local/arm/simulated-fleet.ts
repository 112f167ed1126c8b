import { type SimulatedVm, vmResourceId } from '../../../local/arm/simulated-vm.ts';

export const SUBSCRIPTION = '11111111-1111-4111-8111-111111111111';
export const GROUP = 'rg-web';

/** A running Linux VM with a ready agent, where nothing else is said. */
export function simulatedVm(name: string, changes: Partial<SimulatedVm> = {}): SimulatedVm {
  const resourceGroup = changes.resourceGroup ?? GROUP;
  return {
    id: vmResourceId(SUBSCRIPTION, resourceGroup, name),
    name,
    subscriptionId: SUBSCRIPTION,
    resourceGroup,
    location: 'westeurope',
    vmId: '22222222-2222-4222-8222-222222222222',
    osType: 'Linux',
    powerState: 'running',
    agentReady: true,
    tags: { 'fw-baseline': 'enabled' },
    ...changes,
  };
}
