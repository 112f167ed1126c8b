import { createHash } from 'node:crypto';
import { type ProbeRefusal, refusal } from './codes.ts';
import type { Slice } from './slice.ts';

/** A payload that verified: every byte the probe collected, none added. */
export interface Capture {
  /** The payload's exact bytes; `readCapture` reads them. */
  readonly payload: Uint8Array;
  /** Lower-case hex SHA-256 of `payload`. */
  readonly sha256: string;
  readonly bytes: number;
  readonly slices: number;
  readonly withCounters: boolean;
  readonly scriptVersion: number;
  /** When slice 1 was taken, by the VM's clock. */
  readonly probeTimeUtc: string;
  /** The payload as the VM compressed it; null when the VM had no gzip, and the caller compresses it. */
  readonly rawGzipBase64: string | null;
}

/** 64 MiB: some 100,000 rules in both listings. */
export const PAYLOAD_BYTES_MAX = 64 * 1024 * 1024;

/** How many missing slices a message names. */
const MISSING_NAMED_MAX = 10;

/**
 * Joins the slices of one capture, in any order, repeats allowed, and verifies the whole.
 *
 * @param gunzip decompresses to at most `bytesMax` bytes and throws on anything else; injected, since core has no zlib.
 *               A function of the bytes alone also fits, but then nothing bounds what hostile data can unpack to.
 * Errors:       never throws; `PROBE_CHANGED_BETWEEN_SLICES` means start again from slice 1.
 */
export function assembleCapture(
  slices: readonly Slice[],
  gunzip: (bytes: Uint8Array, bytesMax: number) => Uint8Array,
): { ok: true; capture: Capture } | ProbeRefusal {
  const [first] = slices;
  if (first === undefined) return refusal('PROBE_SLICE_MISSING', 'no slice at all');
  if (slices.some((slice) => !isOfSamePayload(slice, first))) {
    return refusal('PROBE_CHANGED_BETWEEN_SLICES', 'the firewall changed while it was read: the slices differ');
  }
  if (first.payloadBytes > PAYLOAD_BYTES_MAX || first.encodedBytes > PAYLOAD_BYTES_MAX * 2) {
    return refusal('PROBE_TOO_LARGE', `${first.payloadBytes} bytes; the limit is ${PAYLOAD_BYTES_MAX}`);
  }

  const bySlice = new Map<number, Slice>();
  for (const slice of slices) {
    if (slice.slice > first.slices) {
      return refusal('PROBE_SLICE_MISMATCH', `slice ${slice.slice} of ${first.slices}`);
    }
    const known = bySlice.get(slice.slice);
    if (known !== undefined && known.data !== slice.data) {
      return refusal('PROBE_CHANGED_BETWEEN_SLICES', `slice ${slice.slice} came twice, with different data`);
    }
    if (known === undefined) bySlice.set(slice.slice, slice);
  }
  if (bySlice.size < first.slices) {
    const missing: number[] = [];
    for (let number = 1; number <= first.slices && missing.length < MISSING_NAMED_MAX; number += 1) {
      if (!bySlice.has(number)) missing.push(number);
    }
    return refusal('PROBE_SLICE_MISSING', `${bySlice.size} of ${first.slices} slices; missing: ${missing.join(', ')}`);
  }

  const parts: string[] = [];
  for (let number = 1; number <= first.slices; number += 1) parts.push(bySlice.get(number)?.data ?? '');
  const encoded = parts.join('');
  if (encoded.length !== first.encodedBytes) {
    return refusal('PROBE_MALFORMED', `${encoded.length} characters in the slices, ${first.encodedBytes} stated`);
  }
  const compressed = bytesOf(encoded, first.encoding.endsWith('base64') ? 'base64' : 'hex');
  if (compressed === null) return refusal('PROBE_DECOMPRESS_FAILED', `the data is not ${first.encoding}`);
  const isGzip = first.encoding.startsWith('gzip');
  let payload = compressed;
  if (isGzip) {
    try {
      payload = gunzip(compressed, first.payloadBytes);
    } catch (cause) {
      // Why zlib refuses is of no use to the reader beyond its own words: the bytes are not what the VM sent.
      const why = cause instanceof Error ? cause.message : String(cause);
      return refusal('PROBE_DECOMPRESS_FAILED', `${compressed.length} bytes do not unpack: ${why}`);
    }
  }

  const sha256 = createHash('sha256').update(payload).digest('hex');
  if (payload.length !== first.payloadBytes || sha256 !== first.payloadSha256) {
    return refusal(
      'PROBE_HASH_MISMATCH',
      `${payload.length} bytes with SHA-256 ${sha256.slice(0, 16)}…, stated ${first.payloadBytes} with ${first.payloadSha256.slice(0, 16)}…`,
    );
  }
  return {
    ok: true,
    capture: {
      payload,
      sha256,
      bytes: payload.length,
      slices: first.slices,
      withCounters: first.withCounters,
      scriptVersion: first.scriptVersion,
      probeTimeUtc: bySlice.get(1)?.probeTimeUtc ?? first.probeTimeUtc,
      rawGzipBase64: isGzip ? Buffer.from(compressed).toString('base64') : null,
    },
  };
}

function isOfSamePayload(slice: Slice, first: Slice): boolean {
  return (
    slice.payloadSha256 === first.payloadSha256 &&
    slice.payloadBytes === first.payloadBytes &&
    slice.encoding === first.encoding &&
    slice.encodedBytes === first.encodedBytes &&
    slice.slices === first.slices &&
    slice.withCounters === first.withCounters &&
    slice.scriptVersion === first.scriptVersion
  );
}

function bytesOf(encoded: string, encoding: 'base64' | 'hex'): Uint8Array | null {
  const isGood =
    encoding === 'hex'
      ? /^(?:[0-9a-f]{2})*$/.test(encoded)
      : encoded.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(encoded);
  return isGood ? Buffer.from(encoded, encoding) : null;
}
