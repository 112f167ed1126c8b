import type { RuleOption } from './extension.ts';
import type { Family } from './model.ts';
import { has, insert, made } from './rewrite-matches.ts';
import { printHex } from './values.ts';

/** What the tools do to a target beyond option by option; as in rewrite-matches.ts. */

const ALL = 0xffffffff;

export function rewriteReject(options: RuleOption[], family: Family): RuleOption[] {
  if (has(options, '--reject-with')) return options;
  return [made('--reject-with', family === 'ipv4' ? 'icmp-port-unreachable' : 'icmp6-port-unreachable')];
}

export function rewriteNfqueue(options: RuleOption[]): RuleOption[] {
  if (has(options, '--queue-num') || has(options, '--queue-balance')) return options;
  return [made('--queue-num', '0'), ...options];
}

/** `--set-mark v/m` zeroes the bits of v too; and, or, xor are special masks. All are saved as `--set-xmark`. */
function asSetXmark(option: RuleOption): RuleOption {
  const [left = '', right = ''] = (option.values[0] ?? '').split('/');
  const value = Number(left);
  let mark = value;
  let mask = ALL;
  if (option.name === '--set-mark') mask = (Number(right) | value) >>> 0;
  else if (option.name === '--and-mark') [mark, mask] = [0, ~value >>> 0];
  else if (option.name === '--or-mark') mask = value;
  else if (option.name === '--xor-mark') mask = 0;
  else return option;
  return made('--set-xmark', `${printHex(mark)}/${printHex(mask)}`);
}

export function rewriteMark(options: RuleOption[]): RuleOption[] {
  return options.map(asSetXmark);
}

const SHIFTS = ['--left-shift-mark', '--right-shift-mark'];

export function rewriteConnmarkTarget(options: RuleOption[]): RuleOption[] {
  if (!has(options, '--save-mark') && !has(options, '--restore-mark')) return options.map(asSetXmark);
  const mask = options.find((option) => option.name === '--mask')?.values[0];
  let result = options.filter((option) => option.name !== '--mask');
  if (!has(result, '--nfmask')) {
    result = insert(result, made('--nfmask', mask ?? printHex(ALL)), ['--ctmask', ...SHIFTS]);
  }
  if (!has(result, '--ctmask')) result = insert(result, made('--ctmask', mask ?? printHex(ALL)), SHIFTS);
  return result;
}

export function rewriteTosTarget(options: RuleOption[]): RuleOption[] {
  return options.map((option) => {
    const value = Number(option.values[0]);
    const set = (tos: number, mask: number): RuleOption =>
      made('--set-tos', `${printHex(tos, 2)}/${printHex(mask, 2)}`);
    if (option.name === '--and-tos') return set(0, ~value & 0xff);
    if (option.name === '--or-tos') return set(value, value);
    return option.name === '--xor-tos' ? set(value, 0) : option;
  });
}

export function rewriteDscpTarget(options: RuleOption[]): RuleOption[] {
  return options.map((option) => (option.name === '--set-dscp-class' ? { ...option, name: '--set-dscp' } : option));
}

export function rewriteTproxy(options: RuleOption[], family: Family): RuleOption[] {
  let result = options;
  if (!has(result, '--on-ip')) {
    result = insert(result, made('--on-ip', family === 'ipv4' ? '0.0.0.0' : '::'), ['--tproxy-mark']);
  }
  if (!has(result, '--tproxy-mark')) result = [...result, made('--tproxy-mark', '0x0/0x0')];
  return result;
}

const HMARK_ORDER = [
  '--hmark-src-prefix',
  '--hmark-dst-prefix',
  '--hmark-sport-mask',
  '--hmark-dport-mask',
  '--hmark-spi-mask',
];

/** The fields of the tuple are saved as whole masks of each; only `ct` stays a tuple. */
export function rewriteHmark(options: RuleOption[], family: Family): RuleOption[] {
  const tuple = options.find((option) => option.name === '--hmark-tuple');
  if (tuple === undefined) return options;
  const names = (tuple.values[0] ?? '').split(',');
  const whole = family === 'ipv4' ? '32' : '128';
  const masks: [string, string, string][] = [
    ['src', '--hmark-src-prefix', whole],
    ['dst', '--hmark-dst-prefix', whole],
    ['sport', '--hmark-sport-mask', '0xffff'],
    ['dport', '--hmark-dport-mask', '0xffff'],
    ['spi', '--hmark-spi-mask', '0xffffffff'],
    ['proto', '--hmark-proto-mask', '0xffff'],
  ];
  let result = options.filter((option) => option !== tuple);
  for (const [name, mask, value] of masks.reverse()) {
    if (!names.includes(name) || has(result, mask)) continue;
    const later = HMARK_ORDER.includes(mask) ? HMARK_ORDER.slice(HMARK_ORDER.indexOf(mask) + 1) : [];
    const rest = ['--hmark-sport', '--hmark-dport', '--hmark-spi', '--hmark-proto-mask', '--hmark-rnd'];
    const behind = mask === '--hmark-proto-mask' ? ['--hmark-rnd'] : [...later, ...rest];
    result = insert(result, made(mask, value), [...behind, '--hmark-mod', '--hmark-offset']);
  }
  return names.includes('ct') ? [...result, made('--hmark-tuple', 'ct')] : result;
}
