import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SnapshotStore, StoreArea, StoredDocument } from '../core/ports.ts';
import { checkArtifactName } from '../core/store-names.ts';
import { areaFolders, type DirectoryLayout } from './layout.ts';
import { createFile, plainFolder, readPlainFile, storeError } from './plain-files.ts';

/**
 * Documents as files below one directory, for the CLI's AUDIT_DIR. Files are 0600 and folders 0700; a file appears with
 * all its bytes or not at all, and is never opened for writing again.
 *
 * A document of `state` is a row of files `{name}@1`, `{name}@2`, …, of which the last one counts: replacing is creating
 * the next, and of two that try one is told that it exists. So there is no lock that a crash could leave behind, and
 * what was approved when stays on record. No name has an `@`, so none is taken for another's.
 *
 * Errors: `STORE_NAME`, `STORE_NOT_PLAIN`, `STORE_DENIED`, `STORE_FAILED`.
 */
export class DirectorySnapshotStore implements SnapshotStore {
  readonly #root: string;
  readonly #layout: DirectoryLayout;

  /** @param root made when the first document is written, its parents with it */
  constructor(root: string, layout: DirectoryLayout = areaFolders) {
    this.#root = root;
    this.#layout = layout;
  }

  async create(area: StoreArea, name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    const path = this.#pathOf(area, name);
    if (area !== 'state') return createFile(this.#root, path, bytes);
    return (await this.replace(area, name, bytes, null)) === 'replaced' ? 'created' : 'exists';
  }

  async read(area: StoreArea, name: string): Promise<StoredDocument | null> {
    const path = this.#pathOf(area, name);
    const version = area === 'state' ? await this.#lastVersion(path) : null;
    if (version === 0) return null;
    const bytes = await readPlainFile(this.#root, version === null ? path : versionPath(path, version));
    return bytes === null ? null : { bytes, etag: etagOf(bytes, version) };
  }

  async replace(area: 'state', name: string, bytes: Uint8Array, etag: string | null): Promise<'replaced' | 'conflict'> {
    const path = this.#pathOf(area, name);
    const version = await this.#lastVersion(path);
    if (version === 0 ? etag !== null : etag === null) return 'conflict';
    if (version > 0) {
      const present = await readPlainFile(this.#root, versionPath(path, version));
      if (present === null || etagOf(present, version) !== etag) return 'conflict';
    }
    const made = await createFile(this.#root, versionPath(path, version + 1), bytes);
    return made === 'created' ? 'replaced' : 'conflict';
  }

  async *list(area: StoreArea, prefix: string): AsyncIterable<string> {
    const { folder, deep } = this.#layout.folderOf(area, prefix);
    if (folder !== '') checkArtifactName(folder);
    const names = new Set<string>();
    for await (const path of this.#files(folder, deep)) {
      const name = this.#layout.nameOf(area, area === 'state' ? path.replace(VERSION, '') : path);
      if (name?.startsWith(prefix)) names.add(name);
    }
    yield* [...names].sort();
  }

  #pathOf(area: StoreArea, name: string): string {
    checkArtifactName(name);
    const path = this.#layout.pathOf(area, name);
    checkArtifactName(path);
    return path;
  }

  /** 0 when there is none. */
  async #lastVersion(path: string): Promise<number> {
    const slash = path.lastIndexOf('/');
    const file = path.slice(slash + 1);
    let last = 0;
    for await (const each of this.#files(path.slice(0, Math.max(slash, 0)), false)) {
      const found = VERSION.exec(each.slice(slash + 1));
      if (found !== null && each.slice(slash + 1, -found[0].length) === file) last = Math.max(last, Number(found[1]));
    }
    return last;
  }

  /** Files only, in no order; what begins with a dot is a write that did not end. */
  async *#files(folder: string, deep: boolean): AsyncIterable<string> {
    const full = await plainFolder(this.#root, folder, 'as-it-is');
    if (full === null) return;
    const entries = await readdir(full, { withFileTypes: true }).catch((error: unknown) => {
      throw storeError(join(this.#root, folder), error);
    });
    for (const entry of entries) {
      if (entry.name.startsWith('.')) continue;
      const path = folder === '' ? entry.name : `${folder}/${entry.name}`;
      if (entry.isFile()) yield path;
      else if (deep && entry.isDirectory()) yield* this.#files(path, deep);
    }
  }
}

const VERSION = /@([1-9]\d{0,14})$/;

function versionPath(path: string, version: number): string {
  return `${path}@${version}`;
}

function etagOf(bytes: Uint8Array, version: number | null): string {
  const digest = createHash('sha256').update(bytes).digest('hex');
  return version === null ? digest : `${version}-${digest}`;
}
