import { readApproved } from '../activities/approved-baseline.ts';
import { artifactNames } from '../core/artifact-names.ts';
import { approvedGone, snapshotGone, verifySnapshotBytes } from '../core/baseline/integrity.ts';
import { SESSION_ID } from '../core/baseline/session-id.ts';
import type { SnapshotStore, StoreArea } from '../core/ports.ts';
import { VM_KEY } from '../core/vm-id.ts';
import { answering } from './errors.ts';
import type { ApiRequest, HttpResponseInit } from './http.ts';
import { problem } from './problem.ts';

/** `GET /api/v1/vms/{vm_key}/snapshots/{session_id}`: a snapshot's exact bytes, once they have verified. */
export function getSnapshot(request: ApiRequest, store: SnapshotStore): Promise<HttpResponseInit> {
  return answering(async () => {
    const named = names(request);
    if ('response' in named) return named.response;
    const { vmKey, sessionId } = named;
    // Baselines lie in an area of their own; a drift run's snapshots lie beside their drift documents.
    for (const area of ['baselines', 'reports'] satisfies StoreArea[]) {
      const name = artifactNames.snapshot(vmKey, sessionId);
      const snapshot = await store.read(area, name);
      const companion = await store.read(area, artifactNames.companion(vmKey, sessionId));
      const approved = area === 'baselines' ? await readApproved(store, vmKey) : null;
      const noted = approved?.session_id === sessionId ? approved.sha256 : null;
      if (snapshot === null && companion !== null) throw snapshotGone(name);
      if (snapshot === null && noted !== null) throw approvedGone(name);
      if (snapshot === null) continue;
      const digest = verifySnapshotBytes(name, snapshot.bytes, companion?.bytes ?? null, noted);
      return immutable(request, snapshot.bytes, digest);
    }
    return problem(404, 'SNAPSHOT_MISSING', 'No such snapshot', 'this VM has no snapshot of this session');
  });
}

/** `GET /api/v1/vms/{vm_key}/drifts/{session_id}` */
export function getDrift(request: ApiRequest, store: SnapshotStore): Promise<HttpResponseInit> {
  return answering(async () => {
    const named = names(request);
    if ('response' in named) return named.response;
    const drift = await store.read('reports', artifactNames.drift(named.vmKey, named.sessionId));
    if (drift === null)
      return problem(404, 'DRIFT_MISSING', 'No such drift document', 'this VM has no comparison of this session');
    return { status: 200, headers: { 'content-type': 'application/json' }, body: drift.bytes };
  });
}

function immutable(request: ApiRequest, bytes: Uint8Array, digest: string): HttpResponseInit {
  const headers = {
    'content-type': 'application/json',
    etag: `"sha256-${digest}"`,
    'cache-control': 'private, max-age=31536000, immutable',
  };
  if (request.headers.get('if-none-match') === headers.etag) return { status: 304, headers };
  return { status: 200, headers, body: bytes };
}

function names(request: ApiRequest): { vmKey: string; sessionId: string } | { response: HttpResponseInit } {
  const vmKey = request.params['vm_key'] ?? '';
  const sessionId = request.params['session_id'] ?? '';
  if (!VM_KEY.test(vmKey))
    return { response: problem(400, 'CONFIG_VM_KEY', 'Not a VM key', 'as vm_key in a run report') };
  if (!SESSION_ID.test(sessionId)) {
    return { response: problem(400, 'CONFIG_SESSION_ID', 'Not a session id', 'letters, digits, _ and -, 1 to 64') };
  }
  return { vmKey, sessionId };
}
