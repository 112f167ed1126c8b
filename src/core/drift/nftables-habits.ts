import { isJsonObject } from '../json.ts';
import { type NftRule, printRuleText } from '../nftables/index.ts';
import { isBannable, isPlainNetwork, isPrivateAddress } from './addresses.ts';
import type { TableContext } from './nftables-context.ts';
import { chainOwner, DOCKER_BRIDGE, isBanTool, type Owner, setOwner } from './owners.ts';

/**
 * What an ephemeral owner writes by itself, as nft prints it without counters, logs and comments. A name is cheap to
 * take, so a rule is its owner's churn only when it has one of these shapes; what stands in a shape's named groups is
 * checked on top. See `isRuleHabit`.
 */
interface Shape {
  readonly chain: RegExp;
  readonly rule: RegExp;
}

const ADDRESS = '[0-9a-f.:]+';
const NETWORK = `${ADDRESS}(?:/\\d+)?`;
const PROTOCOL = '(?:tcp|udp|sctp)';
const PORT = `${PROTOCOL} dport (?<port>\\d+)`;
const DNAT = `dnat (?:ip6? )?to (?<to>\\[?${ADDRESS}\\]?)`;
const BRIDGE = '"(?<bridge>[^" ]+)"';
const REPLIES = 'ct state (?:established,related|related,established) accept';

const KUBE_PROXY: readonly Shape[] = [
  shape('service-', `ip6? daddr (?<host>${ADDRESS}) ${PORT}(?: ip6? saddr != ${NETWORK})? jump mark-for-masquerade`),
  shape('service-', 'ip6? saddr @affinity-\\S+ goto (?<chains>endpoint-\\S+)'),
  shape('(?:service|external)-', 'numgen random mod \\d+ vmap \\{ (?<chains>.+) \\}'),
  shape(
    'external-',
    `(?:ip6? saddr ${NETWORK} |fib saddr type local )?(?:jump mark-for-masquerade|goto (?<chains>service-\\S+))`,
  ),
  shape('endpoint-', `ip6? saddr ${ADDRESS} jump mark-for-masquerade`),
  shape('endpoint-', 'update @affinity-\\S+ \\{ ip6? saddr(?: timeout \\S+)? \\}'),
  shape('endpoint-', `meta l4proto ${PROTOCOL} ${DNAT}:(?<toPort>\\d+)`),
];

const DOCKER: readonly Shape[] = [
  // Tables of its own, since 29.
  shape('filter-forward-(?:in|out)__', REPLIES),
  shape('filter-forward-in__', `iifname ${BRIDGE} (?:accept|drop)`),
  shape('filter-forward-in__', `ip6? daddr (?<host>${ADDRESS}) ${PORT} accept`),
  shape('filter-forward-in__', 'ip protocol icmp accept|meta l4proto (?:ipv6-)?icmp(?:v6)? accept|drop'),
  shape('filter-forward-out__', 'accept'),
  shape('filter-forward-(?:in|out)__', `[io]ifname != ${BRIDGE} drop`),
  shape(
    'nat-postrouting-out__',
    `oifname != ${BRIDGE} ip6? saddr ${NETWORK} (?:masquerade|snat (?:ip6? )?to ${ADDRESS})`,
  ),
  shape('nat-postrouting-in__', `fib saddr type local (?:masquerade|snat (?:ip6? )?to ${ADDRESS})`),
  shape('nat-postrouting-in__', `ip6? saddr (?<host>${ADDRESS}) ip6? daddr \\k<host> ${PORT} masquerade`),
  shape('raw-PREROUTING$', `ip6? daddr (?<host>${ADDRESS}) iifname != ${BRIDGE} drop`),
  shape(
    'nat-prerouting-and-output$',
    `(?:iifname != ${BRIDGE} )?(?:ip6? daddr (?<host>${ADDRESS}) )?${PORT} ${DNAT}:\\d+`,
  ),
  // iptables-nft.
  shape('DOCKER$', `(?:iifname != ${BRIDGE} )?(?:ip6? daddr (?<host>${ADDRESS}) )?${PORT} ${DNAT}:\\d+`),
  shape('DOCKER$', `iifname ${BRIDGE} return`),
  shape('DOCKER$', `(?:iifname != ${BRIDGE} )?oifname ${other()} ip6? daddr (?<host>${ADDRESS}) ${PORT} accept`),
  shape('DOCKER$', `iifname != ${BRIDGE} oifname ${other()} drop`),
  shape('DOCKER-ISOLATION-STAGE-1$', `iifname ${BRIDGE} oifname != ${other()} jump DOCKER-ISOLATION-STAGE-2`),
  shape('DOCKER-(?:ISOLATION-STAGE-1|INTERNAL)$', `[io]ifname ${BRIDGE} ip6? [sd]addr != ${NETWORK} drop`),
  shape('DOCKER-ISOLATION-STAGE-2$', `oifname ${BRIDGE} drop`),
  shape('DOCKER-CT$', `oifname ${BRIDGE} ${REPLIES}`),
  shape('DOCKER-BRIDGE$', `oifname ${BRIDGE} jump DOCKER`),
  shape('DOCKER-FORWARD$', `iifname ${BRIDGE} accept|jump DOCKER-(?:CT|BRIDGE|INTERNAL|ISOLATION-STAGE-1)`),
  shape('DOCKER-ISOLATION-STAGE-[12]$', 'return'),
];

const BAN_TOOLS: readonly Shape[] = [
  shape('', `(?:[^@]+ )?ip6? saddr @(?<set>\\S+) (?:drop|reject(?: with [a-z0-9 -]+)?)`),
  shape('(?:f2b-|fail2ban-)', `(?:[^@]+ )?ip6? saddr (?<banned>${NETWORK}) (?:drop|reject(?: with [a-z0-9 -]+)?)`),
  shape('(?:f2b-|fail2ban-)', 'return'),
];

const SHAPES: ReadonlyMap<string, readonly Shape[]> = new Map([
  ['kube-proxy', KUBE_PROXY],
  ['docker', DOCKER],
  ['bans', BAN_TOOLS],
]);

/** Chains of tools that write in iptables' tables and call each other. */
const IPTABLES_CHAIN = /^(KUBE|CNI|cali)-/;

/** Whether a rule is of the kind that its ephemeral owner makes by itself. Says nothing of its place or its going. */
export function isRuleHabit(owner: Owner, rule: NftRule, context: TableContext): boolean {
  if (!owner.ephemeral) return false;
  const { isHidden, effects, targets } = context.effect(rule);
  // What is hidden of a jump only narrows it.
  if (IPTABLES_CHAIN.test(rule.chain) && effects.size === 1 && effects.has('jump')) {
    return leadsToOwn(owner, context.table.key, targets);
  }
  const line = bareText(rule);
  if ((isHidden && line.includes(' xt ')) || effects.has('unknown')) return false;
  // A ban bans, whatever else stands among its conditions.
  if (isBanTool(owner) && (effects.size !== 1 || !(effects.has('drop') || effects.has('return')))) return false;
  return (SHAPES.get(isBanTool(owner) ? 'bans' : owner.name) ?? []).some((one) => {
    const groups = one.chain.test(rule.chain) ? one.rule.exec(line) : null;
    return groups !== null && isFit(owner, rule, groups.groups ?? {});
  });
}

/** A rule as nft prints it, without what changes no packet's way. */
export function bareText(rule: NftRule): string {
  const expr = rule.expr.filter((one) => !(isJsonObject(one) && ('counter' in one || 'log' in one)));
  const line = printRuleText({ ...rule, expr, comment: null }, { stateless: true });
  // Of iptables' reject nft hides only the answer.
  return line.replace(/ xt target "REJECT"$/, ' reject');
}

function isFit(owner: Owner, rule: NftRule, groups: Readonly<Record<string, string | undefined>>): boolean {
  const { chain } = rule;
  const { bridge, host, to, toPort, port, chains, set, banned } = groups;
  const suffix = /__(.+)$/.exec(chain)?.[1];
  if (owner.name === 'docker') {
    if (bridge !== undefined && !DOCKER_BRIDGE.test(bridge)) return false;
    if (groups['other'] !== undefined && bridge !== undefined && groups['other'] !== bridge) return false;
    if (groups['other'] !== undefined && !DOCKER_BRIDGE.test(groups['other'])) return false;
    if (suffix !== undefined && (!DOCKER_BRIDGE.test(suffix) || (bridge ?? suffix) !== suffix)) return false;
  }
  if (host !== undefined && !isPlainNetwork(host) && !/^127\./.test(host)) return false;
  if (to !== undefined) {
    if (!isPrivateAddress(to)) return false;
    // Whoever takes the host's SSH port sees who logs in there.
    if (port === '22' && !host?.startsWith('127.')) return false;
    // An endpoint's chain is named by where it leads.
    if (toPort !== undefined && suffix !== `${to.replace(/[[\]]/g, '').replaceAll(':', '.')}/${toPort}`) return false;
  }
  if (chains !== undefined && !chains.split(', ').every((one) => isOfService(one, chain))) return false;
  if (set !== undefined && setOwner(`${rule.family}/${rule.table}`, set)?.name !== owner.name) return false;
  return banned === undefined || isBannable(banned, owner);
}

/** `0 : goto endpoint-…` in a chain of the same service. */
function isOfService(verdict: string, chain: string): boolean {
  const target = /^(?:\d+ : goto )?((?:service|endpoint)-\S+)$/.exec(verdict)?.[1];
  const serviceOf = (name: string): string => name.replace(/^[a-z]+-[A-Z0-9]{8}-/, '').replace(/__.*$/, '');
  return target !== undefined && serviceOf(target) === serviceOf(chain);
}

function shape(chain: string, rule: string): Shape {
  return { chain: new RegExp(`^${chain}`), rule: new RegExp(`^(?:${rule})$`) };
}

function other(): string {
  return '"(?<other>[^" ]+)"';
}

function leadsToOwn(owner: Owner, table: string, targets: readonly string[]): boolean {
  return targets.every((target) => chainOwner(table, target)?.name === owner.name);
}
