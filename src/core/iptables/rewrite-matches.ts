import type { RuleOption } from './extension.ts';
import type { Family } from './model.ts';
import { printHex } from './values.ts';
import { printRate, readRate } from './values-rare.ts';

/**
 * What the tools do to a match beyond option by option. Every rewrite gets understood options only, in table order, and
 * gives those that iptables-save would print.
 */

export function has(options: readonly RuleOption[], name: string): boolean {
  return options.some((option) => option.name === name);
}

export function made(name: string, ...values: string[]): RuleOption {
  return { name, negated: false, values, spec: null, understood: true };
}

/** `options` with `added` put before the first of `before` that is there, else at the end. */
export function insert(options: readonly RuleOption[], added: RuleOption, before: readonly string[]): RuleOption[] {
  const at = options.findIndex((option) => before.includes(option.name));
  return at === -1 ? [...options, added] : [...options.slice(0, at), added, ...options.slice(at)];
}

export function rewriteTcp(options: RuleOption[]): RuleOption[] {
  return options.flatMap((option) => {
    if (option.name === '--syn') {
      return [{ ...made('--tcp-flags', 'FIN,SYN,RST,ACK', 'SYN'), negated: option.negated }];
    }
    const always = option.name === '--tcp-flags' && option.values.join() === 'NONE,NONE' && !option.negated;
    return always ? [] : [option];
  });
}

export function rewriteRecent(options: RuleOption[], family: Family): RuleOption[] {
  let result = options;
  if (!has(result, '--name')) result = insert(result, made('--name', 'DEFAULT'), ['--mask', '--rsource', '--rdest']);
  if (!has(result, '--mask')) {
    const whole = family === 'ipv4' ? '255.255.255.255' : 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff';
    result = insert(result, made('--mask', whole), ['--rsource', '--rdest']);
  }
  if (!has(result, '--rsource') && !has(result, '--rdest')) result = [...result, made('--rsource')];
  return result;
}

export function rewriteStatistic(options: RuleOption[]): RuleOption[] {
  return has(options, '--every') && !has(options, '--packet') ? [...options, made('--packet', '0')] : options;
}

export function rewriteConnlimit(options: RuleOption[], family: Family): RuleOption[] {
  const whole = family === 'ipv4' ? 32 : 128;
  // Older versions know no `--connlimit-upto` and save `! --connlimit-above` for it.
  let result = options.map((option) =>
    option.name === '--connlimit-above' && option.negated ? made('--connlimit-upto', ...option.values) : option,
  );
  if (!has(result, '--connlimit-mask')) {
    result = insert(result, made('--connlimit-mask', String(whole)), ['--connlimit-saddr', '--connlimit-daddr']);
  }
  if (!has(result, '--connlimit-saddr') && !has(result, '--connlimit-daddr')) {
    result = [...result, made('--connlimit-saddr')];
  }
  return result;
}

const HASHLIMIT_SCALE = 1_000_000;

/** The expiry that is not printed is the unit of the printed rate; the one that is assumed, the unit as written. */
export function rewriteHashlimit(options: RuleOption[], family: Family): RuleOption[] {
  let seconds = 1;
  let printedSeconds = 1;
  let inBytes = false;
  // Then the unit of the rate is kept as an interval, and the rate is saved as one of a second.
  const isRateMatch = has(options, '--hashlimit-rate-match');
  let result = options.map((option) => {
    if (option.name !== '--hashlimit-upto' && option.name !== '--hashlimit-above') return option;
    const rate = readRate(option.values[0] ?? '');
    if (rate === null) {
      inBytes = true;
      return option;
    }
    const printed = isRateMatch
      ? { text: `${rate.count}/sec`, seconds: 1 }
      : printRate(rate.count, rate.seconds, HASHLIMIT_SCALE);
    if (printed === null) return option;
    seconds = rate.seconds;
    printedSeconds = printed.seconds;
    return { ...option, values: [printed.text] };
  });
  if (!inBytes && !has(result, '--hashlimit-burst')) {
    result = [...result.slice(0, 1), made('--hashlimit-burst', '5'), ...result.slice(1)];
  }
  if (isRateMatch) {
    const interval = options.find(({ name }) => name === '--hashlimit-rate-interval')?.values[0] ?? String(seconds);
    result = result.filter(({ name }) => name !== '--hashlimit-rate-interval');
    if (interval !== '1') result.push(made('--hashlimit-rate-interval', interval));
  }
  const whole = family === 'ipv4' ? '32' : '128';
  result = result.filter(
    ({ name, values }) => !((name === '--hashlimit-srcmask' || name === '--hashlimit-dstmask') && values[0] === whole),
  );
  const expiry = result.find((option) => option.name === '--hashlimit-htable-expire');
  if (expiry === undefined && seconds !== printedSeconds) {
    result = insert(result, made('--hashlimit-htable-expire', String(seconds * 1000)), [
      '--hashlimit-srcmask',
      '--hashlimit-dstmask',
      '--hashlimit-rate-match',
      '--hashlimit-rate-interval',
    ]);
  } else if (expiry !== undefined && expiry.values[0] === String(printedSeconds * 1000)) {
    result = result.filter((option) => option !== expiry);
  }
  return result;
}

export function rewriteDscpMatch(options: RuleOption[]): RuleOption[] {
  return options.map((option) => (option.name === '--dscp-class' ? { ...option, name: '--dscp' } : option));
}

export function rewriteCluster(options: RuleOption[]): RuleOption[] {
  return options.map((option) => {
    if (option.name !== '--cluster-local-node') return option;
    const node = Number(option.values[0]);
    return { ...option, name: '--cluster-local-nodemask', values: [printHex((1 << (node - 1)) >>> 0, 8)] };
  });
}

const POLICY_ORDER = ['--reqid', '--spi', '--proto', '--mode', '--tunnel-dst', '--tunnel-src'];

/** The options of one element in the printed order; the elements themselves, parted by `--next`, stay in theirs. */
export function rewritePolicy(options: RuleOption[]): RuleOption[] {
  const leading = ['--dir', '--pol', '--strict'];
  const head = leading.flatMap((name) => options.filter((option) => option.name === name));
  const result = [...head];
  let element: RuleOption[] = [];
  const flush = (): void => {
    element.sort((a, b) => POLICY_ORDER.indexOf(a.name) - POLICY_ORDER.indexOf(b.name));
    for (const option of element) result.push(option);
    element = [];
  };
  for (const option of options) {
    if (option.name === '--next') {
      flush();
      result.push(option);
    } else if (!leading.includes(option.name)) {
      element.push(option);
    }
  }
  flush();
  return result;
}

/** `|0d 0a|` parts of a hex string as bytes, the rest as its UTF-8 bytes; null when a `|` is not closed. */
function hexStringBytes(text: string): number[] | null {
  const bytes: number[] = [];
  const parts = text.split('|');
  if (parts.length % 2 === 0) return null;
  for (const [index, part] of parts.entries()) {
    if (index % 2 === 0) {
      for (const byte of utf8Bytes(part)) bytes.push(byte);
      continue;
    }
    const digits = part.replace(/\s+/g, '');
    if (!/^(?:[0-9a-fA-F]{2})*$/.test(digits)) return null;
    for (let at = 0; at < digits.length; at += 2) bytes.push(Number.parseInt(digits.slice(at, at + 2), 16));
  }
  return bytes;
}

function utf8Bytes(text: string): number[] {
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    else {
      bytes.push(0xf0 | (code >> 18), 0x80 | ((code >> 12) & 63), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    }
  }
  return bytes;
}

const BACKSLASH = 0x5c;

/** A pattern with a byte that cannot be printed, or a backslash at its end, is saved in hex, any other as a string. */
export function rewriteString(options: RuleOption[]): RuleOption[] {
  return options.flatMap((option) => {
    if (option.name === '--to' && option.values[0] === '65535') return [];
    if (option.name !== '--string' && option.name !== '--hex-string') return [option];
    const value = option.values[0] ?? '';
    const bytes = option.name === '--string' ? utf8Bytes(value) : hexStringBytes(value);
    if (bytes === null) return [option];
    const printable = bytes.every((byte) => byte >= 0x20 && byte < 0x7f) && bytes.at(-1) !== BACKSLASH;
    if (printable) return [{ ...option, name: '--string', values: [String.fromCharCode(...bytes)] }];
    const digits = bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return [{ ...option, name: '--hex-string', values: [`|${digits}|`] }];
  });
}

/** Counters are updated unless that is negated: said plainly, it says nothing. */
export function rewriteSet(options: RuleOption[]): RuleOption[] {
  return options.filter(
    ({ name, negated }) => negated || (name !== '--update-counters' && name !== '--update-subcounters'),
  );
}

/** A negated range is kept with its ends exchanged: of one number nothing is left of the negation. */
export function rewriteConnbytes(options: RuleOption[]): RuleOption[] {
  return options.map((option) => {
    const [low, high] = (option.values[0] ?? '').split(':');
    return option.negated && low === high ? { ...option, negated: false } : option;
  });
}

const LAST_DATE = '2038-01-19T03:14:07';
const MONTH_DAYS = Array.from({ length: 31 }, (_, index) => String(index + 1));
const WEEK_DAYS = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];

/** Both ends of the day or none, the days that match and not those that do not, and the end of 32-bit time. */
export function rewriteTime(options: RuleOption[]): RuleOption[] {
  let result = options.flatMap((option) => {
    if (option.name === '--utc') return [];
    if (option.name === '--localtz') return has(options, '--kerneltz') ? [] : [made('--kerneltz')];
    if (option.name === '--monthdays') return daysThatMatch(option, MONTH_DAYS);
    return option.name === '--weekdays' ? daysThatMatch(option, WEEK_DAYS) : [option];
  });
  const start = result.find((option) => option.name === '--timestart')?.values[0] ?? '00:00:00';
  const stop = result.find((option) => option.name === '--timestop')?.values[0] ?? '23:59:59';
  result = result.filter((option) => option.name !== '--timestart' && option.name !== '--timestop');
  if (!has(result, '--datestop')) {
    result = insert(result, made('--datestop', LAST_DATE), ['--kerneltz', '--contiguous']);
  }
  if (start === '00:00:00' && stop === '23:59:59') return result;
  return [made('--timestart', start), made('--timestop', stop), ...result];
}

function daysThatMatch(option: RuleOption, all: readonly string[]): RuleOption[] {
  const named = (option.values[0] ?? '').split(',');
  const days = option.negated ? all.filter((day) => !named.includes(day)) : named;
  return days.length === all.length ? [] : [{ ...option, negated: false, values: [days.join(',')] }];
}
