import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assessNftablesDrift } from '../../../src/core/drift/nftables-drift.ts';
import { parseNftRuleset } from '../../../src/core/nftables/index.ts';

type Statement = object;

const field = (protocol: string, name: string) => ({ payload: { protocol, field: name } });
const is = (left: object, right: unknown, op = '=='): Statement => ({ match: { op, left, right } });
const port = (number: unknown): Statement => is(field('tcp', 'dport'), number);
const source = (address: unknown): Statement => is(field('ip', 'saddr'), address);
const destination = (address: unknown): Statement => is(field('ip', 'daddr'), address);
const state = (...states: string[]): Statement => is({ ct: { key: 'state' } }, states, 'in');
const accept: Statement = { accept: null };
const drop: Statement = { drop: null };
const snat: Statement = { snat: { addr: '192.0.2.9' } };
const mark: Statement = { mangle: { key: { meta: { key: 'mark' } }, value: 1 } };
const jump = (target: string): Statement => ({ jump: { target } });

interface Host {
  readonly table?: string;
  readonly flags?: string;
  readonly policy?: string;
  readonly hook?: string;
  readonly type?: string;
  readonly rules?: readonly (readonly Statement[])[];
  readonly chains?: Readonly<Record<string, readonly (readonly Statement[])[]>>;
  readonly elements?: readonly unknown[];
  readonly map?: readonly unknown[];
}

/** One table with base chain `c`, set `s`, verdict map `m` and other chains. */
function listing({
  table = 't',
  flags,
  policy = 'drop',
  hook = 'input',
  type = 'filter',
  rules = [],
  chains = {},
  elements,
  map,
}: Host): string {
  const place = { family: 'inet', table };
  const rulesOf = (chain: string, list: readonly (readonly Statement[])[]) =>
    list.map((expr) => ({ rule: { ...place, chain, expr } }));
  return JSON.stringify({
    nftables: [
      { metainfo: { version: '1.0.6', json_schema_version: 1 } },
      { table: { family: 'inet', name: table, ...(flags === undefined ? {} : { flags }) } },
      { chain: { ...place, name: 'c', type, hook, prio: 0, policy } },
      ...Object.keys(chains).map((name) => ({ chain: { ...place, name } })),
      ...(elements === undefined
        ? []
        : [{ set: { ...place, name: 's', type: 'ipv4_addr', flags: ['timeout'], elem: elements } }]),
      ...(map === undefined ? [] : [{ map: { ...place, name: 'm', type: 'inet_service', map: 'verdict', elem: map } }]),
      ...rulesOf('c', rules),
      ...Object.entries(chains).flatMap(([name, list]) => rulesOf(name, list)),
    ],
  });
}

function judge(before: Host, after: Host): string[] {
  const changes = assessNftablesDrift(
    parseNftRuleset(listing(before)).ruleset,
    parseNftRuleset(listing(after)).ruleset,
  );
  return changes.map(({ kind, severity, reason }) => `${severity} ${kind}: ${reason}`);
}

/** What changes, on which host, and how the report reads. */
const ROWS: readonly (readonly [what: string, before: Host, after: Host, wanted: readonly RegExp[]])[] = [
  [
    'an accept under policy drop opens a service',
    { rules: [[port(443), accept]] },
    {
      rules: [
        [port(443), accept],
        [port(22), accept],
      ],
    },
    [/^critical rules_added: SSH \(tcp\/22\) is now accepted at the input hook: SSH is open to any source$/],
  ],
  [
    'an accept of another port from anywhere opens less than an administration port does',
    {},
    { rules: [[port(8080), accept]] },
    [/^high rules_added: tcp\/8080 is now accepted at the input hook, from any source$/],
  ],
  [
    'a range that holds a database port is as loud as the port',
    {},
    { rules: [[port({ range: [3000, 4000] }), accept]] },
    [/^critical rules_added: .*MySQL is open to any source$/],
  ],
  [
    'an accept for one network opens to that network only',
    {},
    { rules: [[source({ prefix: { addr: '10.0.0.0', len: 8 } }), port(22), accept]] },
    [/^medium rules_added: SSH \(tcp\/22\) from 10\.0\.0\.0\/8 is now accepted at the input hook$/],
  ],
  [
    'an accept on the way out lets the host send, not others in',
    { hook: 'output' },
    { hook: 'output', rules: [[port(22), accept]] },
    [/^medium rules_added: SSH \(tcp\/22\) is now accepted at the output hook$/],
  ],
  [
    'an accept where nothing drops changes nothing',
    { policy: 'accept' },
    { policy: 'accept', rules: [[port(22), accept]] },
    [/^low rules_added: .*nothing dropped it before/],
  ],
  [
    'an accept that an earlier rule makes already changes nothing',
    { rules: [[port(22), accept]] },
    {
      rules: [
        [port(22), accept],
        [source('10.0.0.1'), port(22), accept],
      ],
    },
    [/^low rules_added: .*an earlier one did so before/],
  ],
  [
    'replies are accepted',
    {},
    { rules: [[state('established', 'related'), accept]] },
    [/^medium rules_added: Replies/],
  ],
  [
    'loopback is accepted',
    {},
    { rules: [[is({ meta: { key: 'iif' } }, 'lo'), accept]] },
    [/^medium rules_added: Loopback/],
  ],
  [
    'a chain that accepts everything is jumped to',
    { chains: { open: [[accept]] } },
    { rules: [[jump('open')]], chains: { open: [[accept]] } },
    [/^critical rules_added: All traffic is now accepted/],
  ],
  [
    'an accept of one port behind a jump is no accept of everything',
    { chains: { web: [[port(80), accept]] } },
    { rules: [[jump('web')]], chains: { web: [[port(80), accept]] } },
    [/^high rules_added: What chain web picks of all traffic is now accepted at the input hook, from any source$/],
  ],
  [
    'the last accept of a service goes',
    {
      rules: [
        [port(22), accept],
        [port(80), accept],
      ],
    },
    { rules: [[port(80), accept]] },
    [/^critical rules_removed: SSH \(tcp\/22\) is no longer accepted.*lock-out/],
  ],
  [
    'a narrower of two accepts goes',
    {
      rules: [
        [port(22), accept],
        [source('10.0.0.1'), port(22), accept],
      ],
    },
    { rules: [[port(22), accept]] },
    [/^medium rules_removed: .*a wider one remains/],
  ],
  [
    'one of two equal rules goes',
    {
      rules: [
        [port(22), accept],
        [port(22), accept],
      ],
    },
    { rules: [[port(22), accept]] },
    [/^low rules_removed: .*the same rule/],
  ],
  [
    'an accept goes where nothing drops',
    { policy: 'accept', rules: [[port(22), accept]] },
    { policy: 'accept' },
    [/^low rules_removed: .*nothing drops it/],
  ],
  [
    'a drop is added',
    { policy: 'accept' },
    { policy: 'accept', rules: [[port(22), drop]] },
    [/^critical rules_added: SSH \(tcp\/22\) is now dropped/],
  ],
  [
    'a drop goes',
    { policy: 'accept', rules: [[port(22), drop]] },
    { policy: 'accept' },
    [/^critical rules_removed: .*no longer dropped/],
  ],
  [
    'a drop is added where all is dropped',
    { rules: [[port(80), accept]] },
    { rules: [[port(80), accept], [drop]] },
    [/^medium rules_added/],
  ],
  [
    'a drop overtakes an accept',
    {
      rules: [
        [port(22), accept],
        [port(23), accept],
        [source('10.0.0.0'), drop],
      ],
    },
    {
      rules: [
        [source('10.0.0.0'), drop],
        [port(22), accept],
        [port(23), accept],
      ],
    },
    [/^critical rules_repositioned: .*moved up at .*: it changed places with rules that decide the opposite/],
  ],
  [
    'an accept moves among accepts, and a drop came far from it',
    {
      rules: [[port(22), accept], [port(23), accept], [port(24), accept], [drop]],
    },
    {
      rules: [[source('10.0.0.0'), drop], [port(24), accept], [port(22), accept], [port(23), accept], [drop]],
    },
    [/^low rules_repositioned: .*no rule that it passed decides otherwise/, /^critical rules_added/],
  ],
  [
    'an accept passes a drop while rules before both are gone',
    {
      rules: [
        [port(1), accept],
        [port(2), accept],
        [port(3), accept],
        [port(22), accept],
        [source('10.0.0.0'), drop],
        [port(23), accept],
        [port(24), accept],
      ],
    },
    {
      rules: [
        [source('10.0.0.0'), drop],
        [port(23), accept],
        [port(24), accept],
        [port(22), accept],
      ],
    },
    [
      /^critical rules_repositioned: .*moved down at .*: it changed places with rules that decide the opposite/,
      ...Array(3).fill(/^critical rules_removed/),
    ],
  ],
  [
    'a return moves',
    {
      rules: [
        [port(22), accept],
        [port(23), accept],
        [source('10.0.0.0'), { return: null }],
      ],
    },
    {
      rules: [
        [source('10.0.0.0'), { return: null }],
        [port(22), accept],
        [port(23), accept],
      ],
    },
    [/^high rules_repositioned: .*other rules than before are met first/],
  ],
  [
    'masquerading overtakes the translation to a fixed address',
    {
      type: 'nat',
      hook: 'postrouting',
      rules: [[destination('10.0.0.1'), snat], [port(22), snat], [{ masquerade: null }]],
    },
    {
      type: 'nat',
      hook: 'postrouting',
      rules: [[{ masquerade: null }], [destination('10.0.0.1'), snat], [port(22), snat]],
    },
    [/^high rules_repositioned: .*of two rules for address translation the other may decide/],
  ],
  [
    'marking moves before an accept',
    { rules: [[port(22), accept], [port(23), accept], [mark]] },
    { rules: [[mark], [port(22), accept], [port(23), accept]] },
    [/^medium rules_repositioned: .*other packets than before may be marked/],
  ],
  [
    'an element of an allowed set gets a comment',
    { elements: ['192.0.2.1', '192.0.2.2'], rules: [[is(field('ip', 'saddr'), '@s'), accept]] },
    {
      elements: ['192.0.2.1', { elem: { val: '192.0.2.2', comment: 'the office' } }],
      rules: [[is(field('ip', 'saddr'), '@s'), accept]],
    },
    [/^low sets_changed: Only comments of elements of set s changed/],
  ],
  [
    'the WireServer is blocked by its address',
    { hook: 'output', policy: 'accept' },
    { hook: 'output', policy: 'accept', rules: [[destination('168.63.129.16'), drop]] },
    [/^critical rules_added: The Azure WireServer 168\.63\.129\.16 is now blocked/],
  ],
  [
    'the WireServer is blocked by a network around it',
    { hook: 'output', policy: 'accept' },
    {
      hook: 'output',
      policy: 'accept',
      rules: [[destination({ prefix: { addr: '168.63.0.0', len: 16 } }), { reject: null }]],
    },
    [/^critical rules_added: The Azure WireServer/],
  ],
  [
    'a drop that leaves the WireServer out does not block it',
    { hook: 'output', policy: 'accept' },
    { hook: 'output', policy: 'accept', rules: [[is(field('ip', 'daddr'), '168.63.129.16', '!='), port(80), drop]] },
    [/^critical rules_added: HTTP .*is now dropped at the output hook$/],
  ],
  [
    'output is dropped by default',
    { hook: 'output', policy: 'accept' },
    { hook: 'output' },
    [/^critical policy_changes: .*WireServer/],
  ],
  [
    'a rule of a dormant table is added',
    { flags: 'dormant' },
    { flags: 'dormant', rules: [[accept]] },
    [/^low rules_added: .*dormant/],
  ],
  [
    'a garbled table flag is not trusted to be dormant',
    { flags: 'xyz' },
    { flags: 'xyz', rules: [[accept]] },
    [/^critical rules_added/],
  ],
  [
    'a rule that nothing leads to is added',
    { chains: { spare: [] } },
    { chains: { spare: [[accept]] } },
    [/^low rules_added: .*no base chain leads to spare/],
  ],
  [
    'an address joins a set that accepts',
    { rules: [[source('@s'), accept]], elements: ['192.0.2.1'] },
    { rules: [[source('@s'), accept]], elements: ['192.0.2.1', '192.0.2.2'] },
    [/^critical sets_changed: 1 element added in set s, which an accept rule looks into$/],
  ],
  [
    'an address joins a set that only marks',
    { rules: [[source('@s'), { mangle: { key: { meta: { key: 'mark' } }, value: 1 } }]], elements: [] },
    { rules: [[source('@s'), { mangle: { key: { meta: { key: 'mark' } }, value: 1 } }]], elements: ['192.0.2.2'] },
    [/^medium sets_changed/],
  ],
  ['an unused set changes', { elements: [] }, { elements: ['192.0.2.2'] }, [/^low sets_changed: .*no rule in use/]],
  [
    'the WireServer joins a set that drops',
    { policy: 'accept', rules: [[destination('@s'), drop]], elements: [] },
    { policy: 'accept', rules: [[destination('@s'), drop]], elements: [{ prefix: { addr: '168.63.129.0', len: 24 } }] },
    [/^critical sets_changed: .*WireServer/],
  ],
  [
    'a ban with a lifetime comes and goes by itself',
    {
      policy: 'accept',
      rules: [[source('@s'), drop]],
      elements: [{ elem: { val: '192.0.2.1', timeout: 60, expires: 3 } }],
    },
    {
      policy: 'accept',
      rules: [[source('@s'), drop]],
      elements: [{ elem: { val: '192.0.2.2', timeout: 60, expires: 50 } }],
    },
    [/^noise sets_changed/],
  ],
  [
    'an accept with a lifetime is an accept',
    { rules: [[source('@s'), accept]], elements: [] },
    { rules: [[source('@s'), accept]], elements: [{ elem: { val: '192.0.2.2', timeout: 60, expires: 50 } }] },
    [/^critical sets_changed/],
  ],
  [
    'a verdict map gets a jump to a chain that accepts',
    { rules: [[{ vmap: { key: field('tcp', 'dport'), data: '@m' } }]], map: [], chains: { web: [[accept]] } },
    {
      rules: [[{ vmap: { key: field('tcp', 'dport'), data: '@m' } }]],
      map: [[80, { jump: { target: 'web' } }]],
      chains: { web: [[accept]] },
    },
    [/^critical sets_changed: .*verdict map m/],
  ],
  [
    'a limit changes',
    { rules: [[port(22), { limit: { rate: 5, per: 'second' } }, accept]] },
    { rules: [[port(22), { limit: { rate: 50, per: 'second' } }, accept]] },
    [/^medium rules_modified: The limit/],
  ],
  [
    'a log prefix changes',
    { rules: [[port(22), { log: { prefix: 'a' } }, accept]] },
    { rules: [[port(22), { log: { prefix: 'b' } }, accept]] },
    [/^low rules_modified: Only counting/],
  ],
  [
    'a destination changes',
    { type: 'nat', hook: 'prerouting', policy: 'accept', rules: [[port(80), { dnat: { addr: '10.0.0.1' } }]] },
    { type: 'nat', hook: 'prerouting', policy: 'accept', rules: [[port(80), { dnat: { addr: '10.6.6.6' } }]] },
    [/^critical rules_modified: .*another destination/],
  ],
  [
    'tracking ends for all',
    { hook: 'prerouting', policy: 'accept' },
    { hook: 'prerouting', policy: 'accept', rules: [[{ notrack: null }]] },
    [/^critical rules_added/],
  ],
  [
    'a port is rewritten, as translation does',
    { hook: 'prerouting', policy: 'accept' },
    {
      hook: 'prerouting',
      policy: 'accept',
      rules: [[port(2222), { mangle: { key: field('tcp', 'dport'), value: 22 } }]],
    },
    [/^critical rules_added: tcp\/2222 is now sent to another destination at the prerouting hook$/],
  ],
  [
    'connections that FTP announces are expected',
    { hook: 'prerouting', policy: 'accept' },
    { hook: 'prerouting', policy: 'accept', rules: [[port(2121), { 'ct helper': 'ftp' }]] },
    [/^medium rules_added: Connections that tcp\/2121 announces now count as related/],
  ],
  ['a statement nobody knows is added', {}, { rules: [[{ teleport: null }]] }, [/^high rules_added: .*cannot read/]],
];

for (const [what, before, after, wanted] of ROWS) {
  test(`Judged: ${what}`, () => {
    const reported = judge(before, after);
    assert.equal(reported.length, wanted.length, reported.join('\n'));
    for (const [index, pattern] of wanted.entries()) assert.match(reported[index] ?? '', pattern);
  });
}

test('A name is no alibi: an accept for everything in a table called like fail2ban is loud', () => {
  const [before, after] = [
    { table: 'f2b-table', policy: 'accept' },
    { table: 'f2b-table', policy: 'accept', rules: [[accept]] },
  ];
  const [change] = assessNftablesDrift(
    parseNftRuleset(listing(before)).ruleset,
    parseNftRuleset(listing(after)).ruleset,
  );
  assert.deepEqual([change?.owner, change?.ephemeral], ['fail2ban', false]);
});

test('The policy of a tool’s chain is never folded', () => {
  const [change] = assessNftablesDrift(
    parseNftRuleset(listing({ table: 'f2b-table', policy: 'accept' })).ruleset,
    parseNftRuleset(listing({ table: 'f2b-table', policy: 'drop' })).ruleset,
  );
  assert.deepEqual([change?.kind, change?.severity, change?.ephemeral], ['policy_changes', 'critical', false]);
});

test('Service chains of kube-proxy are folded as its churn', () => {
  const place = { family: 'ip', table: 'kube-proxy' };
  const service = (...endpoints: string[]): string =>
    JSON.stringify({
      nftables: [
        { table: { family: 'ip', name: 'kube-proxy' } },
        { chain: { ...place, name: 'service-LEPPMOQ2-default/web/tcp/http' } },
        ...endpoints.map((name) => ({ chain: { ...place, name } })),
        {
          rule: {
            ...place,
            chain: 'service-LEPPMOQ2-default/web/tcp/http',
            handle: 9,
            expr: [
              {
                vmap: {
                  key: { numgen: { mode: 'random', mod: endpoints.length, offset: 0 } },
                  data: { set: endpoints.map((target, index) => [index, { goto: { target } }]) },
                },
              },
            ],
          },
        },
        ...endpoints.map((chain) => ({
          rule: {
            ...place,
            chain,
            expr: [
              is({ meta: { key: 'l4proto' } }, 'tcp'),
              { dnat: { addr: /__(.+)\//.exec(chain)?.[1] ?? '', port: 80 } },
            ],
          },
        })),
      ],
    });
  const [one, two] = [
    'endpoint-AAAAAAAA-default/web/tcp/http__10.244.0.9/80',
    'endpoint-BBBBBBBB-default/web/tcp/http__10.244.0.10/80',
  ];
  const changes = assessNftablesDrift(
    parseNftRuleset(service(one)).ruleset,
    parseNftRuleset(service(one, two)).ruleset,
  );
  assert.deepEqual(
    changes.map(({ kind, owner, severity, ephemeral }) => [kind, owner, severity, ephemeral]),
    [
      ['rules_modified', 'kube-proxy', 'noise', true],
      ['chains_added', 'kube-proxy', 'noise', true],
    ],
  );
});

test('Twenty thousand changed rules of one chain are judged', () => {
  // Each asks what stands before and behind it: looked for anew for every rule this took a minute and a half.
  const rules = (kind: (address: string) => Statement) =>
    Array.from({ length: 20_000 }, (_, index) => [kind(`10.0.${index >> 8}.${index & 255}`), port(443), accept]);
  const changes = assessNftablesDrift(
    parseNftRuleset(listing({ rules: rules(source) })).ruleset,
    parseNftRuleset(listing({ rules: rules(destination) })).ruleset,
  );
  assert.equal(changes.length, 20_000);
});
