import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The checkout, from the sources and from their compiled form alike: the fleet's files are read from it, not compiled. */
export const repositoryRoot: string = findRoot(import.meta.dirname);

/** Rule files, recordings and shims of the demo fleet. */
export const fleetFiles: string = join(repositoryRoot, 'local', 'fleet');

function findRoot(start: string): string {
  let directory = start;
  while (!existsSync(join(directory, 'package-lock.json'))) {
    const parent = dirname(directory);
    if (parent === directory) throw new Error(`no package-lock.json above ${start}`);
    directory = parent;
  }
  return directory;
}
