import { createHash } from 'node:crypto';
import { excerpt } from '../diagnostics.ts';
import { type ProbeRefusal, refusal } from './codes.ts';
import type { ProbeMode } from './probe-script.ts';

export type SliceEncoding = 'gzip+base64' | 'gzip+hex' | 'plain+base64' | 'plain+hex';

/** One verified envelope: a slice of a payload, and what it says about the whole. Plain JSON, to be kept in staging. */
export interface Slice {
  readonly nonce: string;
  readonly scriptVersion: number;
  /** When this slice's run was made, by the VM's clock: ISO 8601, UTC, whole seconds. */
  readonly probeTimeUtc: string;
  readonly mode: ProbeMode;
  /** False: the payload was taken without moving parts, as slices that must agree are. */
  readonly withCounters: boolean;
  /** From 1. Above `slices` (and then empty) when the payload shrank since the first slice was taken. */
  readonly slice: number;
  readonly slices: number;
  /** Length and lower-case hex SHA-256 of the whole payload, decoded. */
  readonly payloadBytes: number;
  readonly payloadSha256: string;
  readonly encoding: SliceEncoding;
  /** Characters of the whole encoded payload: the sum over all slices. */
  readonly encodedBytes: number;
  readonly data: string;
}

const SLICE_FIELDS: Readonly<Record<keyof Slice, 'string' | 'number' | 'boolean'>> = {
  nonce: 'string',
  scriptVersion: 'number',
  probeTimeUtc: 'string',
  mode: 'string',
  withCounters: 'boolean',
  slice: 'number',
  slices: 'number',
  payloadBytes: 'number',
  payloadSha256: 'string',
  encoding: 'string',
  encodedBytes: 'number',
  data: 'string',
};

/** Whether a document has a slice's fields; what they hold is verified when the capture is assembled. */
export function isSlice(value: unknown): value is Slice {
  if (typeof value !== 'object' || value === null) return false;
  return Object.entries(SLICE_FIELDS).every(([key, type]) => typeof (value as Record<string, unknown>)[key] === type);
}

export interface ExpectedSlice {
  readonly nonce: string;
  readonly slice?: number;
}

const BEGIN = 'NFI-ENVELOPE ';
const END = 'NFI-END ';
const ERROR_LINE = /^NFI-ERROR (-|[0-9a-f]{16,64}) (PROBE_TOOL_MISSING|PROBE_PARAMETERS) ([ -~]{1,80})$/m;
const END_LINE = /^NFI-END ([0-9a-f]{16,64}) (\d{1,9})\/(\d{1,9}) ([0-9a-f]{64})$/;

/** The header's lines after the first, in their order. */
const HEADER: readonly (readonly [key: string, value: RegExp])[] = [
  ['script-version', /^\d{1,6}$/],
  ['time', /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/],
  ['mode', /^(?:auto|stable|full)$/],
  ['counters', /^(?:yes|no)$/],
  ['slice', /^[1-9]\d{0,8}$/],
  ['slices', /^[1-9]\d{0,8}$/],
  ['payload-bytes', /^\d{1,12}$/],
  ['payload-sha256', /^[0-9a-f]{64}$/],
  ['encoding', /^(?:gzip|plain)\+(?:base64|hex)$/],
  ['encoded-bytes', /^\d{1,12}$/],
  ['data-bytes', /^\d{1,12}$/],
];

/**
 * Verifies one run's output and takes the slice out of it.
 *
 * Only a whole envelope with the expected nonce, the end marker as its last line and a SHA-256 that fits every byte
 * between them is a slice. Text before it (a login's greeting) is passed over; text after it is not. Never throws.
 *
 * @param stdout   what the run printed, LF or CRLF
 * @param expected the nonce sent with the script, and the slice asked for (any, when left out)
 */
export function decodeSlice(stdout: string, expected: ExpectedSlice): { ok: true; slice: Slice } | ProbeRefusal {
  const text = stdout.includes('\r\n') ? stdout.replaceAll('\r\n', '\n') : stdout;
  if (text.trim() === '') return refusal('PROBE_EMPTY', 'the run printed nothing');
  const begin = lastLineStart(text, BEGIN);
  if (begin === -1) return withoutBegin(text, expected);

  const firstLineEnd = text.indexOf('\n', begin);
  if (firstLineEnd === -1) return truncated('ends in its first line');
  const [version, nonce = ''] = text.slice(begin + BEGIN.length, firstLineEnd).split(' ');
  if (version !== '1') {
    return refusal('PROBE_VERSION', `the envelope is of version ${excerpt(version ?? '')}; this program reads 1`);
  }
  if (nonce !== expected.nonce) {
    return refusal(
      'PROBE_NONCE_MISMATCH',
      `the envelope is of run ${excerpt(nonce)}, not ${expected.nonce}: cached output, or another caller's`,
    );
  }

  const end = lastLineStart(text, END);
  if (end <= begin) return truncated('has no end marker');
  const endLineEnd = text.indexOf('\n', end);
  const trailing = endLineEnd === -1 ? '' : text.slice(endLineEnd).trim();
  if (trailing !== '') return refusal('PROBE_MALFORMED', `text after the end marker: ${excerpt(trailing)}`);
  const marker = END_LINE.exec(text.slice(end, endLineEnd === -1 ? undefined : endLineEnd));
  if (marker === null) return truncated('has an incomplete end marker');

  const body = text.slice(begin, end);
  const [, markerNonce, markerSlice, markerSlices, markerSha256] = marker;
  if (createHash('sha256').update(body).digest('hex') !== markerSha256) {
    return refusal('PROBE_CORRUPT', `the ${body.length} characters of the envelope do not have the SHA-256 it states`);
  }
  if (markerNonce !== nonce) return refusal('PROBE_MALFORMED', 'the end marker is of another run');

  const header = readHeader(body);
  if (typeof header === 'string') return refusal('PROBE_MALFORMED', header);
  const { slice, dataBytes } = header;
  if (slice.data.length !== dataBytes) {
    return refusal('PROBE_MALFORMED', `${slice.data.length} characters of data where ${dataBytes} are stated`);
  }
  if (markerSlice !== `${slice.slice}` || markerSlices !== `${slice.slices}`) {
    return refusal('PROBE_MALFORMED', 'the end marker is of another slice than the header');
  }
  if (expected.slice !== undefined && slice.slice !== expected.slice) {
    return refusal('PROBE_SLICE_MISMATCH', `slice ${slice.slice} came where ${expected.slice} was asked for`);
  }
  return { ok: true, slice };
}

function truncated(how: string): ProbeRefusal {
  return refusal('PROBE_TRUNCATED', `the envelope ${how}: the output was cut`);
}

function withoutBegin(text: string, expected: ExpectedSlice): ProbeRefusal {
  const error = ERROR_LINE.exec(text);
  if (error !== null) {
    const [, nonce, code, detail = ''] = error;
    if (nonce !== '-' && nonce !== expected.nonce) {
      return refusal('PROBE_NONCE_MISMATCH', `the script's refusal is of run ${nonce}, not ${expected.nonce}`);
    }
    return code === 'PROBE_TOOL_MISSING'
      ? refusal('PROBE_TOOL_MISSING', `the host has no ${excerpt(detail)}, which the probe cannot do without`)
      : refusal('PROBE_PARAMETERS', `the probe refused its ${excerpt(detail)}`);
  }
  const end = lastLineStart(text, END);
  if (end !== -1) {
    const nonce = text.slice(end + END.length).split(/\s/, 1)[0] ?? '';
    if (nonce.length === expected.nonce.length && nonce !== expected.nonce) {
      return refusal('PROBE_NONCE_MISMATCH', `the end of an envelope of run ${excerpt(nonce)}, not ${expected.nonce}`);
    }
    return truncated(`has no beginning in ${text.length} characters`);
  }
  if (`${BEGIN}1 ${expected.nonce}`.startsWith(text.trimEnd()) || text.includes(expected.nonce)) {
    return truncated(`has neither beginning nor end in ${text.length} characters`);
  }
  return refusal('PROBE_FOREIGN_OUTPUT', `no envelope in the output, which begins: ${excerpt(text.slice(0, 80))}`);
}

function lastLineStart(text: string, prefix: string): number {
  const at = text.lastIndexOf(`\n${prefix}`);
  if (at !== -1) return at + 1;
  return text.startsWith(prefix) ? 0 : -1;
}

function readHeader(body: string): { slice: Slice; dataBytes: number } | string {
  const values = new Map<string, string>();
  let at = body.indexOf('\n') + 1;
  for (const [key, pattern] of HEADER) {
    const lineEnd = body.indexOf('\n', at);
    const line = body.slice(at, lineEnd === -1 ? undefined : lineEnd);
    const value = line.slice(key.length + 1);
    if (lineEnd === -1 || !line.startsWith(`${key} `) || !pattern.test(value)) {
      return `no good ${key} line in the header: ${excerpt(line)}`;
    }
    values.set(key, value);
    at = lineEnd + 1;
  }
  const text = (key: string): string => values.get(key) ?? '';
  return {
    dataBytes: Number(text('data-bytes')),
    slice: {
      nonce: body.slice(0, body.indexOf('\n')).slice(`${BEGIN}1 `.length),
      scriptVersion: Number(text('script-version')),
      probeTimeUtc: text('time'),
      mode: text('mode') as ProbeMode,
      withCounters: text('counters') === 'yes',
      slice: Number(text('slice')),
      slices: Number(text('slices')),
      payloadBytes: Number(text('payload-bytes')),
      payloadSha256: text('payload-sha256'),
      encoding: text('encoding') as SliceEncoding,
      encodedBytes: Number(text('encoded-bytes')),
      data: body.slice(at, -1),
    },
  };
}
