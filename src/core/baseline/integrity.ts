import { createHash } from 'node:crypto';
import { IntegrityError } from '../errors.ts';
import type { Json } from '../json.ts';

/** The exact bytes of a stored document: JSON, two spaces, UTF-8, a final newline. Digests are taken over these. */
export function documentBytes(document: unknown): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify(document, null, 2)}\n`);
}

/** The document of stored bytes. Errors: SyntaxError when they are not JSON. */
export function parseDocument(bytes: Uint8Array): Json {
  return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json;
}

export function sha256Hex(bytes: Uint8Array | string): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** The companion's text: the hex digest and a newline. */
export function companionText(digest: string): string {
  return `${digest}\n`;
}

/** A companion is written before its snapshot and removed by nothing: alone, it tells of a snapshot that was there. */
export function snapshotGone(name: string): IntegrityError {
  const what = 'its companion is there and it is not: it was removed, or never written to the end';
  return new IntegrityError('BASELINE_TAMPERED', name, what);
}

/** It was approved, so it was there: gone is tampered with, not "never recorded". */
export function approvedGone(name: string): IntegrityError {
  return new IntegrityError('BASELINE_TAMPERED', name, 'the approved baseline is no longer there');
}

/**
 * Checks a stored snapshot against its companion, and against the digest that was noted when it was approved where one
 * was: who can write both files can write neither the pointer nor the past reports.
 *
 * @param name       the snapshot's name, for the message
 * @param companion  the companion's bytes; null when there is none
 * @param noted      hex digest from the approved-baseline pointer; null when there is none
 * @returns          the verified hex digest
 * Errors: IntegrityError `BASELINE_COMPANION_MISSING` or `BASELINE_TAMPERED`; the message shows the first 16 hex
 * characters of what was stored and of what was computed.
 */
export function verifySnapshotBytes(
  name: string,
  bytes: Uint8Array,
  companion: Uint8Array | null,
  noted: string | null = null,
): string {
  if (companion === null) {
    throw new IntegrityError(
      'BASELINE_COMPANION_MISSING',
      name,
      'its SHA-256 companion is missing: removed, or the snapshot was not written by this tool',
    );
  }
  const stored = new TextDecoder().decode(companion).trim();
  const computed = sha256Hex(bytes);
  if (!/^[0-9a-f]{64}$/.test(stored)) {
    throw new IntegrityError(
      'BASELINE_TAMPERED',
      name,
      `its companion holds no SHA-256 digest; computed ${computed.slice(0, 16)}`,
    );
  }
  if (stored !== computed) {
    throw new IntegrityError(
      'BASELINE_TAMPERED',
      name,
      `stored sha256 ${stored.slice(0, 16)}, computed ${computed.slice(0, 16)}`,
    );
  }
  if (noted !== null && noted !== computed) {
    throw new IntegrityError(
      'BASELINE_TAMPERED',
      name,
      `snapshot and companion agree, but sha256 ${noted.slice(0, 16)} was approved and ${computed.slice(0, 16)} is there now`,
    );
  }
  return computed;
}
