import { gunzipSync } from 'node:zlib';
import { artifactNames } from '../core/artifact-names.ts';
import {
  approvedGone,
  parseDocument,
  sha256Hex,
  snapshotGone,
  verifySnapshotBytes,
} from '../core/baseline/integrity.ts';
import { isReferenceSnapshot, readReferenceSnapshot } from '../core/baseline/reference-snapshot.ts';
import type { Snapshot } from '../core/baseline/snapshot.ts';
import { PAYLOAD_BYTES_MAX } from '../core/capture/assemble.ts';
import type { ComparedSide } from '../core/drift/drift-document.ts';
import { IntegrityError, OperationError } from '../core/errors.ts';
import { type HostFirewall, readHostFirewall } from '../core/host-firewall.ts';
import { isJsonObject, type Json } from '../core/json.ts';
import type { SnapshotStore } from '../core/ports.ts';

/**
 * A baseline, verified before a byte of it is believed. Null when there is none.
 *
 * @param noted    the digest that was approved, where one was
 * @param current  what it will be compared with: a baseline of the Python reference holds no raw capture, and is read as
 *                 far as it can be told apart from this
 * Errors: IntegrityError; OperationError `BASELINE_FORMAT` for bytes that verify and are no snapshot
 */
export async function readBaseline(
  store: SnapshotStore,
  vmKey: string,
  sessionId: string,
  noted: string | null,
  current: HostFirewall,
): Promise<ComparedSide | null> {
  const name = artifactNames.snapshot(vmKey, sessionId);
  const [stored, companion] = await Promise.all([
    store.read('baselines', name),
    store.read('baselines', artifactNames.companion(vmKey, sessionId)),
  ]);
  if (stored === null) {
    if (companion !== null) throw snapshotGone(name);
    if (noted === null) return null;
    throw approvedGone(name);
  }
  const sha256 = verifySnapshotBytes(name, stored.bytes, companion?.bytes ?? null, noted);
  const document = parseSnapshot(name, stored.bytes);
  if (document['session_id'] !== sessionId) {
    throw new IntegrityError('BASELINE_TAMPERED', name, 'it verifies, and is the snapshot of another session');
  }
  if (isReferenceSnapshot(document)) {
    const firewall = readReferenceSnapshot(name, document, current);
    return { snapshot: document as unknown as Snapshot, sha256, firewall };
  }
  const snapshot = document as unknown as Snapshot;
  return { snapshot, sha256, firewall: readHostFirewall(rawCapture(name, snapshot)) };
}

/** The snapshot of verified bytes. Errors: `BASELINE_FORMAT`. */
export function parseSnapshot(name: string, bytes: Uint8Array): { readonly [key: string]: Json } {
  let value: Json;
  try {
    value = parseDocument(bytes);
  } catch (cause) {
    throw new OperationError('BASELINE_FORMAT', name, 'its digest is good, and it is not JSON', { cause });
  }
  if (!isJsonObject(value) || typeof value['session_id'] !== 'string' || !isJsonObject(value['rulesets'])) {
    throw new OperationError('BASELINE_FORMAT', name, 'its digest is good, and it is not a snapshot');
  }
  return value;
}

function rawCapture(name: string, { capture }: Snapshot): Uint8Array {
  let payload: Uint8Array;
  try {
    payload = gunzipSync(Buffer.from(capture.raw, 'base64'), { maxOutputLength: PAYLOAD_BYTES_MAX });
  } catch {
    throw new IntegrityError('BASELINE_TAMPERED', name, 'the raw capture inside does not unpack');
  }
  if (sha256Hex(payload) !== capture.sha256) {
    throw new IntegrityError('BASELINE_TAMPERED', name, 'the raw capture inside is not the one its digest names');
  }
  return payload;
}
