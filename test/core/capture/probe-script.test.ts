import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildProbeScript, probeScriptSha256 } from '../../../src/core/capture/probe-script.ts';
import { decodeRunCommandOutput } from '../../../src/core/capture/run-command-output.ts';
import { repositoryRoot } from '../../support/environment.ts';

const probeText = readFileSync(join(repositoryRoot, 'probe', 'probe.sh'), 'utf8');

test('the script to run is the probe with its parameters after the first line', () => {
  const nonce = '0123456789abcdef';
  const lines = buildProbeScript(probeText, { nonce, slice: 12, mode: 'stable' });
  assert.deepEqual(lines.slice(0, 4), ['#!/bin/sh', `NFI_NONCE='${nonce}'`, "NFI_SLICE='12'", "NFI_MODE='stable'"]);
  assert.equal(`${[lines[0], ...lines.slice(4)].join('\n')}\n`, probeText.replaceAll('\r\n', '\n'));
  assert.ok(lines.every((line) => !line.includes('\n') && !line.includes('\r')));
  assert.ok(lines.join('\n').length < 64 * 1024, 'well under the 256 KiB of a run command');
});

test("the probe's digest is that of its text, however a checkout ends its lines", () => {
  const unix = probeText.replaceAll('\r\n', '\n');
  assert.equal(probeScriptSha256(unix), createHash('sha256').update(unix).digest('hex'));
  assert.equal(probeScriptSha256(unix.replaceAll('\n', '\r\n')), probeScriptSha256(unix));
  assert.notEqual(probeScriptSha256(`${unix}#\n`), probeScriptSha256(unix));
});

test('parameters that could not be meant are a bug of the caller', () => {
  const good = { nonce: '0123456789abcdef', slice: 1, mode: 'auto' } as const;
  assert.doesNotThrow(() => buildProbeScript(probeText, good));
  for (const bad of [
    { nonce: "0123456789abcdef';id;'" },
    { nonce: '0123456789ABCDEF' },
    { nonce: 'short' },
    { slice: 0 },
    { slice: 1.5 },
    { slice: 2 },
    { slice: 1_000_000, mode: 'stable' as const },
  ]) {
    assert.throws(() => buildProbeScript(probeText, { ...good, ...bad }), { name: 'InvariantError' });
  }
  assert.throws(() => buildProbeScript('echo\n', good), { name: 'InvariantError' });
});

test("Run Command's answers are told apart", () => {
  const linux = (message: string) => decodeRunCommandOutput([{ code: 'ProvisioningState/succeeded', message }]);
  const both = (stdout: string, stderr: string) => ({ kind: 'linux', stdout, stderr });
  assert.deepEqual(linux('Enable succeeded: \n[stdout]\nout\n\n[stderr]\nerr\n'), both('out\n', 'err\n'));
  assert.deepEqual(linux('Enable succeeded: \n[stdout]\n\n[stderr]\n'), both('', ''));
  assert.deepEqual(linux('Enable succeeded: \n[stdout]\nout\n[stderr]'), both('out', ''));
  assert.deepEqual(linux('Enable failed: \n[stdout]\na\n[stderr]\nb\n\n[stderr]\nc'), both('a\n[stderr]\nb\n', 'c'));
  assert.deepEqual(linux('[stdout]\na\n[stdout]\nb\n[stderr]\n'), both('a\n[stdout]\nb', ''));
  assert.deepEqual(linux('tail of the output\n[stderr]\n'), both('tail of the output', ''));
  assert.deepEqual(linux('x\n[stdout]\nno end'), both('no end', ''));
  assert.deepEqual(linux('a\n[stderr]x\n[stderr]\nb'), both('a\n[stderr]x', 'b'));
  for (const message of ['', 'Enable succeeded', 'a [stdout]\n', 'text [stderr]\n']) {
    assert.deepEqual(linux(message), { kind: 'unrecognised' }, message);
  }
  assert.deepEqual(decodeRunCommandOutput([]), { kind: 'unrecognised' });
  assert.deepEqual(decodeRunCommandOutput([{}]), { kind: 'unrecognised' });
  assert.deepEqual(decodeRunCommandOutput([{ message: 'a\n[stderr]\n' }, { message: 'b' }]), { kind: 'unrecognised' });
  const windows = [
    { code: 'ComponentStatus/StdOut/succeeded', message: '' },
    { code: 'ComponentStatus/StdErr/succeeded', message: "The term 'LC_ALL=C' is not recognized" },
  ];
  assert.deepEqual(decodeRunCommandOutput(windows), { kind: 'windows' });
});
