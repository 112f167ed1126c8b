import { createHash } from 'node:crypto';
import { OperationError } from './errors.ts';

/** An Azure VM's ARM id, taken apart. The casing is the caller's; compare with `vmIdKey`. */
export interface VmId {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly vmName: string;
}

// Names are restricted on purpose: they become URL path segments and blob names.
const VM_ID =
  /^\/subscriptions\/([0-9a-f-]{1,64})\/resourceGroups\/([\p{L}\p{N}._()-]{1,90})\/providers\/Microsoft\.Compute\/virtualMachines\/([A-Za-z0-9][A-Za-z0-9._-]{0,63})\/?$/iu;

/** Errors: `CONFIG_VM_ID` when it is not the id of a virtual machine. */
export function parseVmId(id: string): VmId {
  const found = VM_ID.exec(id);
  if (found === null) {
    throw new OperationError('CONFIG_VM_ID', 'vm id', 'not the ARM id of a virtual machine', {
      nextStep: 'give /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Compute/virtualMachines/<name>',
    });
  }
  const [, subscriptionId = '', resourceGroup = '', vmName = ''] = found;
  return { subscriptionId, resourceGroup, vmName };
}

export function isVmId(id: string): boolean {
  return VM_ID.test(id);
}

/**
 * The VM's name in blob paths and URLs: a readable slug and a hash of the lower-cased id, because ARM changes the
 * casing of ids at will and two VMs of one name may live in two groups. Shape: `web-01-3f9ac1d2e4b5`.
 */
export function vmKey(id: string): string {
  const { vmName } = parseVmId(id);
  const slug = vmName
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 40);
  const digest = createHash('sha256').update(id.replace(/\/$/, '').toLowerCase()).digest('hex').slice(0, 12);
  return slug === '' ? digest : `${slug}-${digest}`;
}

export const VM_KEY = /^[a-z0-9-]{12,53}$/;
