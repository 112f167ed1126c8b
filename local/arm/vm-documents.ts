import type { InstanceViewStatus } from './run-command-output.ts';
import type { SimulatedVm } from './simulated-vm.ts';

/** The body of one VM as GET and the lists answer it; `instanceView` only where it was asked for. */
export function vmDocument(vm: SimulatedVm, options: { instanceView?: boolean } = {}): Record<string, unknown> {
  return {
    name: vm.name,
    id: vm.id,
    type: 'Microsoft.Compute/virtualMachines',
    location: vm.location,
    tags: vm.tags,
    properties: {
      vmId: vm.vmId,
      provisioningState: 'Succeeded',
      hardwareProfile: { vmSize: 'Standard_B2s' },
      storageProfile: { osDisk: { osType: vm.osType, name: `${vm.name}-os`, createOption: 'FromImage' } },
      osProfile: { computerName: vm.name, adminUsername: 'azureuser' },
      ...(options.instanceView === true ? { instanceView: instanceView(vm) } : {}),
    },
  };
}

/**
 * One row of a list with `statusOnly=true`: the run-time status without the model. The documentation does not say which
 * properties are trimmed, so the simulator trims what a caller must not rely on: tags and the storage profile.
 */
export function vmStatusDocument(vm: SimulatedVm): Record<string, unknown> {
  return {
    name: vm.name,
    id: vm.id,
    type: 'Microsoft.Compute/virtualMachines',
    location: vm.location,
    properties: { vmId: vm.vmId, provisioningState: 'Succeeded', instanceView: instanceView(vm) },
  };
}

/** Power state and agent as `GET …/instanceView` answers them. A VM that is not running has no agent to report on. */
export function instanceView(vm: SimulatedVm): Record<string, unknown> {
  const statuses: InstanceViewStatus[] = [
    { code: 'ProvisioningState/succeeded', level: 'Info', displayStatus: 'Provisioning succeeded', time: REPORTED_AT },
    { code: `PowerState/${vm.powerState}`, level: 'Info', displayStatus: `VM ${vm.powerState}` },
  ];
  if (vm.powerState !== 'running') return { statuses };
  return {
    computerName: vm.name,
    osName: vm.osType === 'Linux' ? 'debian' : 'Windows Server 2022 Datacenter',
    vmAgent: vm.agentReady ? READY_AGENT : SILENT_AGENT,
    statuses,
  };
}

const REPORTED_AT = '2026-01-05T08:00:00.0000000+00:00';

const READY_AGENT = {
  vmAgentVersion: '2.9.1.1',
  extensionHandlers: [],
  statuses: [
    {
      code: 'ProvisioningState/succeeded',
      level: 'Info',
      displayStatus: 'Ready',
      message: 'Guest Agent is running',
      time: REPORTED_AT,
    },
  ],
};

const SILENT_AGENT = {
  vmAgentVersion: 'Unknown',
  statuses: [
    {
      code: 'ProvisioningState/Unavailable',
      level: 'Warning',
      displayStatus: 'Not Ready',
      message: 'VM status blob is found but not yet populated.',
      time: REPORTED_AT,
    },
  ],
};
