import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { invariant } from '../../core/errors.ts';

/** The text of probe/probe.sh of this package, from the sources and from the compiled files alike. */
export function readProbe(): string {
  for (let folder = import.meta.dirname; dirname(folder) !== folder; folder = dirname(folder)) {
    const path = join(folder, 'probe', 'probe.sh');
    if (existsSync(path)) return readFileSync(path, 'utf8');
  }
  invariant(false, 'probe/probe.sh is part of the package');
}
