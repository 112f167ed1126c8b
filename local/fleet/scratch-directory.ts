import { mkdirSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FLEET_PREFIX, isLeftOver } from './run-identity.ts';

export interface ScratchDirectory {
  readonly path: string;
  /** Deletes it with all that is in it; may be called twice. */
  remove(): void;
}

/** A directory of a run's own in the system's temporary one; also deletes those of runs that died. */
export function makeScratchDirectory(runName: string): ScratchDirectory {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(FLEET_PREFIX) || !isLeftOver(name)) continue;
    try {
      rmSync(join(tmpdir(), name), { recursive: true, force: true });
    } catch {
      // another user's: theirs to delete
    }
  }
  const path = join(tmpdir(), runName);
  mkdirSync(path, { mode: 0o755 });
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
