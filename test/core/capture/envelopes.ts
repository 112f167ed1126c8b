import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { gunzipSync, gzipSync } from 'node:zlib';
import type { SliceEncoding } from '../../../src/core/capture/slice.ts';
import { fixturePath } from '../../support/environment.ts';

/** Output of the real probe, as its README in test/fixtures/capture says. */
export function recorded(name: string): string {
  return readFileSync(fixturePath('capture', name), 'latin1');
}

export const RECORDED_NONCE = 'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbb';
export const RECORDED_SLICES: readonly { output: string; nonce: string; slice: number }[] = [1, 2, 3].map((slice) => ({
  output: recorded(`slice-${slice}.txt`),
  nonce: `cccccccccccccccc000000000000000${slice}`,
  slice,
}));

export const gunzip = (bytes: Uint8Array, bytesMax: number): Uint8Array =>
  gunzipSync(bytes, { maxOutputLength: Math.max(bytesMax, 1) });

export interface EnvelopeOptions {
  readonly nonce?: string;
  readonly encoding?: SliceEncoding;
  readonly dataBytes?: number;
  /** Changes header values before the end marker is made: an envelope that verifies and is wrong. */
  readonly header?: Readonly<Record<string, string>>;
}

/** The envelopes of a payload, written from docs/formats/probe-envelope.md and not from the script. */
export function envelopesOf(payload: Uint8Array, options: EnvelopeOptions = {}): string[] {
  const { nonce = RECORDED_NONCE, encoding = 'gzip+base64', dataBytes = 3300, header = {} } = options;
  const packed = encoding.startsWith('gzip') ? gzipSync(payload, { level: 9 }) : Buffer.from(payload);
  const encoded = packed.toString(encoding.endsWith('hex') ? 'hex' : 'base64');
  const count = Math.max(1, Math.ceil(encoded.length / dataBytes));
  return Array.from({ length: count }, (_, index) => {
    const data = encoded.slice(index * dataBytes, (index + 1) * dataBytes);
    const values = {
      'script-version': '1',
      time: '2026-01-02T03:04:05Z',
      mode: count === 1 ? 'auto' : 'stable',
      counters: count === 1 ? 'yes' : 'no',
      slice: `${index + 1}`,
      slices: `${count}`,
      'payload-bytes': `${payload.length}`,
      'payload-sha256': createHash('sha256').update(payload).digest('hex'),
      encoding,
      'encoded-bytes': `${encoded.length}`,
      'data-bytes': `${data.length}`,
      ...header,
    };
    const lines = Object.entries(values).map(([key, value]) => `${key} ${value}\n`);
    return sealed(`NFI-ENVELOPE 1 ${nonce}\n${lines.join('')}${data}\n`, nonce, `${index + 1}`, `${count}`);
  });
}

export function sealed(body: string, nonce: string, slice: string, slices: string): string {
  return `${body}NFI-END ${nonce} ${slice}/${slices} ${createHash('sha256').update(body).digest('hex')}\n`;
}

/** A payload of sections, framed as the format says. */
export function payloadOf(
  sections: readonly { name: string; status?: string; stdout?: string | Uint8Array; stderr?: string }[],
): Uint8Array {
  const parts: Uint8Array[] = [Buffer.from('NFI-PAYLOAD 1\n')];
  for (const { name, status = 'exit:0', stdout = '', stderr = '' } of sections) {
    const out = Buffer.from(stdout);
    const errors = Buffer.from(stderr);
    parts.push(
      Buffer.from(`section ${name} ${status} ${out.length} ${errors.length}\n`),
      out,
      errors,
      Buffer.from('\n'),
    );
  }
  return Buffer.concat([...parts, Buffer.from(`end ${sections.length}\n`)]);
}

/** The result of an action Run Command on Linux, around a script's output. */
export function runCommandResult(stdout: string, stderr = ''): { code: string; message: string }[] {
  return [
    { code: 'ProvisioningState/succeeded', message: `Enable succeeded: \n[stdout]\n${stdout}\n[stderr]\n${stderr}` },
  ];
}
