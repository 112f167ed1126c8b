import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  companionText,
  documentBytes,
  parseDocument,
  sha256Hex,
  verifySnapshotBytes,
} from '../../../src/core/baseline/integrity.ts';
import { IntegrityError } from '../../../src/core/errors.ts';

const encode = (text: string) => new TextEncoder().encode(text);
const snapshot = documentBytes({ session_id: 'fw_1', rulesets: { ipv4: null } });
const companion = encode(companionText(sha256Hex(snapshot)));

function integrityError(code: string, pattern: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof IntegrityError);
    assert.equal(error.code, code);
    assert.match(error.message, pattern);
    return true;
  };
}

test('an untouched snapshot verifies and gives its digest', () => {
  assert.equal(verifySnapshotBytes('vm/fw_1', snapshot, companion), sha256Hex(snapshot));
});

test('a missing companion is tamper evidence', () => {
  assert.throws(
    () => verifySnapshotBytes('vm/fw_1', snapshot, null),
    integrityError('BASELINE_COMPANION_MISSING', /vm\/fw_1/),
  );
});

test('any changed byte is found, and the message shows 16 hex digits of both digests', () => {
  fc.assert(
    fc.property(fc.nat(snapshot.length - 1), fc.integer({ min: 1, max: 255 }), (index, change) => {
      const tampered = Uint8Array.from(snapshot);
      tampered[index] = (tampered[index] as number) ^ change;
      const both = new RegExp(
        `stored sha256 ${sha256Hex(snapshot).slice(0, 16)}, computed ${sha256Hex(tampered).slice(0, 16)}`,
      );
      assert.throws(
        () => verifySnapshotBytes('vm/fw_1', tampered, companion),
        integrityError('BASELINE_TAMPERED', both),
      );
    }),
  );
});

test('a companion cut anywhere does not verify', () => {
  for (let length = 0; length < 64; length += 1) {
    assert.throws(() => verifySnapshotBytes('vm/fw_1', snapshot, companion.slice(0, length)), IntegrityError);
  }
});

test('replacing snapshot and companion together is found by the digest noted at approval', () => {
  const other = documentBytes({ session_id: 'fw_1', rulesets: { ipv4: {} } });
  const otherCompanion = encode(companionText(sha256Hex(other)));
  assert.throws(
    () => verifySnapshotBytes('vm/fw_1', other, otherCompanion, sha256Hex(snapshot)),
    integrityError('BASELINE_TAMPERED', /was approved/),
  );
});

test('documents are two-space JSON in UTF-8 and read back equal', () => {
  const document = { name: 'wéb ☃', rules: [1, null, { a: '__proto__' }] };
  const bytes = documentBytes(document);
  assert.equal(new TextDecoder().decode(bytes), `${JSON.stringify(document, null, 2)}\n`);
  assert.deepEqual(parseDocument(bytes), document);
});
