import { gunzipSync, gzipSync } from 'node:zlib';
import { artifactNames } from '../core/artifact-names.ts';
import { companionText, documentBytes, sha256Hex } from '../core/baseline/integrity.ts';
import { buildSnapshot, type SnapshotOrigin } from '../core/baseline/snapshot.ts';
import { assembleCapture } from '../core/capture/assemble.ts';
import { reasonTexts } from '../core/capture/coverage.ts';
import type { Slice } from '../core/capture/slice.ts';
import type { ComparedSide } from '../core/drift/drift-document.ts';
import { type HostFirewall, readHostFirewall } from '../core/host-firewall.ts';
import type { SnapshotStore, StoreArea } from '../core/ports.ts';
import { createOnce } from './documents.ts';

/** A capture that verified and was parsed, not yet stored. */
export interface TakenSnapshot {
  readonly ok: true;
  readonly side: ComparedSide;
  /** The exact bytes to store; `side.sha256` is their digest. */
  readonly bytes: Uint8Array;
  readonly slices: number;
}

/** Why slices are not a snapshot: they do not verify, or nothing of the firewall could be read. */
export interface RefusedSnapshot {
  readonly ok: false;
  readonly reason: 'bad_envelope' | 'nothing_read';
  readonly code: string;
  readonly message: string;
}

/**
 * Verifies a capture's slices, parses them, and builds the snapshot.
 *
 * @param view  what of the host is looked at; everything, when left out
 */
export function takeSnapshot(
  slices: readonly Slice[],
  origin: Omit<SnapshotOrigin, 'raw'>,
  view: (firewall: HostFirewall) => HostFirewall = (firewall) => firewall,
): TakenSnapshot | RefusedSnapshot {
  const assembled = assembleCapture(slices, (bytes, maxOutputLength) => gunzipSync(bytes, { maxOutputLength }));
  if (!assembled.ok) {
    return { ok: false, reason: 'bad_envelope', code: assembled.code, message: assembled.message };
  }
  const { capture } = assembled;
  const firewall = view(readHostFirewall(capture.payload));
  // Nothing read is no ruleset: it must never become a baseline, nor be compared with one.
  if (firewall.coverage.state === 'failed') {
    const message = reasonTexts(firewall.coverage).join('; ');
    return { ok: false, reason: 'nothing_read', code: 'PROBE_NOTHING_READ', message };
  }
  const raw = capture.rawGzipBase64 ?? gzipSync(capture.payload).toString('base64');
  const snapshot = buildSnapshot(capture, firewall, { ...origin, raw });
  const bytes = documentBytes(snapshot);
  return { ok: true, side: { snapshot, sha256: sha256Hex(bytes), firewall }, bytes, slices: capture.slices };
}

/**
 * Stores a snapshot and its companion, create-only. The companion first: a snapshot without one is tamper evidence, and
 * a process may die between the two.
 *
 * Errors: `STORE_CONFLICT` when the session has other bytes already.
 */
export async function storeSnapshot(
  store: SnapshotStore,
  area: StoreArea,
  vmKey: string,
  { side, bytes }: TakenSnapshot,
): Promise<void> {
  const sessionId = side.snapshot.session_id;
  const companion = new TextEncoder().encode(companionText(side.sha256));
  await createOnce(store, area, artifactNames.companion(vmKey, sessionId), companion);
  await createOnce(store, area, artifactNames.snapshot(vmKey, sessionId), bytes);
}
