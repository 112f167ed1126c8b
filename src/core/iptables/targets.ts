import { IPV4, IPV6, option, target } from './define.ts';
import type { ExtensionSpec } from './extension.ts';
import {
  rewriteConnmarkTarget,
  rewriteDscpTarget,
  rewriteHmark,
  rewriteMark,
  rewriteNfqueue,
  rewriteReject,
  rewriteTosTarget,
  rewriteTproxy,
} from './rewrite-targets.ts';
import {
  address,
  choice,
  flags,
  hexadecimal,
  interfaceName,
  markAndMask,
  network,
  setDirections,
  text,
  unsigned,
  word,
} from './values.ts';
import { dscp, dscpClass, estimatorTime, tos } from './values-rare.ts';
import {
  class32,
  clusterMac,
  logLevel,
  natRange,
  netmap,
  portNumber,
  portSpan,
  queueRange,
  rejectType,
  stripOptions,
} from './values-targets.ts';

const RANDOM = option('--random');
const RANDOM_FULLY = option('--random-fully');
const PERSISTENT = option('--persistent');
const BYTE = unsigned(255);
const CT_EVENTS = flags('event list', [
  'new',
  'related',
  'destroy',
  'reply',
  'assured',
  'protoinfo',
  'helper',
  'mark',
  'natseqinfo',
  'secmark',
]);

/** Every target extension of iptables, with its options in the order iptables-save prints them. */
export const TARGETS: readonly ExtensionSpec[] = [
  target('REJECT', [option('--reject-with', rejectType)], { rewrite: rewriteReject }),
  target('LOG', [
    option('--log-prefix', text()),
    option('--log-level', logLevel, { silentDefault: '4' }),
    option('--log-tcp-sequence'),
    option('--log-tcp-options'),
    option('--log-ip-options'),
    option('--log-uid'),
    option('--log-macdecode'),
  ]),
  target('NFLOG', [
    option('--nflog-prefix', text()),
    option('--nflog-group', unsigned(65535), { silentDefault: '0' }),
    option('--nflog-range', unsigned(), { silentDefault: '0' }),
    option('--nflog-size', unsigned()),
    option('--nflog-threshold', unsigned(65535), { silentDefault: '0' }),
  ]),
  target(
    'ULOG',
    [
      option('--ulog-prefix', text()),
      option('--ulog-nlgroup', unsigned(32, 1), { silentDefault: '1' }),
      option('--ulog-cprange', unsigned(), { silentDefault: '0' }),
      option('--ulog-qthreshold', unsigned(50, 1), { silentDefault: '1' }),
    ],
    { families: IPV4 },
  ),
  target(
    'NFQUEUE',
    [
      option('--queue-num', unsigned(65535)),
      option('--queue-balance', queueRange),
      option('--queue-bypass'),
      option('--queue-cpu-fanout'),
    ],
    { rewrite: rewriteNfqueue },
  ),
  target('DNAT', [option('--to-destination', natRange), RANDOM, PERSISTENT]),
  target('SNAT', [option('--to-source', natRange), RANDOM, RANDOM_FULLY, PERSISTENT]),
  target('MASQUERADE', [option('--to-ports', portSpan), RANDOM, RANDOM_FULLY]),
  target('REDIRECT', [option('--to-ports', portSpan), RANDOM]),
  target('NETMAP', [option('--to', netmap)]),
  target('SAME', [option('--to', natRange), option('--nodst'), RANDOM], { families: IPV4 }),
  target(
    'MARK',
    [
      option('--set-xmark', markAndMask),
      option('--set-mark', markAndMask),
      option('--and-mark', hexadecimal()),
      option('--or-mark', hexadecimal()),
      option('--xor-mark', hexadecimal()),
    ],
    { rewrite: rewriteMark },
  ),
  target(
    'CONNMARK',
    [
      option('--set-xmark', markAndMask, { aliases: ['--xset-mark'] }),
      option('--set-mark', markAndMask),
      option('--and-mark', hexadecimal()),
      option('--or-mark', hexadecimal()),
      option('--xor-mark', hexadecimal()),
      option('--save-mark'),
      option('--restore-mark'),
      option('--nfmask', hexadecimal()),
      option('--ctmask', hexadecimal()),
      option('--mask', hexadecimal()),
      option('--left-shift-mark', unsigned(32)),
      option('--right-shift-mark', unsigned(32)),
    ],
    { rewrite: rewriteConnmarkTarget },
  ),
  target('CT', [
    option('--notrack'),
    option('--helper', word()),
    option('--timeout', word()),
    option('--ctevents', CT_EVENTS),
    option('--expevents', flags('event list', ['new'])),
    option('--zone-orig', choiceOrNumber(), { silentDefault: '0' }),
    option('--zone-reply', choiceOrNumber(), { silentDefault: '0' }),
    option('--zone', choiceOrNumber(), { silentDefault: '0' }),
  ]),
  target('NOTRACK', []),
  target('SET', [
    option('--add-set', [word('set'), setDirections]),
    option('--exist'),
    option('--timeout', unsigned()),
    option('--del-set', [word('set'), setDirections]),
    option('--map-set', [word('set'), setDirections]),
    option('--map-mark'),
    option('--map-prio'),
    option('--map-queue'),
  ]),
  target('TCPMSS', [option('--set-mss', unsigned(65535)), option('--clamp-mss-to-pmtu')]),
  target('TCPOPTSTRIP', [option('--strip-options', stripOptions)]),
  target('TEE', [option('--gateway', address), option('--oif', interfaceName)]),
  target(
    'TOS',
    [
      option('--set-tos', tos),
      option('--and-tos', hexadecimal(255, 2)),
      option('--or-tos', hexadecimal(255, 2)),
      option('--xor-tos', hexadecimal(255, 2)),
    ],
    { rewrite: rewriteTosTarget },
  ),
  target('DSCP', [option('--set-dscp', dscp), option('--set-dscp-class', dscpClass)], { rewrite: rewriteDscpTarget }),
  target(
    'ECN',
    [
      option('--ecn-tcp-remove'),
      option('--ecn-tcp-ece', unsigned(1)),
      option('--ecn-tcp-cwr', unsigned(1)),
      option('--ecn-ip-ect', unsigned(3)),
    ],
    { families: IPV4 },
  ),
  target('TTL', [option('--ttl-set', BYTE), option('--ttl-dec', BYTE), option('--ttl-inc', BYTE)], { families: IPV4 }),
  target('HL', [option('--hl-set', BYTE), option('--hl-dec', BYTE), option('--hl-inc', BYTE)], { families: IPV6 }),
  target(
    'TPROXY',
    [option('--on-port', portNumber), option('--on-ip', address), option('--tproxy-mark', markAndMask)],
    { rewrite: rewriteTproxy },
  ),
  target('CLASSIFY', [option('--set-class', class32)]),
  target('AUDIT', [option('--type', choice('type', ['accept', 'drop', 'reject']))]),
  target('CHECKSUM', [option('--checksum-fill')]),
  target('CONNSECMARK', [option('--save'), option('--restore')]),
  target('SECMARK', [option('--selctx', word('security context'))]),
  target('IDLETIMER', [
    option('--timeout', unsigned()),
    option('--label', word('label')),
    option('--alarm'),
    option('--send_nl_msg'),
  ]),
  target('LED', [
    option('--led-trigger-id', text()),
    option('--led-delay', word('milliseconds', /^(?:[0-9]+|inf)$/), { silentDefault: '0' }),
    option('--led-always-blink'),
  ]),
  target('RATEEST', [
    option('--rateest-name', word()),
    option('--rateest-interval', estimatorTime),
    option('--rateest-ewmalog', estimatorTime),
  ]),
  target('SYNPROXY', [
    option('--sack-perm'),
    option('--timestamp'),
    option('--wscale', unsigned(14)),
    option('--mss', unsigned(65535)),
    option('--ecn'),
  ]),
  target(
    'HMARK',
    [
      option('--hmark-src-prefix', unsigned(128)),
      option('--hmark-dst-prefix', unsigned(128)),
      option('--hmark-sport-mask', hexadecimal(65535, 4)),
      option('--hmark-dport-mask', hexadecimal(65535, 4)),
      option('--hmark-spi-mask', hexadecimal(0xffffffff, 8)),
      option('--hmark-sport', hexadecimal(65535, 4)),
      option('--hmark-dport', hexadecimal(65535, 4)),
      option('--hmark-spi', hexadecimal(0xffffffff, 8)),
      option('--hmark-proto-mask', hexadecimal(65535, 2)),
      option('--hmark-rnd', hexadecimal(0xffffffff, 8)),
      option('--hmark-mod', unsigned(0xffffffff, 1)),
      option('--hmark-offset', unsigned()),
      option('--hmark-tuple', flags('field list', ['ct', 'src', 'dst', 'sport', 'dport', 'spi', 'proto'])),
    ],
    { rewrite: rewriteHmark },
  ),
  target(
    'CLUSTERIP',
    [
      option('--new'),
      option('--hashmode', choice('mode', ['sourceip', 'sourceip-sourceport', 'sourceip-sourceport-destport'])),
      option('--clustermac', clusterMac),
      option('--total-nodes', unsigned(16, 1)),
      option('--local-node', unsigned(16)),
      option('--hash-init', unsigned()),
    ],
    { families: IPV4 },
  ),
  target('TRACE', []),
  target('DNPT', [option('--src-pfx', network), option('--dst-pfx', network)], { families: IPV6 }),
  target('SNPT', [option('--src-pfx', network), option('--dst-pfx', network)], { families: IPV6 }),
  target('MIRROR', [], { families: IPV4 }),
];

function choiceOrNumber(): typeof network {
  const number = unsigned(65535);
  return {
    kind: 'zone or mark',
    canonical: (value, family) => (value === 'mark' ? value : number.canonical(value, family)),
    typed: (value) => (value === 'mark' ? value : Number(value)),
  };
}
