/**
 * Why a probe's output is not a capture. Every code is a refusal: nothing that carries one is ever read as a ruleset.
 * Listed with their next steps in docs/codes.md.
 */
export type ProbeCode =
  /** No output at all: the script did not run, or its result did not arrive. */
  | 'PROBE_EMPTY'
  /** Part of the envelope is missing: output was cut, at its head (Run Command keeps the tail) or at its end. */
  | 'PROBE_TRUNCATED'
  /** A complete envelope of another run: cached output, or another caller's probe. */
  | 'PROBE_NONCE_MISMATCH'
  /** Output, but nothing of the probe's in it: the service ran another script. */
  | 'PROBE_FOREIGN_OUTPUT'
  /** An envelope of a version this program does not read. */
  | 'PROBE_VERSION'
  /** The envelope's own SHA-256 does not fit its bytes. */
  | 'PROBE_CORRUPT'
  /** The bytes verify, but are not what the format says. */
  | 'PROBE_MALFORMED'
  /** A good envelope, of another slice than the one asked for. */
  | 'PROBE_SLICE_MISMATCH'
  /** The script says that the host lacks a tool it cannot do without. */
  | 'PROBE_TOOL_MISSING'
  /** The script refused its parameters. */
  | 'PROBE_PARAMETERS'
  /** Slices of different payloads: the firewall changed while it was read. The caller starts the capture again. */
  | 'PROBE_CHANGED_BETWEEN_SLICES'
  /** Not every slice is there yet. */
  | 'PROBE_SLICE_MISSING'
  /** The joined payload is not the one whose SHA-256 the slices carry. */
  | 'PROBE_HASH_MISMATCH'
  /** The joined data is not valid gzip or base64. */
  | 'PROBE_DECOMPRESS_FAILED'
  /** The payload is larger than the limit. */
  | 'PROBE_TOO_LARGE';

/** An answer that is not a capture, for people: `message` says what was seen, with its numbers. */
export interface ProbeRefusal {
  readonly ok: false;
  readonly code: ProbeCode;
  readonly message: string;
}

export function refusal(code: ProbeCode, message: string): ProbeRefusal {
  return { ok: false, code, message };
}
