import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, lstat, mkdir, open, realpath, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { printable } from '../core/diagnostics.ts';
import { OperationError } from '../core/errors.ts';
import { makeFolder } from './make-folder.ts';

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants;

/**
 * Writes a new file: complete under its name or not there at all, on disk when this returns. The name is taken by
 * link(2), which refuses one that is taken already, whatever lies there.
 */
export async function createFile(root: string, path: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
  const folder = (await plainFolder(root, dirname(path) === '.' ? '' : dirname(path), 'made')) ?? root;
  const target = join(folder, path.slice(path.lastIndexOf('/') + 1));
  const temporary = join(folder, `.writing-${randomBytes(12).toString('hex')}`);
  try {
    const file = await open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await link(temporary, target);
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return 'exists';
    throw storeError(target, error);
  } finally {
    // It is missing when it could not be made, and then that error is on its way.
    await unlink(temporary).catch(() => undefined);
  }
  await syncFolder(folder);
  return 'created';
}

/** A file's bytes; null when it, or a folder on the way, is not there. Errors: `STORE_NOT_PLAIN` for links and devices. */
export async function readPlainFile(root: string, path: string): Promise<Uint8Array | null> {
  const folder = await plainFolder(root, dirname(path) === '.' ? '' : dirname(path), 'as-it-is');
  if (folder === null) return null;
  const full = join(folder, path.slice(path.lastIndexOf('/') + 1));
  let file: FileHandle;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for its writer for ever.
    file = await open(full, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return null;
    throw codeOf(error) === 'ELOOP' ? notPlain(full, 'a symbolic link') : storeError(full, error);
  }
  try {
    if (!(await file.stat()).isFile()) throw notPlain(full, 'no regular file');
    return new Uint8Array(await file.readFile());
  } catch (error) {
    throw error instanceof OperationError ? error : storeError(full, error);
  } finally {
    await file.close();
  }
}

/**
 * The real path of a folder below the root, every step of which is a directory of its own and no symbolic link: nothing
 * inside a root leads out of it. The root itself may be a link; it is the user's word.
 *
 * @param want `made`: with mode 0700 where it is missing; `as-it-is`: null where it is missing
 */
export async function plainFolder(root: string, folder: string, want: 'made' | 'as-it-is'): Promise<string | null> {
  try {
    if (want === 'made') makeFolder(resolve(root));
    let at = await realpath(root);
    for (const segment of folder === '' ? [] : folder.split('/')) {
      at = join(at, segment);
      if (want === 'made') {
        await mkdir(at, 0o700).catch((error: unknown) => {
          if (codeOf(error) !== 'EEXIST') throw error;
        });
      }
      const found = await lstat(at);
      if (found.isSymbolicLink()) throw notPlain(at, 'a symbolic link');
      if (!found.isDirectory()) throw notPlain(at, 'no directory');
    }
    return at;
  } catch (error) {
    if (error instanceof OperationError) throw error;
    if (want === 'as-it-is' && codeOf(error) === 'ENOENT') return null;
    throw storeError(join(root, folder), error);
  }
}

/** A name is safe from a power cut only when its folder is; some file systems cannot say so, and are taken at their best. */
async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, O_RDONLY | O_DIRECTORY);
    await handle.sync().finally(() => handle.close());
  } catch (error) {
    if (codeOf(error) !== 'EINVAL' && codeOf(error) !== 'EPERM') throw storeError(folder, error);
  }
}

function notPlain(path: string, what: string): OperationError {
  return new OperationError('STORE_NOT_PLAIN', printable(path), `there is ${what} where a document belongs`, {
    nextStep: 'look at who put it there; documents are read from plain files and folders alone',
  });
}

const NEXT_STEPS: Readonly<Record<string, string>> = {
  EACCES: 'use a directory that you may write to',
  EPERM: 'use a directory that you may write to, on a file system with hard links',
  EROFS: 'use a directory that is not mounted read-only',
  ENOSPC: 'free some space there',
  EDQUOT: 'free some space there',
  ENOTSUP: 'use a directory on a file system with hard links',
  EOPNOTSUPP: 'use a directory on a file system with hard links',
  ENAMETOOLONG: 'use a shorter name',
  ENOTDIR: 'there is a file where a directory is needed',
};

export function storeError(path: string, cause: unknown): OperationError {
  const code = codeOf(cause);
  const denied = code === 'EACCES' || code === 'EPERM' || code === 'EROFS';
  return new OperationError(denied ? 'STORE_DENIED' : 'STORE_FAILED', printable(path), `the file system said ${code}`, {
    nextStep: NEXT_STEPS[code] ?? '',
    cause,
  });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? String(error);
}
