import fc from 'fast-check';
import type { Json } from '../../../src/core/json.ts';
import type { NftRuleset } from '../../../src/core/nftables/index.ts';

/** Wraps items as `nft --json list ruleset` prints them. */
export function listing(items: readonly object[], version = '1.0.6'): string {
  const metainfo = { metainfo: { version, release_name: 'test', json_schema_version: 1 } };
  return JSON.stringify({ nftables: [metainfo, ...items] });
}

const payload = (protocol: string, field: string) => ({ payload: { protocol, field } });
const port = fc.integer({ min: 1, max: 12 });
const address = fc.integer({ min: 1, max: 9 }).map((last) => `192.0.2.${last}`);

const match: fc.Arbitrary<Json> = fc.oneof(
  port.map((right) => ({ match: { op: '==', left: payload('tcp', 'dport'), right } })),
  address.map((right) => ({ match: { op: '!=', left: payload('ip', 'saddr'), right } })),
  fc
    .uniqueArray(port, { minLength: 2, maxLength: 4 })
    .map((set) => ({ match: { op: '==', left: payload('udp', 'dport'), right: { set } } })),
  fc.constant({ match: { op: 'in', left: { ct: { key: 'state' } }, right: ['established', 'related'] } }),
  fc.constant({ match: { op: '==', left: { '&': [payload('tcp', 'flags'), ['fin', 'syn']] }, right: 'syn' } }),
  fc.constantFrom('s0', 's1').map((set) => ({ match: { op: '==', left: payload('ip', 'saddr'), right: `@${set}` } })),
);

const action: fc.Arbitrary<Json> = fc.oneof(
  fc.constantFrom<Json>(
    { accept: null },
    { drop: null },
    { jump: { target: 'c1' } },
    { goto: { target: 'c1' } },
    { notrack: null },
  ),
  fc.nat(5).map((level) => ({ log: { prefix: `p${level} "@x\\` } })),
  fc.nat(9).map((bytes) => ({ counter: { packets: bytes, bytes } })),
  fc.constant<Json>('jump {\n\t\t\taccept\n\t\t}'),
  fc.nat(3).map((novelty) => ({ teleport: { to: novelty } })),
);

const rule = fc.record({
  expr: fc
    .tuple(fc.array(match, { maxLength: 2 }), fc.array(action, { minLength: 1, maxLength: 2 }))
    .map((parts) => parts.flat()),
  comment: fc.option(fc.constantFrom('a', 'b', '__proto__'), { nil: undefined, freq: 3 }),
});

const element: fc.Arbitrary<Json> = fc.oneof(
  address,
  address.map((addr) => ({ elem: { val: addr, comment: 'known' } })),
  address.map((addr) => ({ prefix: { addr, len: 31 } })),
);

const chain = fc.record({
  name: fc.constantFrom('c0', 'c1', 'c2', '__proto__'),
  policy: fc.constantFrom('accept', 'drop'),
  isBase: fc.boolean(),
  rules: fc.array(rule, { maxLength: 7 }),
});

const table = fc.record({
  name: fc.constantFrom('t0', 't1'),
  dormant: fc.boolean(),
  chains: fc.uniqueArray(chain, { selector: ({ name }) => name, maxLength: 3 }),
  sets: fc.uniqueArray(
    fc.record({
      name: fc.constantFrom('s0', 's1'),
      elem: fc.uniqueArray(element, { selector: (one) => JSON.stringify(one), maxLength: 5 }),
    }),
    { selector: ({ name }) => name, maxLength: 2 },
  ),
  map: fc.option(
    fc.uniqueArray(fc.tuple(port, fc.constantFrom<Json>({ accept: null }, { drop: null })), {
      selector: ([key]) => key,
      maxLength: 4,
    }),
  ),
  limit: fc.option(fc.nat(3)),
});

/** Listings small enough to collide often: equal rules, common names, with handles of every quality. */
export const listings: fc.Arbitrary<string> = fc
  .record({
    tables: fc.uniqueArray(table, { selector: ({ name }) => name, maxLength: 2 }),
    handles: fc.constantFrom('counted', 'none', 'zero', 'equal'),
    firstHandle: fc.constantFrom(1, 2, 40),
  })
  .map(({ tables, handles, firstHandle }) => {
    let next = firstHandle;
    const handle = () => {
      next += 1;
      return handles === 'none' ? {} : { handle: handles === 'zero' ? 0 : handles === 'equal' ? 7 : next };
    };
    const items = tables.flatMap(({ name, dormant, chains, sets, map, limit }) => {
      const place = { family: 'inet', table: name };
      return [
        { table: { family: 'inet', name, ...handle(), ...(dormant ? { flags: 'dormant' } : {}) } },
        ...chains.map((one) => ({
          chain: {
            ...place,
            name: one.name,
            ...handle(),
            ...(one.isBase ? { type: 'filter', hook: 'input', prio: 0, policy: one.policy } : {}),
          },
        })),
        ...sets.map((one) => ({
          set: { ...place, name: one.name, type: 'ipv4_addr', ...handle(), flags: ['interval'], elem: one.elem },
        })),
        ...(map === null
          ? []
          : [{ map: { ...place, name: 'm', type: 'inet_service', map: 'verdict', ...handle(), elem: map } }]),
        ...(limit === null ? [] : [{ limit: { ...place, name: 'l', ...handle(), rate: limit, per: 'second' } }]),
        ...chains.flatMap((one) =>
          one.rules.map(({ expr, comment }) => ({
            rule: { ...place, chain: one.name, ...handle(), ...(comment === undefined ? {} : { comment }), expr },
          })),
        ),
      ];
    });
    return listing(items);
  });

const MOVING: ReadonlySet<string> = new Set(['handle', 'packets', 'bytes', 'used', 'expires']);

/** What a ruleset says, without moving parts, in any order but that of rules: for comparing independently of the diff. */
export function contentOf(ruleset: NftRuleset): unknown {
  const plain = (value: unknown): unknown =>
    JSON.parse(JSON.stringify(value, (key, member: unknown) => (MOVING.has(key) ? undefined : member)) ?? 'null');
  const sorted = (values: Iterable<unknown>): unknown[] => [...values].map((value) => JSON.stringify(value)).sort();
  return sorted(
    [...ruleset.tables.values()].map((one) => [
      plain(one.raw),
      sorted([...one.chains.values()].map((each) => [plain(each.raw), each.rules.map((each) => plain(each.raw))])),
      sorted([...one.sets.values()].map((each) => [plain(each.raw), sorted(each.elements.map(plain))])),
      sorted([...one.objects.values(), ...one.flowtables.values()].map((each) => [each.type, plain(each.raw)])),
    ]),
  ).concat(sorted(ruleset.unparsed));
}
