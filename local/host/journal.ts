import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { applyChange, type Change, changesOf, emptyState, type HostState } from './instances.ts';
import { errorText } from './log.ts';

/**
 * The state on disk: one file, one line per transaction, each a JSON array of changes that count together or not at all.
 *
 * A transaction is written, in one synchronous call, before anything outside can see its effect, so a host that is
 * killed at any moment loses nothing it has promised; the line it may have been writing is cut off at the next start.
 * (It is not synced to the disk each time: this survives the process, not a power failure.) The file is rewritten to
 * what still counts at each start and whenever it has outgrown that. One host per directory.
 */
export class Journal {
  readonly state: HostState = emptyState();
  readonly #file: string | null;
  #descriptor = -1;
  #bytes = 0;
  #rewriteAtBytes = 0;

  /** @param directory  made where missing; null keeps the state in memory only */
  constructor(directory: string | null) {
    this.#file = directory === null ? null : join(directory, 'journal.jsonl');
    if (directory === null || this.#file === null) return;
    mkdirSync(directory, { recursive: true });
    if (existsSync(this.#file)) this.#load(readFileSync(this.#file));
    this.#rewrite();
  }

  /** Writes the changes as one transaction and applies them. */
  commit(changes: readonly Change[]): void {
    if (this.#descriptor >= 0) this.#write(Buffer.from(`${JSON.stringify(changes)}\n`));
    for (const change of changes) applyChange(this.state, change);
    if (this.#descriptor >= 0 && this.#bytes > this.#rewriteAtBytes) this.#rewrite();
  }

  close(): void {
    if (this.#descriptor >= 0) closeSync(this.#descriptor);
    this.#descriptor = -1;
  }

  #load(content: Buffer): void {
    let start = 0;
    for (let line = 1; ; line++) {
      const end = content.indexOf(0x0a, start);
      if (end < 0) return;
      try {
        const changes = JSON.parse(content.toString('utf8', start, end)) as Change[];
        for (const change of changes) applyChange(this.state, change);
      } catch (error) {
        throw new Error(`${this.#file}: line ${line} is damaged: ${errorText(error)}`, { cause: error });
      }
      start = end + 1;
    }
  }

  /** Written beside and renamed, so that there is a whole journal at every moment. */
  #rewrite(): void {
    if (this.#file === null) return;
    this.close();
    const next = `${this.#file}.next`;
    this.#descriptor = openSync(next, 'w');
    this.#bytes = 0;
    for (const change of changesOf(this.state)) this.#write(Buffer.from(`${JSON.stringify([change])}\n`));
    fsyncSync(this.#descriptor);
    renameSync(next, this.#file);
    this.#rewriteAtBytes = Math.max(rewriteMinBytes, 4 * this.#bytes);
  }

  #write(bytes: Buffer): void {
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(this.#descriptor, bytes, written, bytes.length - written);
    }
    this.#bytes += bytes.length;
  }
}

const rewriteMinBytes = 64 * 1024 * 1024;
