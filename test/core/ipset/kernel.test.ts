import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { diffIpsets, isEmptyIpsetDiff, parseIpsetSave, printIpsetSave } from '../../../src/core/ipset/index.ts';
import { kernelSkipReason } from '../../support/environment.ts';

/** One set of every type, with the options that entries can carry. */
const COMMANDS = `
create a bitmap:ip range 10.0.0.0-10.0.0.255 timeout 300
add a 10.0.0.5 timeout 100
create b bitmap:ip,mac range 10.0.0.0-10.0.0.255 counters
add b 10.0.0.7,02:00:00:00:00:01
create c bitmap:port range 1-1024 comment
add c 80 comment "it's \\ a web $port"
create d hash:ip family inet6 skbinfo
add d 2001:db8::1 skbmark 0x1/0xff skbprio 1:10 skbqueue 3
create e hash:mac
add e 02:00:00:00:00:02
create f hash:ip,mac
add f 10.0.0.1,02:00:00:00:00:03
create g hash:net counters comment timeout 0
add g 10.1.0.0/16 nomatch comment "no"
add g 10.0.0.0/8
create h hash:net,net
add h 10.0.0.0/8,192.0.2.0/24
create i hash:ip,port
add i 10.0.0.1,udp:53
add i 10.0.0.1,icmp:8/0
create j hash:net,port
add j 10.0.0.0/8,tcp:80-82
create k hash:ip,port,ip
add k 10.0.0.1,80,10.0.0.2
create l hash:ip,port,net
add l 10.0.0.1,sctp:80,10.0.0.0/8
create m hash:net,port,net
add m 10.0.0.0/8,80,192.0.2.0/24
create n hash:ip,mark
add n 10.0.0.1,0x10
create o hash:net,iface
add o 10.0.0.0/8,eth0
add o 10.0.0.0/8,eth1 nomatch
create p list:set size 8
add p g
add p d before g
`;

const skip = kernelSkipReason(['ipset']);

function inKernel(restore: string): { saved: string; error: string } {
  const script = 'PATH="$PATH:/usr/sbin:/sbin"; ipset restore && ipset save';
  const run = spawnSync('unshare', ['--net', 'sh', '-c', script], { input: restore, encoding: 'utf8' });
  return { saved: run.stdout, error: run.status === 0 ? '' : run.stderr };
}

test('every type of set is read, printed, and taken back by the kernel the same', { skip }, () => {
  // A kernel may lack a type (hash:mac is rare): those it has are tried.
  const groups = COMMANDS.trim().split(/^(?=create )/m);
  const known = groups.filter((group) => inKernel(group.slice(0, group.indexOf('\n') + 1)).error === '');
  assert.ok(known.length >= 8, `${known.length} types`);
  const first = inKernel(known.join(''));
  assert.equal(first.error, '');
  const { sets, diagnostics } = parseIpsetSave(first.saved);
  assert.deepEqual(diagnostics, []);
  assert.equal(sets.sets.size, known.length);
  assert.equal(printIpsetSave(sets), first.saved);
  const second = inKernel(printIpsetSave(sets));
  assert.equal(second.error, '');
  assert.ok(isEmptyIpsetDiff(diffIpsets(sets, parseIpsetSave(second.saved).sets)));
});
