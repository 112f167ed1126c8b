/** What the simulator knows of one VM: the part of the Compute resource that discovery and Run Command depend on. */
export interface SimulatedVm {
  /** The ARM id, with the spelling ARM would answer with; look-ups by path ignore case. */
  readonly id: string;
  readonly name: string;
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  /** A region's short name, such as `westeurope`. */
  readonly location: string;
  /** The VM's own GUID, which is not part of its id. */
  readonly vmId: string;
  readonly osType: 'Linux' | 'Windows';
  readonly powerState: 'running' | 'stopped' | 'deallocated';
  /** Whether the guest agent reports; without it a run command is accepted and fails late. */
  readonly agentReady: boolean;
  readonly tags: Readonly<Record<string, string>>;
}

/** What one run of a script left behind. Bytes, because the service cuts them without looking at characters. */
export interface ScriptResult {
  readonly stdout: Buffer;
  readonly stderr: Buffer;
  /** The service does not report it; the simulator keeps it in its log of runs for tests. */
  readonly exitCode: number;
}

/**
 * Really runs a script on a VM, as root would.
 *
 * @param lines   the `script` array of the request, one line each
 * @param signal  aborted when the simulator stops; the script's processes must end then
 * Errors:        a rejection is a fault of the simulation, and makes the operation fail with `VMExtensionProvisioningError`
 */
export type ExecuteScript = (vm: SimulatedVm, lines: readonly string[], signal: AbortSignal) => Promise<ScriptResult>;

/** `/subscriptions/{id}/resourceGroups/{group}/providers/Microsoft.Compute/virtualMachines/{name}` */
export function vmResourceId(subscriptionId: string, resourceGroup: string, name: string): string {
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/virtualMachines/${name}`;
}
