import fc from 'fast-check';

/** Rulesets as text, with everything that makes reading them hard. */

const CHAINS = ['A', 'B-1', 'f2b-sshd', '__proto__', 'KUBE-SVC-AAAAAAAAAAAAAAAA'];

const strings = fc.oneof(
  fc.string({ maxLength: 24 }),
  fc.constantFrom(
    'x" -j ACCEPT y',
    "it's",
    'a\\',
    '!',
    '-j',
    '--dport 22',
    '# no comment',
    ' blanks ',
    '__proto__',
    'é😀',
  ),
);

function quoted(value: string): string {
  const oneLine = value.replace(/[\r\n\t\0]/g, ' ');
  return `"${oneLine.replace(/["\\]/g, '\\$&')}"`;
}

const ports = fc.integer({ min: 0, max: 65535 });
const octet = fc.integer({ min: 0, max: 255 });
const address = fc
  .tuple(octet, octet, octet, octet, fc.integer({ min: 1, max: 32 }))
  .map(([a, b, c, d, length]) => `${a}.${b}.${c}.${d}/${length}`);

const negation = fc.constantFrom('', '! ');

const conditions: readonly fc.Arbitrary<string>[] = [
  fc.tuple(negation, address).map(([not, value]) => `${not}-s ${value}`),
  fc.tuple(negation, address).map(([not, value]) => `${not}-d ${value}`),
  fc.tuple(negation, fc.constantFrom('eth0', 'lo', 'br-+')).map(([not, value]) => `${not}-i ${value}`),
  fc.tuple(negation, fc.constantFrom('eth1', 'docker0')).map(([not, value]) => `${not}-o ${value}`),
  fc.tuple(negation, ports).map(([not, port]) => `-p tcp -m tcp ${not}--dport ${port}`),
  fc.tuple(negation, ports).map(([not, port]) => `-p udp ${not}--sport ${port}`),
  fc
    .uniqueArray(ports, { minLength: 1, maxLength: 15 })
    .map((list) => `-p tcp -m multiport --dports ${list.join(',')}`),
  strings.map((value) => `-m comment --comment ${quoted(value)}`),
  fc
    .tuple(negation, fc.subarray(['NEW', 'ESTABLISHED', 'RELATED', 'INVALID'], { minLength: 1 }))
    .map(([not, states]) => `-m conntrack ${not}--ctstate ${states.join(',')}`),
  fc
    .tuple(fc.integer({ min: 1, max: 5000 }), fc.constantFrom('sec', 'min', 'hour', 'day'))
    .map(([count, unit]) => `-m limit --limit ${count}/${unit}`),
  fc.tuple(negation, fc.integer({ min: 0, max: 0xffff_ffff })).map(([not, mark]) => `-m mark ${not}--mark ${mark}`),
  fc.constantFrom('-f', '! -f', '-m unheard-of --of 1 ! --this "a b"', '--stray', 'loose'),
];

const targets = fc.oneof(
  fc.constantFrom('-j ACCEPT', '-j DROP', '-j RETURN', '-j REJECT', '-j NOTRACK', '', '-j UNHEARD --of it'),
  fc.constantFrom(...CHAINS).chain((chain) => fc.constantFrom(`-j ${chain}`, `-g ${chain}`)),
  strings.map((value) => `-j LOG --log-prefix ${quoted(value)}`),
  fc.integer({ min: 0, max: 0xffff }).map((mark) => `-j MARK --set-mark ${mark}`),
);

const rule = fc
  .tuple(fc.array(fc.oneof(...conditions), { maxLength: 4 }), targets)
  .map(([parts, target]) => [...parts, target].filter((part) => part !== '').join(' '));

export interface TextRule {
  readonly chain: string;
  readonly body: string;
}

export const textRules: fc.Arbitrary<TextRule[]> = fc.array(
  fc.record({ chain: fc.constantFrom('INPUT', 'FORWARD', ...CHAINS), body: rule }),
  { maxLength: 25 },
);

export function textOf(rules: readonly TextRule[], policy = 'ACCEPT'): string {
  return [
    '*filter',
    `:INPUT ${policy} [0:0]`,
    ':FORWARD DROP [0:0]',
    ':OUTPUT ACCEPT [0:0]',
    ...CHAINS.map((chain) => `:${chain} - [0:0]`),
    ...rules.map(({ chain, body }) => `-A ${chain} ${body}`.trimEnd()),
    'COMMIT',
    '',
  ].join('\n');
}
