import { artifactNames } from '../core/artifact-names.ts';
import { documentBytes, parseDocument } from '../core/baseline/integrity.ts';
import type { Snapshot } from '../core/baseline/snapshot.ts';
import { OperationError } from '../core/errors.ts';
import type { SnapshotStore } from '../core/ports.ts';

/** `state/{vm}/approved.json`: the baseline that sweeps compare with, and the digest it had when it was approved. */
export interface ApprovedBaseline {
  readonly schema_version: 1;
  readonly session_id: string;
  readonly sha256: string;
  readonly snapshot_at: string;
  /** The session approved before this one; null for the first. */
  readonly previous: string | null;
}

const REPLACE_ATTEMPTS = 5;

export async function readApproved(
  store: SnapshotStore,
  vmKey: string,
): Promise<{ approved: ApprovedBaseline; etag: string } | null> {
  const stored = await store.read('state', artifactNames.approved(vmKey));
  return stored === null
    ? null
    : { approved: parseDocument(stored.bytes) as unknown as ApprovedBaseline, etag: stored.etag };
}

/**
 * Makes a snapshot the approved baseline, unless a later one is approved already: two baseline runs at once, or an
 * activity that runs twice, end with the newest capture. Errors: `STATE_CONTENDED`.
 */
export async function approveBaseline(
  store: SnapshotStore,
  vmKey: string,
  snapshot: Snapshot,
  sha256: string,
): Promise<void> {
  for (let attempt = 0; attempt < REPLACE_ATTEMPTS; attempt += 1) {
    const current = await readApproved(store, vmKey);
    if (current !== null && current.approved.snapshot_at >= snapshot.snapshot_at) return;
    const approved: ApprovedBaseline = {
      schema_version: 1,
      session_id: snapshot.session_id,
      sha256,
      snapshot_at: snapshot.snapshot_at,
      previous: current?.approved.session_id ?? null,
    };
    const bytes = documentBytes(approved);
    if ((await store.replace('state', artifactNames.approved(vmKey), bytes, current?.etag ?? null)) === 'replaced')
      return;
  }
  throw new OperationError(
    'STATE_CONTENDED',
    artifactNames.approved(vmKey),
    `lost ${REPLACE_ATTEMPTS} races to write it`,
    {
      retryable: true,
      nextStep: 'is something else approving baselines of this VM all the time?',
    },
  );
}
