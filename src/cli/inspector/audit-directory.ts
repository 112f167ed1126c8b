import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { artifactNames } from '../../core/artifact-names.ts';
import { snapshotGone, verifySnapshotBytes } from '../../core/baseline/integrity.ts';
import { printable } from '../../core/diagnostics.ts';
import { OperationError } from '../../core/errors.ts';
import { DirectorySnapshotStore } from '../../directory/directory-store.ts';
import { flatLayout } from '../../directory/layout.ts';

/** The first segment of names, which the flat layout leaves out: a directory holds the sessions of whatever hosts. */
export const HOST = 'host';

/** The artifacts that a session has. */
export interface Session {
  readonly id: string;
  readonly hasSnapshot: boolean;
  readonly hasCompanion: boolean;
  /** It was a comparison, then; else its snapshot is a baseline. */
  readonly hasDrift: boolean;
  /** When its newest artifact was written, ms since the epoch. */
  readonly writtenAt: number;
}

const NEWEST_NAMED = 5;

/** AUDIT_DIR: the artifacts of sessions, flat, under the names of the Python reference. */
export class AuditDirectory {
  readonly path: string;
  readonly store: DirectorySnapshotStore;

  constructor(path: string) {
    this.path = path;
    this.store = new DirectorySnapshotStore(path, flatLayout(HOST));
  }

  /** Newest first. A directory that is not there has none. Errors: `STORE_DENIED`. */
  sessions(): Session[] {
    let names: string[];
    try {
      names = readdirSync(this.path);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === 'ENOENT') return [];
      throw new OperationError('STORE_DENIED', printable(this.path), `the file system said ${code}`, {
        nextStep: 'give a directory that you may read with --audit-dir',
        cause,
      });
    }
    const sessions = new Map<string, Session>();
    for (const name of names) {
      const found = ARTIFACT.exec(name);
      const id = found?.[1];
      if (found === null || id === undefined) continue;
      const known = sessions.get(id) ?? { id, hasSnapshot: false, hasCompanion: false, hasDrift: false, writtenAt: 0 };
      sessions.set(id, {
        id,
        hasSnapshot: known.hasSnapshot || found[2] === 'snapshot.json',
        hasCompanion: known.hasCompanion || found[2] === 'snapshot.json.sha256',
        hasDrift: known.hasDrift || found[2] === 'drift.json',
        writtenAt: Math.max(known.writtenAt, this.#writtenAt(name)),
      });
    }
    return [...sessions.values()].sort((a, b) => b.writtenAt - a.writtenAt || (a.id < b.id ? 1 : -1));
  }

  /** Ids of the newest baselines, for who named one that is not there. */
  newestBaselines(): string[] {
    return this.sessions()
      .filter(({ hasSnapshot, hasDrift }) => hasSnapshot && !hasDrift)
      .slice(0, NEWEST_NAMED)
      .map(({ id }) => id);
  }

  /**
   * A snapshot's exact bytes and their verified digest.
   *
   * Errors: IntegrityError, for a companion without its snapshot too; `BASELINE_NOT_FOUND` with the newest ids.
   */
  async readVerified(sessionId: string): Promise<{ readonly bytes: Uint8Array; readonly sha256: string }> {
    const name = artifactNames.snapshot(HOST, sessionId);
    const [snapshot, companion] = await Promise.all([
      this.store.read('baselines', name),
      this.store.read('baselines', artifactNames.companion(HOST, sessionId)),
    ]);
    if (snapshot === null)
      throw companion === null ? baselineNotFound(sessionId, this) : snapshotGone(this.pathOf(name));
    const sha256 = verifySnapshotBytes(this.pathOf(name), snapshot.bytes, companion?.bytes ?? null);
    return { bytes: snapshot.bytes, sha256 };
  }

  /** A document's path, for people. */
  pathOf(name: string): string {
    return join(this.path, name.slice(HOST.length + 1));
  }

  #writtenAt(name: string): number {
    // It may have gone since it was listed.
    return statSync(join(this.path, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
  }
}

const ARTIFACT = /^([A-Za-z0-9_-]{1,64})_(snapshot\.json|snapshot\.json\.sha256|drift\.json)$/;

export function baselineNotFound(sessionId: string, directory: AuditDirectory): OperationError {
  const newest = directory.newestBaselines();
  return new OperationError(
    'BASELINE_NOT_FOUND',
    sessionId,
    `no baseline of this session in ${printable(directory.path)}`,
    {
      nextStep:
        newest.length === 0
          ? 'there is none at all: record one with --is-baseline'
          : `the newest are ${newest.join(', ')}; or record one with --is-baseline`,
    },
  );
}
