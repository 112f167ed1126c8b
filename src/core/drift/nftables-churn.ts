import { isJsonArray, isJsonObject, type Json } from '../json.ts';
import type { NftChain, NftChange, NftRule, NftSet, NftTable } from '../nftables/index.ts';
import { addressWithin, isBannable, isPlainNetwork, isPrivateAddress } from './addresses.ts';
import type { TableContext } from './nftables-context.ts';
import { verdictTargets } from './nftables-effects.ts';
import { bareText, isRuleHabit } from './nftables-habits.ts';
import { printMember } from './nftables-judge-set.ts';
import { chainOwner, DOCKER_BRIDGE, isBanTool, NODE_PORT_MIN, type Owner, setOwner, tableOwner } from './owners.ts';

/**
 * Whether a change is what an ephemeral owner makes by itself all day, so that it is folded with a count. Who can write
 * a table can use its owner's names: besides its name, a change must have its owner's shape and leave nothing open.
 */

type RuleChange = Extract<NftChange, { kind: `rule_${string}` }>;
type SetChange = Extract<NftChange, { kind: `set_${string}` }>;

/** Bans come one by one; a list of this size that is empty at once was flushed. */
const FLUSHED_MIN = 10;

/** @param before, after  the table of the rule on both sides */
export function isRuleChurn(
  owner: Owner | null,
  change: RuleChange,
  before: TableContext,
  after: TableContext,
): boolean {
  if (owner?.ephemeral !== true) return false;
  const sides: [NftRule, TableContext][] =
    'rule' in change
      ? [[change.rule, change.kind === 'rule_added' ? after : before]]
      : [
          [change.before, before],
          [change.after, after],
        ];
  if (!sides.every(([rule, context]) => isRuleHabit(owner, rule, context))) return false;
  if (change.kind === 'rule_recreated') return true;
  // What is for all packets comes and goes with its chain only; moved, it is the last that decides.
  const isForAll = sides.some(([rule, context]) => isFinal(rule, context));
  if (change.kind !== 'rule_repositioned' && isForAll) return false;
  const chain = after.table.chains.get(change.chain);
  // Which of two rules moved cannot be told: none of the chain may be another's.
  if (change.kind === 'rule_repositioned' && !areHabits(owner, chain, after)) return false;
  if (chain !== undefined && isLeftEarly(chain, after)) return false;
  // What Docker writes for a network comes with its chains; what for a port comes by itself.
  if (change.kind !== 'rule_repositioned' && change.chain.includes('__') && owner.name === 'docker') {
    if (!sides.every(([rule]) => / dport /.test(bareText(rule)))) return false;
  }
  if (change.kind === 'rule_added' || change.kind === 'rule_repositioned') return true;
  const [was, is] = sides.map(([rule, context]) => [...context.effect(rule).effects].join());
  if (is !== undefined && was !== is) return false;
  // Something that was there is not any more.
  const [[rule, context]] = sides as [[NftRule, TableContext]];
  const { effects } = context.effect(rule);
  if (isBanTool(owner)) return chain?.isBaseChain === false;
  if (owner.name === 'docker') {
    const isGuard = effects.has('drop') || effects.has('jump');
    return !isGuard || (change.kind === 'rule_removed' && !leavesOpen(rule, after));
  }
  if (rule.chain.startsWith('endpoint-')) return !effects.has('dnat');
  if (change.kind === 'rule_modified' || !effects.has('goto')) return true;
  // Endpoints are chosen by one rule, written anew when they change: without any a service leads nowhere.
  return chain?.rules.some((other) => after.effect(other).effects.has('goto')) === true;
}

function areHabits(owner: Owner, chain: NftChain | undefined, context: TableContext): boolean {
  if (chain === undefined) return false;
  let are = habits.get(chain);
  if (are === undefined) {
    are = chain.rules.every((rule) => isRuleHabit(owner, rule, context));
    habits.set(chain, are);
  }
  return are;
}

/** A chain may have thousands of changed rules. */
const habits = new WeakMap<NftChain, boolean>();
const leftEarly = new WeakMap<NftChain, boolean>();

/** A rule that decides on every packet: what stands below it is never met. */
function isFinal(rule: NftRule, context: TableContext): boolean {
  const { isBlanket, effects } = context.effect(rule);
  return isBlanket && ['accept', 'drop', 'return', 'goto'].some((one) => effects.has(one as 'accept'));
}

/** Something that decides on every packet stands above other rules: none of them is met. */
function isLeftEarly(chain: NftChain, context: TableContext): boolean {
  let isLeft = leftEarly.get(chain);
  if (isLeft === undefined) {
    isLeft = chain.rules.slice(0, -1).some((rule) => isFinal(rule, context));
    leftEarly.set(chain, isLeft);
  }
  return isLeft;
}

/** The bridge or container that a guard was for is still spoken of by other rules. */
function leavesOpen(rule: NftRule, { table }: TableContext): boolean {
  const line = bareText(rule);
  const [name] = /(?<=ip6? daddr )\S+(?= iifname)|(?<=")[^"]+(?=")/.exec(line) ?? [];
  if (name === undefined) return true;
  if (wordsOfOpen(table).has(name)) return true;
  return [...table.chains.values()].some((chain) => chain.name.endsWith(`__${name}`) && chain.rules.length > 0);
}

/** The words of a table's rules that let something through, names among them. */
function wordsOfOpen(table: NftTable): Set<string> {
  let open = wordsOfTables.get(table);
  if (open === undefined) {
    open = new Set();
    for (const { rules } of table.chains.values()) {
      for (const rule of rules) {
        const words = bareText(rule).replaceAll('"', '').split(' ');
        if (words.at(-1) === 'drop' || words.includes('!=')) continue;
        for (const word of words) open.add(word);
      }
    }
    wordsOfTables.set(table, open);
  }
  return open;
}

/** With a network go its rules, and each asks what the others say. */
const wordsOfTables = new WeakMap<NftTable, Set<string>>();

/** A chain that came or went with its rules. @param after  its table now, undefined when that went too */
export function isChainChurn(
  owner: Owner | null,
  chain: NftChain,
  isAdded: boolean,
  context: TableContext,
  after: NftTable | undefined,
): boolean {
  if (owner?.ephemeral !== true || !chain.rules.every((rule) => isRuleHabit(owner, rule, context))) return false;
  if (isLeftEarly(chain, context)) return false;
  if (chain.isBaseChain) {
    const isOwn = isBanTool(owner) && tableOwner(context.table.key)?.name === owner.name;
    const isHarmless = chain.type === 'filter' && chain.policy !== 'drop' && /^(input|forward)$/.test(chain.hook ?? '');
    return isAdded && isOwn && isHarmless;
  }
  if (isAdded || owner.name !== 'docker') return true;
  const bridge = /__(.+)$/.exec(chain.name)?.[1];
  return bridge !== undefined && ![...(after?.chains.keys() ?? [])].some((name) => name.endsWith(`__${bridge}`));
}

/** A ban tool's table comes with its first ban. One that went took the bans with it. */
export function isTableChurn(table: NftTable, areChainsChurn: boolean, isAdded: boolean): boolean {
  const owner = tableOwner(table.key);
  if (owner?.ephemeral !== true || !isAdded || !areChainsChurn || table.flags.length > 0) return false;
  if (table.objects.size + table.flowtables.size > 0) return false;
  return [...table.sets.values()].every(({ elements }) => elements.every((one) => isOwnMember(owner, one)));
}

/**
 * Elements that their owner adds and removes by itself.
 *
 * @param users  the rules that look the set up
 */
export function isSetMemberChurn(
  owner: Owner | null,
  change: SetChange,
  users: readonly NftRule[],
  before: TableContext,
  after: TableContext,
): boolean {
  if (owner?.ephemeral !== true) return false;
  const context = change.kind === 'set_removed' ? before : after;
  const set = change.kind === 'set_changed' ? change.after : change.set;
  if (isBanTool(owner) && !users.every((rule) => bansSenders(rule, set.name, context))) return false;
  const fits = (element: Json): boolean =>
    owner.name === 'kube-proxy'
      ? isKubeProxysMember(set, element, before.table, after.table)
      : owner.name === 'docker'
        ? isDockersMember(set, element)
        : isOwnMember(owner, element);
  if ('set' in change) {
    if (change.kind === 'set_added') return set.elements.every(fits);
    return isBanTool(owner) || set.name.startsWith('affinity-');
  }
  if (change.attributes.length > 0 || !change.elementsAdded.every(fits)) return false;
  if (isBanTool(owner)) {
    if (isFlushed(change)) return false;
    return change.elementsChanged.every((pair) => fits(pair.after));
  }
  if (change.elementsChanged.length > 0) return false;
  // A way to a chain goes with the chain.
  return change.elementsRemoved.every((element) => {
    if (owner.name !== 'docker') return true;
    return isDockersMember(set, element) && targetsOf(element).every((target) => !after.table.chains.has(target));
  });
}

/**
 * Whether only elements with a lifetime of their own came or went, and none that opens something: they go without
 * anyone's act, and come from a program that bans, not from a person.
 */
export function isOnlyExpiry(
  change: Extract<SetChange, { kind: 'set_changed' }>,
  users: readonly NftRule[],
  context: TableContext,
): boolean {
  if (change.attributes.length > 0 || change.elementsChanged.length > 0) return false;
  const owner = setOwner(change.table, change.after.name);
  if (owner !== null && isBanTool(owner) && isFlushed(change)) return false;
  const isMap = change.after.kind === 'map';
  if (![...change.elementsAdded, ...change.elementsRemoved].every((element) => expires(element, isMap))) return false;
  if (change.elementsAdded.length === 0) return true;
  if (isMap || !change.elementsAdded.every((element) => isOwnMember(null, element))) return false;
  return users.every((rule) => bansSenders(rule, change.after.name, context));
}

function expires(element: Json, isMap: boolean): boolean {
  const key = isMap && isJsonArray(element) ? (element[0] ?? null) : element;
  return isJsonObject(key) && isJsonObject(key['elem']) && 'expires' in key['elem'];
}

function isFlushed({ elementsRemoved, after }: Extract<SetChange, { kind: 'set_changed' }>): boolean {
  return elementsRemoved.length >= FLUSHED_MIN && after.elements.length === 0;
}

/** Only drops of what the set holds as sender. */
function bansSenders(rule: NftRule, set: string, context: TableContext): boolean {
  const { effects, isHidden } = context.effect(rule);
  if (isHidden || [...effects].some((effect) => effect !== 'drop')) return false;
  if (effects.size === 0) return true;
  const line = bareText(rule);
  return (
    !line.includes(`!= @${set}`) && (!line.includes(' daddr') || /\bsaddr @| saddr \. | \. ip6? saddr /.test(line))
  );
}

/** A guest's address, or as much of his network as one bans. */
function isOwnMember(owner: Owner | null, element: Json): boolean {
  const text = printMember(keyOf(element)).split(' . ')[0] ?? '';
  const [low, high] = text.split('-');
  return isBannable(low ?? '', owner) && (high === undefined || (isBannable(high, owner) && isNarrow(low ?? '', high)));
}

/** Ranges of one /24, or one /48 in IPv6. */
function isNarrow(low: string, high: string): boolean {
  const head = (address: string): string =>
    address.includes(':') ? address.split(':').slice(0, 3).join(':') : address.split('.').slice(0, 3).join('.');
  return head(low) === head(high) && isPlainNetwork(low.includes(':') ? low : `${head(low)}.0/24`);
}

function isDockersMember(set: NftSet, element: Json): boolean {
  const key = keyOf(element);
  const verdict = isJsonArray(element) && isJsonObject(element[1]) ? element[1] : {};
  const chain = `${set.name.replace(/-jumps$/, '')}__${String(key)}`;
  return typeof key === 'string' && DOCKER_BRIDGE.test(key) && 'jump' in verdict && targetsOf(element)[0] === chain;
}

function isKubeProxysMember(set: NftSet, element: Json, before: NftTable, after: NftTable): boolean {
  const verdict = isJsonArray(element) ? printMember(element[1] ?? null) : '';
  const parts = printMember(keyOf(element)).split(' . ');
  const address = parts[0] ?? '';
  const port = Number(parts.at(-1));
  if (set.name.startsWith('affinity-')) return set.kind === 'set';
  if (set.name === 'service-nodeports') return port >= NODE_PORT_MIN && isOwnGoto(verdict, after);
  if (set.name === 'no-endpoint-nodeports') return port >= NODE_PORT_MIN && isDenial(verdict);
  if (!isPlainNetwork(address) || address.includes('/') || address.includes('-')) return false;
  // The host's own addresses are no service's.
  if (keysOf(after, 'nodeport-ips').has(address)) return false;
  if (set.name === 'cluster-ips') {
    return isPrivateAddress(address) && isNearOthers(address, before) && serviceAddresses(after).has(address);
  }
  // SSH to an address that is no service's alone may be SSH to the host.
  if (port === 22 && !keysOf(after, 'cluster-ips').has(address)) return false;
  if (set.name === 'service-ips') return isOwnGoto(verdict, after);
  if (port === 22 || !isDenial(verdict)) return false;
  return keysOf(before, 'service-ips').has(parts.join(' . ')) || keysOf(after, 'cluster-ips').has(address);
}

/** Cluster addresses come from one range, of a /12 at most. */
function isNearOthers(address: string, table: NftTable): boolean {
  const [other] = keysOf(table, 'cluster-ips');
  return other === undefined || address.includes(':') || addressWithin(`${other}/12`, address, 0);
}

function serviceAddresses(table: NftTable): Set<string> {
  let addresses = addressesOfTables.get(table);
  if (addresses === undefined) {
    const keys = ['service-ips', 'no-endpoint-services'].flatMap((name) => [...keysOf(table, name)]);
    addresses = new Set(keys.map((key) => key.split(' . ')[0] ?? ''));
    addressesOfTables.set(table, addresses);
  }
  return addresses;
}

const addressesOfTables = new WeakMap<NftTable, Set<string>>();

function isDenial(verdict: string): boolean {
  return verdict === 'drop' || verdict === 'goto reject-chain';
}

function isOwnGoto(verdict: string, table: NftTable): boolean {
  const chain = /^goto ((?:service|external)-\S+)$/.exec(verdict)?.[1];
  return chain !== undefined && table.chains.has(chain) && chainOwner(table.key, chain)?.ephemeral === true;
}

/** What a set holds, or a map answers to, without comments. */
function keysOf(table: NftTable, set: string): Set<string> {
  const elements = table.sets.get(set)?.elements;
  if (elements === undefined) return new Set();
  let keys = keysOfElements.get(elements);
  if (keys === undefined) {
    keys = new Set(elements.map((one) => printMember(keyOf(one))));
    keysOfElements.set(elements, keys);
  }
  return keys;
}

const keysOfElements = new WeakMap<readonly Json[], Set<string>>();

/** Of a map's element its key, and that without timeout and comment. */
function keyOf(element: Json): Json {
  const key = isJsonArray(element) ? (element[0] ?? null) : element;
  return isJsonObject(key) && isJsonObject(key['elem']) ? (key['elem']['val'] ?? null) : key;
}

function targetsOf(element: Json): string[] {
  return isJsonArray(element) ? verdictTargets(element[1] ?? null) : [];
}
