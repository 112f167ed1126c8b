import type { VmPlace } from '../core/artifact-names.ts';
import { artifactNames } from '../core/artifact-names.ts';
import { documentBytes, parseDocument } from '../core/baseline/integrity.ts';
import type { OutcomeSummary, RunRequest, VmOutcome, VmTarget } from '../core/contracts.ts';
import { OperationError } from '../core/errors.ts';
import type { SnapshotStore, StoreArea } from '../core/ports.ts';

/**
 * Writes a document once. A second run of the same activity finds its own bytes and goes on; other bytes under the
 * same name are a conflict, said aloud, and stay what they are.
 *
 * Errors: `STORE_CONFLICT`.
 */
export async function createOnce(
  store: SnapshotStore,
  area: StoreArea,
  name: string,
  bytes: Uint8Array,
): Promise<void> {
  if ((await store.create(area, name, bytes)) === 'created') return;
  const stored = await store.read(area, name);
  if (stored !== null && Buffer.compare(stored.bytes, bytes) === 0) return;
  throw new OperationError('STORE_CONFLICT', `${area}/${name}`, 'other bytes are stored under this name already', {
    nextStep: 'use a new session id; nothing was written over',
  });
}

/** Errors: `STORE_MISSING` when it is not there, `STORE_CHANGED` when it is no JSON object or list. */
export async function readDocument<T>(store: SnapshotStore, area: StoreArea, name: string): Promise<T> {
  const stored = await store.read(area, name);
  if (stored === null) {
    throw new OperationError('STORE_MISSING', `${area}/${name}`, 'not there', {
      nextStep: 'was it deleted while the run went on?',
    });
  }
  return parseStored<T>(area, name, stored.bytes);
}

// The parser's own words quote what it read: signed addresses, a firewall.
function parseStored<T>(area: StoreArea, name: string, bytes: Uint8Array): T {
  let value: unknown;
  try {
    value = parseDocument(bytes);
  } catch {
    throw changed(area, name);
  }
  if (typeof value !== 'object' || value === null) throw changed(area, name);
  return value as T;
}

export function changed(area: StoreArea, name: string): OperationError {
  return new OperationError('STORE_CHANGED', `${area}/${name}`, 'it is not what was written there', {
    nextStep: `find out who can write to the container ${area}, then run again`,
  });
}

export function readRequest(store: SnapshotStore, runId: string): Promise<RunRequest> {
  return readDocument<RunRequest>(store, 'runs', artifactNames.runRequest(runId));
}

/** The listing of a run: written last by `listFleet`, so what it names is complete. */
export interface TargetsIndex {
  readonly listing: string;
  readonly vms: number;
  readonly pages: number;
}

export async function readTarget(store: SnapshotStore, runId: string, { page, index }: VmPlace): Promise<VmTarget> {
  const target = (await readTargetsPage(store, runId, page))[index];
  if (target === undefined)
    throw new OperationError('STORE_MISSING', `run ${runId}`, `no VM at page ${page}, place ${index}`);
  return target;
}

export async function readTargetsPage(store: SnapshotStore, runId: string, page: number): Promise<readonly VmTarget[]> {
  const { listing } = await readDocument<TargetsIndex>(store, 'runs', artifactNames.targetsIndex(runId));
  return readDocument<VmTarget[]>(store, 'runs', artifactNames.targetsPage(runId, listing, page));
}

/** Stores a VM's outcome. The first one stored stands: a retried activity answers with what was recorded. */
export async function recordOutcome(
  store: SnapshotStore,
  runId: string,
  place: VmPlace,
  outcome: VmOutcome,
): Promise<OutcomeSummary> {
  const name = artifactNames.outcome(runId, place);
  if ((await store.create('runs', name, documentBytes(outcome))) === 'created') return summarize(outcome);
  return summarize(await readDocument<VmOutcome>(store, 'runs', name));
}

/** Errors: `STORE_CHANGED` */
export async function readOutcome(store: SnapshotStore, runId: string, place: VmPlace): Promise<VmOutcome | null> {
  const name = artifactNames.outcome(runId, place);
  const stored = await store.read('runs', name);
  if (stored === null) return null;
  const outcome = parseStored<VmOutcome>('runs', name, stored.bytes);
  if (typeof outcome.vm_id !== 'string' || typeof outcome.coverage !== 'string') throw changed('runs', name);
  return outcome;
}

export function summarize(outcome: VmOutcome): OutcomeSummary {
  return {
    verdict: outcome.verdict,
    coverage: outcome.coverage,
    integrity: outcome.integrity,
    baselined: outcome.baselined,
    critical: outcome.drift?.has_critical_changes === true,
  };
}
