import assert from 'node:assert/strict';
import { test } from 'node:test';
import { diffIpsets, isEmptyIpsetDiff, parseIpsetSave, printIpsetSave } from '../../../src/core/ipset/index.ts';

const SAVED = `create blk hash:net family inet hashsize 1024 maxelem 65536 bucketsize 12 initval 0x910e7200
add blk 203.0.113.0/24
add blk 198.51.100.0/24 nomatch
create combo hash:ip,port,net family inet hashsize 1024 maxelem 65536 timeout 300 counters comment bucketsize 12 initval 0x9be3a7f0
add combo 10.1.1.1,tcp:80,10.2.0.0/16 timeout 299 packets 0 bytes 0 comment "hello w"
create all list:set size 8
add all blk
`;

test('ipset save is printed as it was read', () => {
  const { sets, diagnostics } = parseIpsetSave(SAVED);
  assert.deepEqual(diagnostics, []);
  assert.equal(printIpsetSave(sets), SAVED);
});

test('counters, remaining seconds, sizes and seeds are no difference', () => {
  const later = SAVED.replace('timeout 299', 'timeout 12')
    .replace('packets 0 bytes 0', 'packets 7 bytes 420')
    .replace('hashsize 1024', 'hashsize 4096')
    .replace('0x910e7200', '0x00000001');
  assert.ok(isEmptyIpsetDiff(diffIpsets(parseIpsetSave(SAVED).sets, parseIpsetSave(later).sets)));
});

test('every member, flag and comment that changes is seen', () => {
  const changes: [string, string][] = [
    ['add blk 203.0.113.0/24\n', ''],
    ['add blk 203.0.113.0/24\n', 'add blk 203.0.113.0/24\nadd blk 0.0.0.0/1\n'],
    [' nomatch', ''],
    ['"hello w"', '"hello"'],
    ['timeout 299', 'timeout 0'],
    ['timeout 300', 'timeout 600'],
    ['hash:net family', 'hash:ip family'],
    ['add all blk', 'add all combo'],
    ['maxelem 65536 bucketsize', 'maxelem 10 bucketsize'],
    ['create all list:set size 8\nadd all blk\n', ''],
  ];
  for (const [from, to] of changes) {
    const diff = diffIpsets(parseIpsetSave(SAVED).sets, parseIpsetSave(SAVED.replace(from, to)).sets);
    assert.ok(!isEmptyIpsetDiff(diff), `${from} -> ${to}`);
  }
});

test('text that is no ipset save is kept and told of', () => {
  const { sets, diagnostics } = parseIpsetSave(
    'flush\nadd nowhere 1.2.3.4\ncreate __proto__ hash:ip\nadd __proto__ 1.1.1.1\n',
  );
  assert.deepEqual(sets.unparsed, ['flush', 'add nowhere 1.2.3.4']);
  assert.deepEqual(
    diagnostics.map(({ code, line }) => [code, line]),
    [
      ['IPSET_UNKNOWN_LINE', 1],
      ['IPSET_UNDECLARED_SET', 2],
    ],
  );
  assert.equal(sets.sets.get('__proto__')?.entries.size, 1);
});
