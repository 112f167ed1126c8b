import { z } from 'zod';
import { SESSION_ID } from '../core/baseline/session-id.ts';
import { isVmId, RESOURCE_GROUP } from '../core/vm-id.ts';

const subscriptionId = z.string().regex(/^[0-9a-fA-F-]{1,64}$/, 'a subscription id');
const tag = z.strictObject({ name: z.string().min(1).max(512), value: z.string().max(256).optional() });
const sessionId = z.string().regex(SESSION_ID, 'letters, digits, _ and -, 1 to 64 of them');

export const selectorSchema = z.union(
  [
    z.strictObject({
      vm_ids: z.array(z.string().refine(isVmId, 'the ARM id of a virtual machine')).min(1).max(5000),
    }),
    z.strictObject({
      subscription_id: subscriptionId,
      resource_group: z.string().regex(RESOURCE_GROUP, 'a resource group name'),
      tag: tag.optional(),
    }),
    z.strictObject({ subscription_ids: z.array(subscriptionId).min(1).max(200), tag: tag.optional() }),
  ],
  'give vm_ids, or subscription_id with resource_group, or subscription_ids; the last two with an optional tag',
);

/** The body of `POST /api/v1/runs`. */
export const runBodySchema = z
  .strictObject({
    mode: z.enum(['baseline', 'drift']),
    selector: selectorSchema,
    session_id: sessionId.optional(),
    baseline: sessionId.optional(),
    approve: z.boolean().optional(),
  })
  .refine(({ mode, baseline }) => mode === 'drift' || baseline === undefined, {
    path: ['baseline'],
    message: 'only a drift run compares with a baseline',
  })
  .refine(({ mode, approve }) => mode === 'baseline' || approve === undefined, {
    path: ['approve'],
    message: 'only a baseline run approves',
  });

export type RunBody = z.infer<typeof runBodySchema>;
