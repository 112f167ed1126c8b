import { createOnce } from '../../activities/documents.ts';
import { readBaseline } from '../../activities/read-baseline.ts';
import { nextStepFor } from '../../activities/record-failure.ts';
import { storeSnapshot, type TakenSnapshot, takeSnapshot } from '../../activities/take-snapshot.ts';
import { artifactNames } from '../../core/artifact-names.ts';
import { documentBytes } from '../../core/baseline/integrity.ts';
import { sessionIdAt } from '../../core/baseline/session-id.ts';
import { probeScriptSha256 } from '../../core/capture/probe-script.ts';
import {
  buildDriftDocument,
  type ComparedSide,
  type DriftDocument,
  otherHost,
} from '../../core/drift/drift-document.ts';
import { OperationError } from '../../core/errors.ts';
import { usageError } from '../framework/errors.ts';
import { AuditDirectory, baselineNotFound, HOST } from './audit-directory.ts';
import { claimCommandsLog, commandsLog, commandsLogPath, openCommandsLog } from './commands-log.ts';
import { viewFamily } from './family-view.ts';
import { makeProvider } from './make-provider.ts';
import { readProbe } from './probe-file.ts';
import type { Provider } from './provider.ts';
import type { Family, Mode, Target } from './settings.ts';

/** What one inspection is asked to do. */
export interface InspectionRequest {
  readonly target: Target;
  readonly family: Family;
  readonly mode: Mode;
  /** Null makes one of the time. */
  readonly sessionId: string | null;
  readonly auditDir: string;
}

/** What an inspection is given of the world. */
export interface InspectionWorld {
  readonly env: NodeJS.ProcessEnv;
  readonly progress: (what: string) => void;
  readonly now: () => Date;
  readonly signal: AbortSignal;
}

/** What an inspection found and stored. */
export interface Inspection {
  readonly mode: Mode['kind'];
  readonly sessionId: string;
  readonly current: ComparedSide;
  readonly slices: number;
  /** Of a comparison. */
  readonly baseline: ComparedSide | null;
  readonly drift: DriftDocument | null;
  /** Paths; null for what was not stored. */
  readonly artifacts: { readonly snapshot: string | null; readonly drift: string | null; readonly log: string };
  readonly warnings: readonly string[];
}

/**
 * Reads one host's firewall, and stores and compares as asked. What can be refused without asking the host is: a used
 * session id, and a baseline that is not there or does not verify.
 *
 * Errors: OperationError (`PROBE_*`, `ARM_*`, `SSH_*`, `LOCAL_*`, `STORE_*`, `BASELINE_*`), IntegrityError
 */
export async function inspect(request: InspectionRequest, world: InspectionWorld): Promise<Inspection> {
  const directory = new AuditDirectory(request.auditDir);
  let verified: string | null = null;
  if (request.mode.kind === 'compare') {
    if (request.mode.baseline === request.sessionId) throw usageError('a session cannot be compared with itself');
    verified = (await directory.readVerified(request.mode.baseline)).sha256;
  }
  const provider = await makeProvider(request.target, world.env);
  const sessionId = claimSession(request.sessionId, directory, world.now);
  const taken = await takeFrom(provider, request, world, sessionId);
  const { side, slices } = taken;
  const found = {
    mode: request.mode.kind,
    sessionId,
    current: side,
    slices,
    baseline: null,
    drift: null,
    warnings: [],
  };
  const log = commandsLogPath(directory.path, sessionId);
  if (request.mode.kind === 'look') return { ...found, artifacts: { snapshot: null, drift: null, log } };

  world.progress('storing');
  await storeSnapshot(directory.store, request.mode.kind === 'baseline' ? 'baselines' : 'reports', HOST, taken);
  const snapshot = directory.pathOf(artifactNames.snapshot(HOST, sessionId));
  if (request.mode.kind === 'baseline') return { ...found, artifacts: { snapshot, drift: null, log } };

  // Verified once more: it may have been replaced, companion and all, while the host was asked.
  const read = await readBaseline(directory.store, HOST, request.mode.baseline, verified, side.firewall);
  if (read === null) throw baselineNotFound(request.mode.baseline, directory);
  const baseline = { ...read, firewall: viewFamily(read.firewall, request.family) };
  const drift = buildDriftDocument(baseline, side);
  const driftName = artifactNames.drift(HOST, sessionId);
  await createOnce(directory.store, 'reports', driftName, documentBytes(drift));
  return {
    ...found,
    baseline,
    drift,
    artifacts: { snapshot, drift: directory.pathOf(driftName), log },
    warnings: otherHost(baseline.snapshot, side.snapshot),
  };
}

async function takeFrom(
  provider: Provider,
  { auditDir, family }: InspectionRequest,
  { progress, now, signal }: InspectionWorld,
  sessionId: string,
): Promise<TakenSnapshot> {
  const probeText = readProbe();
  const log = commandsLog(auditDir, sessionId, now);
  const slices = await provider.capture({ probeText, progress, log, now, signal });
  progress('verifying and parsing');
  const origin = {
    target: provider.host,
    sessionId,
    capturedAt: now().toISOString(),
    probeScriptSha256: probeScriptSha256(probeText),
    family,
  };
  const taken = takeSnapshot(slices, origin, (firewall) => viewFamily(firewall, family));
  if (taken.ok) return taken;
  const { code, message, reason } = taken;
  throw new OperationError(code, provider.host.vm_name, message, { nextStep: nextStepFor(reason) });
}

const CLAIMS_MAX = 10;

/** A given id must have no artifacts yet; one made of the time moves on by seconds until it is nobody else's. */
function claimSession(given: string | null, directory: AuditDirectory, now: () => Date): string {
  const used = new Set(directory.sessions().map(({ id }) => id));
  if (given !== null) {
    if (!used.has(given)) {
      openCommandsLog(directory.path, given);
      return given;
    }
    throw new OperationError('STORE_CONFLICT', `session ${given}`, 'it has artifacts already', {
      nextStep: 'use a new session id; nothing was written over',
    });
  }
  for (let second = 0; second < CLAIMS_MAX; second += 1) {
    const id = sessionIdAt(new Date(now().getTime() + second * 1000));
    if (!used.has(id) && claimCommandsLog(directory.path, id)) return id;
  }
  throw new OperationError('STORE_CONFLICT', 'session id', `${CLAIMS_MAX} ids made of the time are all in use`, {
    nextStep: 'give one with --session-id',
    retryable: true,
  });
}
