import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * Makes a folder of mode 0700, and its parents, where they are missing. Not mkdir's own `recursive`: below /proc, where
 * folders cannot be made, Node never comes back from it.
 *
 * @param path  absolute
 */
export function makeFolder(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    // What is no folder is found out when a file is opened in it.
    if (code === 'EEXIST') return;
    if (code !== 'ENOENT' || existsSync(dirname(path))) throw cause;
    makeFolder(dirname(path));
    makeFolder(path);
  }
}
