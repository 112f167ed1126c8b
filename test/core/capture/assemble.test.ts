import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import fc from 'fast-check';
import { assembleCapture } from '../../../src/core/capture/assemble.ts';
import { readPayload } from '../../../src/core/capture/payload.ts';
import { decodeSlice, type Slice, type SliceEncoding } from '../../../src/core/capture/slice.ts';
import { type EnvelopeOptions, envelopesOf, gunzip, payloadOf, RECORDED_NONCE, RECORDED_SLICES } from './envelopes.ts';

function slicesOf(payload: Uint8Array, options: EnvelopeOptions = {}): Slice[] {
  return envelopesOf(payload, options).map((output, index) => {
    const answer = decodeSlice(output, { nonce: options.nonce ?? RECORDED_NONCE, slice: index + 1 });
    assert.ok(answer.ok, answer.ok ? '' : answer.message);
    return answer.slice;
  });
}

function codeOf(slices: readonly Slice[], unpack = gunzip): string {
  const answer = assembleCapture(slices, unpack);
  return answer.ok ? 'ok' : answer.code;
}

const PAYLOAD = payloadOf([
  { name: 'kernel', stdout: 'Linux h 6.1 x86_64\n' },
  { name: 'noise', stdout: createHash('sha512').update('noise').digest('hex').repeat(3) },
]);

test('any payload survives being sliced, in every encoding', () => {
  const encodings: SliceEncoding[] = ['gzip+base64', 'gzip+hex', 'plain+base64', 'plain+hex'];
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 4000 }),
      fc.constantFrom(...encodings),
      fc.integer({ min: 1, max: 900 }),
      fc.integer(),
      (payload, encoding, dataBytes, seed) => {
        const slices = slicesOf(payload, { encoding, dataBytes });
        const shuffled = slices.toSorted((a, b) => hash(seed, a.slice) - hash(seed, b.slice));
        const answer = assembleCapture([...shuffled, ...shuffled.slice(0, 2)], gunzip);
        assert.ok(answer.ok, answer.ok ? '' : answer.message);
        assert.deepEqual(Buffer.from(answer.capture.payload), Buffer.from(payload));
        assert.equal(answer.capture.bytes, payload.length);
        assert.equal(answer.capture.slices, slices.length);
        if (encoding.startsWith('plain')) assert.equal(answer.capture.rawGzipBase64, null);
        else {
          const raw = Buffer.from(answer.capture.rawGzipBase64 ?? '', 'base64');
          assert.deepEqual(gunzipSync(raw), Buffer.from(payload));
        }
      },
    ),
    { numRuns: 200 },
  );
});

function hash(seed: number, value: number): number {
  return createHash('sha256').update(`${seed} ${value}`).digest().readInt32BE();
}

test('any payload survives the gzip and base64 of the command line', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 2000 }), (payload) => {
      const data = execFileSync('sh', ['-c', "gzip -n -9 | base64 | tr -d ' \\n'"], {
        input: payload,
        encoding: 'latin1',
      });
      const [slice] = slicesOf(payload, { dataBytes: 1e6 });
      const sent = { ...slice, data, encodedBytes: data.length } as Slice;
      const answer = assembleCapture([sent], gunzip);
      assert.ok(answer.ok && Buffer.from(payload).equals(answer.capture.payload));
      assert.equal(answer.capture.rawGzipBase64, data);
    }),
    { numRuns: 25 },
  );
});

test('sections of any bytes survive a payload, whatever markers they hold', () => {
  const markers = [
    'section x exit:0 1 0\n',
    'end 1\n',
    'NFI-PAYLOAD 1\n',
    'NFI-END a 1/1 b\n',
    '\n',
    '\r\n',
    '\u0000',
    '⚑',
  ];
  const content = fc.array(fc.oneof(fc.constantFrom(...markers), fc.string({ unit: 'binary' })), { maxLength: 12 });
  fc.assert(
    fc.property(fc.array(fc.tuple(content, content), { maxLength: 6 }), (contents) => {
      const sections = contents.map(([stdout, stderr], index) => ({
        name: `s${index}`,
        stdout: wellFormed(stdout),
        stderr: wellFormed(stderr),
      }));
      const payload = readPayload(payloadOf(sections));
      assert.equal(payload.fault, null);
      assert.deepEqual(
        payload.sections.map(({ name, stdout, stderr, status, exitCode, isUtf8 }) => ({
          name,
          stdout,
          stderr,
          status,
          exitCode,
          isUtf8,
        })),
        sections.map((section) => ({ ...section, status: 'exit', exitCode: 0, isUtf8: true })),
      );
    }),
    { numRuns: 300 },
  );
});

/** Text that has a UTF-8 form: lone surrogates have none. */
function wellFormed(pieces: readonly string[]): string {
  return Buffer.from(pieces.join('')).toString();
}

test('bytes that are not UTF-8 stay apart from each other and leave the rest as it is', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), fc.uint8Array({ maxLength: 60 }), (one, two) => {
      const texts = [one, two].map(
        (stdout) => readPayload(payloadOf([{ name: 'a', stdout }])).sections[0]?.stdout ?? '',
      );
      assert.equal(texts[0] === texts[1], Buffer.from(one).equals(Buffer.from(two)));
    }),
    { numRuns: 2000 },
  );
  const text = (bytes: number[]): string =>
    readPayload(payloadOf([{ name: 'a', stdout: Uint8Array.from(bytes) }])).sections[0]?.stdout ?? '';
  assert.equal(text([0x61, 0xe9, 0x62]), 'a\ufffde9b');
  assert.equal(text([0xc3, 0xa9]), 'é');
  assert.equal(text([0xc3]), '\ufffdc3');
  assert.equal(text([0xed, 0xa0, 0x80]), '\ufffded\ufffda0\ufffd80', 'a surrogate');
  assert.equal(text([0xc0, 0x80]), '\ufffdc0\ufffd80', 'an overlong form');
  assert.equal(text([0xef, 0xbb, 0xbf, 0x61]), '\ufeffa', 'a byte order mark is kept');
  assert.equal(text([0xf0, 0x9f, 0x94, 0xa5, 0xff]), '🔥\ufffdff');
});

test('a payload that is not framed as it says is faulty, and keeps the sections before the fault', () => {
  const good = Buffer.from(
    payloadOf([
      { name: 'a', stdout: 'x' },
      { name: 'b', stdout: 'y' },
    ]),
  ).toString('latin1');
  assert.equal(readPayload(Buffer.from(good)).fault, null);
  for (const [text, sections] of [
    ['', 0],
    [good.replace('NFI-PAYLOAD 1', 'NFI-PAYLOAD 2'), 0],
    [good.replace('section b', 'section a'), 1],
    [good.replace('section b exit:0 1 0', 'section b exit:0 2 0'), 1],
    [good.replace('section b exit:0 1 0', 'section b exit:0 999999999 0'), 1],
    [good.replace('section b exit:0', 'section b exit:x'), 1],
    [good.replace('section b', 'section __proto__ x'), 1],
    [good.replace('end 2', 'end 3'), 2],
    [`${good}\n`, 2],
    [good.slice(0, -1), 2],
    [`${good.slice(0, -6)}${'z'.repeat(500)}\n`, 2],
  ] as const) {
    const payload = readPayload(Buffer.from(text));
    assert.notEqual(payload.fault, null, text);
    assert.equal(payload.sections.length, sections, text);
  }
  for (let at = 0; at < good.length; at += 1) assert.notEqual(readPayload(Buffer.from(good.slice(0, at))).fault, null);
});

test('slices that do not agree are a ruleset that changed', () => {
  const slices = slicesOf(PAYLOAD, { dataBytes: 100 });
  const other = slicesOf(Buffer.concat([PAYLOAD, Buffer.from('more')]), { dataBytes: 100 });
  assert.ok(slices.length > 2);
  assert.equal(codeOf(slices), 'ok');
  for (let at = 0; at < slices.length; at += 1) {
    assert.equal(codeOf(slices.with(at, other[at] as Slice)), 'PROBE_CHANGED_BETWEEN_SLICES');
  }
  const [first] = slices as [Slice];
  for (const change of [
    { slices: first.slices + 1 },
    { payloadBytes: 1 },
    { encoding: 'gzip+hex' as const },
    { encodedBytes: 1 },
    { withCounters: true },
    { scriptVersion: 2 },
  ]) {
    assert.equal(codeOf([{ ...first, ...change }, ...slices.slice(1)]), 'PROBE_CHANGED_BETWEEN_SLICES');
  }
  assert.equal(codeOf([...slices, { ...first, data: 'x'.repeat(100) }]), 'PROBE_CHANGED_BETWEEN_SLICES');
});

test('slices of the recorded capture in any order but not in part', () => {
  const slices = RECORDED_SLICES.map(({ output, nonce }) => {
    const answer = decodeSlice(output, { nonce });
    assert.ok(answer.ok);
    return answer.slice;
  });
  assert.equal(codeOf(slices.toReversed()), 'ok');
  const two = assembleCapture([slices[0] as Slice, slices[2] as Slice], gunzip);
  assert.ok(!two.ok && two.code === 'PROBE_SLICE_MISSING' && two.message.includes('missing: 2'));
  assert.equal(codeOf([]), 'PROBE_SLICE_MISSING');
  assert.equal(codeOf([...slices, { ...(slices[0] as Slice), slice: 4, data: '' }]), 'PROBE_SLICE_MISMATCH');
});

test('data that is not what the slices promise is refused, whatever it unpacks to', () => {
  const [slice] = slicesOf(PAYLOAD, { dataBytes: 1e6 }) as [Slice];
  const [other] = slicesOf(Buffer.from('other'), { dataBytes: 1e6 }) as [Slice];
  const withData = (data: string): Slice => ({ ...slice, data, encodedBytes: data.length });
  assert.equal(codeOf([withData(other.data)]), 'PROBE_HASH_MISMATCH');
  assert.equal(codeOf([withData('AAAA')]), 'PROBE_DECOMPRESS_FAILED');
  assert.equal(codeOf([withData('')]), 'PROBE_DECOMPRESS_FAILED');
  assert.equal(codeOf([withData('!!!!')]), 'PROBE_DECOMPRESS_FAILED');
  assert.equal(codeOf([withData(slice.data.slice(0, -1))]), 'PROBE_DECOMPRESS_FAILED');
  assert.equal(codeOf([withData(slice.data.slice(4))]), 'PROBE_DECOMPRESS_FAILED');
  assert.equal(codeOf([{ ...slice, data: `${slice.data}AAAA` }]), 'PROBE_MALFORMED');
  assert.equal(codeOf([{ ...slice, encoding: 'plain+base64' }]), 'PROBE_HASH_MISMATCH');
  assert.equal(codeOf([{ ...slice, payloadSha256: '0'.repeat(64) }]), 'PROBE_HASH_MISMATCH');
  // Nothing but gunzipping everything tells a payload that is longer than it says.
  assert.equal(
    codeOf([{ ...slice, payloadBytes: slice.payloadBytes - 1 }], (bytes) => gunzipSync(bytes)),
    'PROBE_HASH_MISMATCH',
  );
  assert.equal(codeOf([{ ...slice, payloadBytes: slice.payloadBytes - 1 }]), 'PROBE_DECOMPRESS_FAILED');
});

test('a payload above the limit is refused before it is unpacked', () => {
  const [slice] = slicesOf(PAYLOAD, { dataBytes: 1e6 }) as [Slice];
  const never = (): Uint8Array => assert.fail('unpacked');
  assert.equal(codeOf([{ ...slice, payloadBytes: 64 * 1024 * 1024 + 1 }], never), 'PROBE_TOO_LARGE');
  assert.equal(codeOf([{ ...slice, encodedBytes: 128 * 1024 * 1024 + 1 }], never), 'PROBE_TOO_LARGE');
  assert.equal(codeOf([{ ...slice, slices: 999_999_999 }], never), 'PROBE_SLICE_MISSING');
});
