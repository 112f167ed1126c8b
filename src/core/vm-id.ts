import { createHash } from 'node:crypto';
import { OperationError } from './errors.ts';

/** An Azure VM's ARM id, taken apart. The casing is the caller's; compare with `vmIdKey`. */
export interface VmId {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly vmName: string;
}

// Names are restricted on purpose: they become URL path segments and blob names. A group's never ends in a period, as
// Azure has it: `..` would be resolved, and ask about the whole subscription.
const GROUP = String.raw`[\p{L}\p{N}._()-]{0,89}[\p{L}\p{N}_()-]`;
const VM_ID = new RegExp(
  String.raw`^/subscriptions/([0-9a-f-]{1,64})/resourceGroups/(${GROUP})/providers/Microsoft\.Compute/virtualMachines/([a-z0-9][a-z0-9._-]{0,63})/?$`,
  'iu',
);
// The long s and the Kelvin sign are s and k to the `i` flag, and other letters to ARM.
const FOLDED = /[\u017F\u212A]/;

/** A subscription's id, and no name of one. */
export const SUBSCRIPTION_ID = /^[0-9a-f-]{1,64}$/i;

/** The name of a resource group. */
export const RESOURCE_GROUP = new RegExp(`^${GROUP}$`, 'u');

/** Errors: `CONFIG_VM_ID` when it is not the id of a virtual machine. */
export function parseVmId(id: string): VmId {
  const found = FOLDED.test(id) ? null : VM_ID.exec(id);
  if (found === null) {
    throw new OperationError('CONFIG_VM_ID', 'vm id', 'not the ARM id of a virtual machine', {
      nextStep: 'give /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Compute/virtualMachines/<name>',
    });
  }
  const [, subscriptionId = '', resourceGroup = '', vmName = ''] = found;
  return { subscriptionId, resourceGroup, vmName };
}

export function isVmId(id: string): boolean {
  return VM_ID.test(id) && !FOLDED.test(id);
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

export const VM_KEY = /^[a-z0-9][a-z0-9-]{11,52}$/;
