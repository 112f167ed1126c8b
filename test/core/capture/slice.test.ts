import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assembleCapture } from '../../../src/core/capture/assemble.ts';
import type { ProbeCode } from '../../../src/core/capture/codes.ts';
import { decodeRunCommandOutput } from '../../../src/core/capture/run-command-output.ts';
import { decodeSlice } from '../../../src/core/capture/slice.ts';
import {
  envelopesOf,
  gunzip,
  payloadOf,
  RECORDED_NONCE,
  RECORDED_SLICES,
  recorded,
  runCommandResult,
  sealed,
} from './envelopes.ts';

const ENVELOPES = [{ output: recorded('one-slice.txt'), nonce: RECORDED_NONCE, slice: 1 }, ...RECORDED_SLICES];

/** How the output reads: `ok`, or the refusal's code; through Run Command's message and its limit when asked. */
function reading(output: string, nonce: string, slice?: number): ProbeCode | 'ok' {
  const answer = decodeSlice(output, slice === undefined ? { nonce } : { nonce, slice });
  return answer.ok ? 'ok' : answer.code;
}

function throughRunCommand(
  output: string,
  nonce: string,
  slice: number,
): ProbeCode | 'ok' | 'windows' | 'unrecognised' {
  const streams = decodeRunCommandOutput(runCommandResult(output));
  return streams.kind === 'linux' ? reading(streams.stdout, nonce, slice) : streams.kind;
}

test('a real envelope is read whole, with and without its last newline', () => {
  for (const { output, nonce, slice } of ENVELOPES) {
    for (const text of [
      output,
      output.trimEnd(),
      `${output}\n`,
      output.replaceAll('\n', '\r\n'),
      `Welcome!\n\n${output}`,
    ]) {
      const answer = decodeSlice(text, { nonce, slice });
      assert.ok(answer.ok, answer.ok ? '' : answer.message);
      assert.equal(answer.slice.slice, slice);
      assert.deepEqual(JSON.parse(JSON.stringify(answer.slice)), answer.slice);
    }
    assert.equal(throughRunCommand(output, nonce, slice), 'ok');
  }
});

test('an envelope cut at any byte, at its head or at its end, is a refusal', () => {
  for (const { output, nonce, slice } of ENVELOPES) {
    const last = output.length - 1;
    for (let at = 0; at < last; at += 1) {
      const head = output.slice(0, at);
      const tail = output.slice(at + 1);
      for (const cut of [head, tail]) {
        const code = reading(cut, nonce, slice);
        assert.match(code, /^PROBE_(?:EMPTY|TRUNCATED|FOREIGN_OUTPUT)$/, `cut at ${at}`);
        assert.equal(throughRunCommand(cut, nonce, slice), code === 'PROBE_EMPTY' ? 'PROBE_EMPTY' : code);
      }
    }
  }
});

test('most cuts are named for what they are', () => {
  for (const { output, nonce, slice } of ENVELOPES) {
    for (const at of [1, 20, 60, 300, output.length - 100, output.length - 2]) {
      assert.equal(reading(output.slice(0, at), nonce, slice), 'PROBE_TRUNCATED', `head up to ${at}`);
    }
    for (const at of [1, 20, 60, 300, output.length - 110]) {
      assert.equal(reading(output.slice(at), nonce, slice), 'PROBE_TRUNCATED', `tail from ${at}`);
    }
  }
});

test('an output longer than Run Command keeps is cut at its head, and refused', () => {
  const rules = Array.from(
    { length: 2000 },
    (_, index) => `-A INPUT -s 198.18.${index >> 8}.${index & 255} -m mark --mark ${index * 7919} -j DROP\n`,
  );
  const [output = ''] = envelopesOf(payloadOf([{ name: 'iptables-save', stdout: rules.join('') }]), { dataBytes: 1e9 });
  assert.ok(output.length > 8192);
  assert.equal(reading(output, RECORDED_NONCE, 1), 'ok');
  for (const keeps of [4096, 4095, 2000, 300]) {
    assert.equal(reading(output.slice(-keeps), RECORDED_NONCE, 1), 'PROBE_TRUNCATED');
    // The whole message may be what is cut, the stdout marker with it.
    const { code, message } = runCommandResult(output)[0] ?? { code: '', message: '' };
    const streams = decodeRunCommandOutput([{ code, message: message.slice(-keeps) }]);
    assert.equal(streams.kind === 'linux' && reading(streams.stdout, RECORDED_NONCE, 1), 'PROBE_TRUNCATED');
  }
});

test('a flipped bit anywhere in an envelope is a refusal', () => {
  for (const { output, nonce, slice } of ENVELOPES) {
    for (let at = 0; at < output.length - 1; at += 1) {
      for (const bit of [1, 2, 4, 16, 32]) {
        const flipped = `${output.slice(0, at)}${String.fromCharCode(output.charCodeAt(at) ^ bit)}${output.slice(at + 1)}`;
        const code = reading(flipped, nonce, slice);
        assert.match(code, /^PROBE_/, `bit ${bit} of byte ${at}: ${code}`);
      }
    }
  }
});

test("a flipped bit anywhere in Run Command's message gives the same slice or none", () => {
  const { output, nonce, slice } = ENVELOPES[3] as (typeof ENVELOPES)[number];
  const message = runCommandResult(output)[0]?.message ?? '';
  const good = decodeSlice(output, { nonce, slice });
  for (let at = 0; at < message.length; at += 1) {
    const flipped = `${message.slice(0, at)}${String.fromCharCode(message.charCodeAt(at) ^ 1)}${message.slice(at + 1)}`;
    const streams = decodeRunCommandOutput([{ code: 'ProvisioningState/succeeded', message: flipped }]);
    if (streams.kind !== 'linux') continue;
    const answer = decodeSlice(streams.stdout, { nonce, slice });
    if (answer.ok) assert.deepEqual(answer, good);
  }
});

test('removing, adding or exchanging bytes of the data is a refusal', () => {
  const { output, nonce, slice } = ENVELOPES[0] as (typeof ENVELOPES)[number];
  for (let at = 400; at < output.length - 140; at += 97) {
    const without = output.slice(0, at) + output.slice(at + 1);
    const twice = output.slice(0, at) + output.slice(at - 1);
    for (const changed of [without, twice]) assert.equal(reading(changed, nonce, slice), 'PROBE_CORRUPT');
  }
});

test('other output is told from a cut one', () => {
  const nonce = RECORDED_NONCE;
  for (const [output, code] of [
    ['', 'PROBE_EMPTY'],
    [' \n\n', 'PROBE_EMPTY'],
    ['This is a sample script\nOptional parameters: \n', 'PROBE_FOREIGN_OUTPUT'],
    ["bash: line 1: syntax error near unexpected token `newline'\n", 'PROBE_FOREIGN_OUTPUT'],
    ['*filter\n:INPUT ACCEPT [0:0]\nCOMMIT\n', 'PROBE_FOREIGN_OUTPUT'],
    ['{"nftables": []}', 'PROBE_FOREIGN_OUTPUT'],
    [`NFI-ERROR ${nonce} PROBE_TOOL_MISSING sha256sum\n`, 'PROBE_TOOL_MISSING'],
    ['NFI-ERROR - PROBE_PARAMETERS nonce\n', 'PROBE_PARAMETERS'],
    ['NFI-ERROR 00000000000000000000000000000000 PROBE_TOOL_MISSING sed\n', 'PROBE_NONCE_MISMATCH'],
    [`NFI-ERROR ${nonce} PROBE_SOMETHING sed\n`, 'PROBE_TRUNCATED'],
  ] as const) {
    assert.equal(reading(output, nonce, 1), code, output);
  }
});

test("a cached output with another run's nonce is refused, whole and cut", () => {
  const output = recorded('one-slice.txt');
  const nonce = 'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbc';
  assert.equal(reading(output, nonce, 1), 'PROBE_NONCE_MISMATCH');
  assert.equal(reading(output.slice(500), nonce, 1), 'PROBE_NONCE_MISMATCH');
  assert.match(reading(output.slice(0, -100), nonce, 1), /^PROBE_/);
});

test('another slice than the asked one is refused', () => {
  const [first] = RECORDED_SLICES;
  assert.equal(reading(first?.output ?? '', first?.nonce ?? '', 2), 'PROBE_SLICE_MISMATCH');
  assert.equal(reading(first?.output ?? '', first?.nonce ?? ''), 'ok');
});

test('of two envelopes in one output the last is read, and text after it refuses both', () => {
  const one = recorded('one-slice.txt');
  const [two] = RECORDED_SLICES;
  assert.equal(reading(one + (two?.output ?? ''), two?.nonce ?? '', 1), 'ok');
  assert.equal(reading(one + (two?.output ?? ''), RECORDED_NONCE, 1), 'PROBE_NONCE_MISMATCH');
  assert.equal(reading(`${one}logout\n`, RECORDED_NONCE, 1), 'PROBE_MALFORMED');
});

test('an envelope that verifies and is not what the format says is malformed', () => {
  const payload = payloadOf([{ name: 'kernel', stdout: 'Linux' }]);
  const of = (header: Record<string, string>): string => envelopesOf(payload, { header })[0] ?? '';
  assert.equal(reading(of({}), RECORDED_NONCE), 'ok');
  for (const header of [
    { 'script-version': 'one' },
    { time: '2026-01-02 03:04:05' },
    { mode: 'quick' },
    { counters: 'maybe' },
    { slice: '0' },
    { slice: '-1' },
    { slices: '1e3' },
    { 'payload-bytes': '1 2' },
    { 'payload-bytes': '9999999999999' },
    { 'payload-sha256': 'AB' },
    { encoding: 'xz+base64' },
    { 'data-bytes': '3' },
    { 'data-bytes': '' },
  ]) {
    assert.equal(reading(of(header), RECORDED_NONCE), 'PROBE_MALFORMED', JSON.stringify(header));
  }
  const body = of({}).slice(0, of({}).indexOf('NFI-END'));
  assert.equal(reading(sealed(body, RECORDED_NONCE, '2', '1'), RECORDED_NONCE), 'PROBE_MALFORMED');
  assert.equal(reading(sealed(body, '0'.repeat(32), '1', '1'), RECORDED_NONCE), 'PROBE_MALFORMED');
  const reordered = body.replace(/(mode .*\n)(counters .*\n)/, '$2$1');
  assert.equal(reading(sealed(reordered, RECORDED_NONCE, '1', '1'), RECORDED_NONCE), 'PROBE_MALFORMED');
  const later = body.replace('NFI-ENVELOPE 1 ', 'NFI-ENVELOPE 2 ');
  assert.equal(reading(sealed(later, RECORDED_NONCE, '1', '1'), RECORDED_NONCE), 'PROBE_VERSION');
});

test('what a refusal says is printable, and short', () => {
  for (const output of [
    '\u001b[2J\u202eevil',
    `NFI-ENVELOPE \u001b[31m9 x\n`,
    `NFI-ENVELOPE 1 \u0007${'z'.repeat(5000)}\n`,
  ]) {
    const answer = decodeSlice(output, { nonce: RECORDED_NONCE });
    assert.ok(!answer.ok);
    assert.ok(answer.message.length < 300);
    assert.match(answer.message, /^[\x20-\x7e…]*$/);
  }
});

test('the recorded slices are one capture', () => {
  const slices = RECORDED_SLICES.map(({ output, nonce, slice }) => {
    const answer = decodeSlice(output, { nonce, slice });
    assert.ok(answer.ok);
    return answer.slice;
  });
  const assembled = assembleCapture(slices, gunzip);
  assert.ok(assembled.ok);
  assert.equal(assembled.capture.bytes, assembled.capture.payload.length);
});
