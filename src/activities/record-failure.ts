import type { FailureReason, OutcomeSummary, RecordFailureInput, VmOutcome, VmTarget } from '../core/contracts.ts';
import { vmKey } from '../core/vm-id.ts';
import { readTarget, recordOutcome } from './documents.ts';
import type { InspectionServices } from './services.ts';

/** Stores that a VM could not be read, why, and what to do next. */
export const makeRecordFailure =
  ({ store }: Pick<InspectionServices, 'store'>) =>
  async (input: RecordFailureInput): Promise<OutcomeSummary> => {
    const target = await readTarget(store, input.runId, input);
    return recordOutcome(store, input.runId, input, failureOutcome(target, input));
  };

export function failureOutcome(
  target: VmTarget,
  failure: Pick<RecordFailureInput, 'reason' | 'code' | 'message'> & { readonly nextStep?: string },
): VmOutcome {
  return {
    vm_id: target.vm_id,
    vm_name: target.vm_name,
    resource_group: target.resource_group,
    vm_key: vmKey(target.vm_id),
    verdict: null,
    baselined: false,
    coverage: 'failed',
    coverage_reasons: [failure.reason],
    integrity: 'not_checked',
    problem: {
      code: failure.code,
      reason: failure.reason,
      message: failure.message.slice(0, 300),
      next_step: failure.nextStep || NEXT_STEPS[failure.reason],
    },
    framework: null,
    snapshot_session: null,
    snapshot_sha256: null,
    baseline_session: null,
    drift: null,
    slices: null,
  };
}

export function nextStepFor(reason: FailureReason): string {
  return NEXT_STEPS[reason];
}

const NEXT_STEPS: Record<FailureReason, string> = {
  vm_stopped: 'start the VM, or leave it out of the selector',
  vm_not_found: 'it was deleted or moved; run again',
  agent_not_ready:
    'check the VM agent (waagent) and whether the VM, or a firewall rule on it, blocks 168.63.129.16; use SSH until it reports',
  busy: 'another Run Command holds the VM; try again when it is done (it ends by itself after 90 minutes at most)',
  denied:
    'has the app an identity, and the identity Microsoft.Compute/virtualMachines/read, …/runCommand/action and Microsoft.Compute/locations/operations/read for this VM?',
  not_linux: 'only Linux has netfilter; leave Windows VMs out of the selector',
  throttled: 'ARM is throttling; run again later or with fewer lanes',
  timed_out:
    'the command may have run without its answer getting out: check whether the VM can reach 168.63.129.16 and Azure on 443; use SSH',
  service_error: 'see the Azure status page; run again',
  bad_envelope:
    'the output did not verify and was not used; run again, and look at other users of Run Command on this VM',
  nothing_read:
    'no firewall tool could be read on the VM: are iptables-save or nft installed, and did the probe run as root?',
  too_large: 'the ruleset is too large for Run Command slices; use SSH for this VM',
  unstable:
    'the ruleset keeps changing while it is read; run again at a quieter time, or use SSH, which reads in one go',
  integrity: 'keep the baseline and its companion as evidence, find out who could write there, record a new baseline',
  internal_error: 'this is a bug or the storage failed: look for this run in the app logs',
};
