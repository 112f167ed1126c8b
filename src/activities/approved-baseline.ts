import { artifactNames } from '../core/artifact-names.ts';
import { documentBytes, parseDocument } from '../core/baseline/integrity.ts';
import { SESSION_ID } from '../core/baseline/session-id.ts';
import type { Snapshot } from '../core/baseline/snapshot.ts';
import { IntegrityError, OperationError } from '../core/errors.ts';
import { isJsonObject, type Json } from '../core/json.ts';
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
const ISO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/;
/** How far the clocks of two workers may lie apart. */
const CLOCK_SKEW_MS = 5 * 60_000;

/** Errors: IntegrityError when what lies there is not what `approveBaseline` writes. */
export async function readApproved(store: SnapshotStore, vmKey: string): Promise<ApprovedBaseline | null> {
  const stored = await readPointer(store, vmKey);
  if (stored !== null && stored.approved === null) {
    const name = artifactNames.approved(vmKey);
    throw new IntegrityError('BASELINE_TAMPERED', name, 'it does not say which baseline is approved, nor its digest');
  }
  return stored?.approved ?? null;
}

async function readPointer(
  store: SnapshotStore,
  vmKey: string,
): Promise<{ approved: ApprovedBaseline | null; etag: string } | null> {
  const stored = await store.read('state', artifactNames.approved(vmKey));
  return stored === null ? null : { approved: parsePointer(stored.bytes), etag: stored.etag };
}

function parsePointer(bytes: Uint8Array): ApprovedBaseline | null {
  let value: Json;
  try {
    value = parseDocument(bytes);
  } catch {
    return null;
  }
  if (!isJsonObject(value)) return null;
  const { session_id: sessionId, sha256, snapshot_at: at } = value;
  const ok =
    typeof sessionId === 'string' &&
    SESSION_ID.test(sessionId) &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256) &&
    typeof at === 'string' &&
    ISO_TIME.test(at);
  return ok ? (value as unknown as ApprovedBaseline) : null;
}

/**
 * Makes a snapshot the approved baseline, unless a later one is approved already: two baseline runs at once, or an
 * activity that runs twice, end with the newest capture. A pointer that cannot be read is replaced, and so is one from the
 * future, which no new baseline would ever be later than: a new baseline is the way out. Errors: `STATE_CONTENDED`.
 */
export async function approveBaseline(
  store: SnapshotStore,
  vmKey: string,
  snapshot: Snapshot,
  sha256: string,
  now: Date,
): Promise<void> {
  const latest = new Date(now.getTime() + CLOCK_SKEW_MS).toISOString();
  for (let attempt = 0; attempt < REPLACE_ATTEMPTS; attempt += 1) {
    const current = await readPointer(store, vmKey);
    const before = current?.approved ?? null;
    const isLater = before !== null && before.snapshot_at >= snapshot.snapshot_at;
    if (isLater && before.snapshot_at <= latest) return;
    const approved: ApprovedBaseline = {
      schema_version: 1,
      session_id: snapshot.session_id,
      sha256,
      snapshot_at: snapshot.snapshot_at,
      previous: before?.session_id ?? null,
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
