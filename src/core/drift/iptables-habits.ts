import type { IptablesRule, RuleFields } from '../iptables/index.ts';
import { addressWithin, isBannable, isPrivateAddress, METADATA, WIRESERVER } from './addresses.ts';
import {
  destinationPorts,
  isBlanket,
  isOnlyReturnTraffic,
  isUnconditional,
  sensitiveService,
} from './iptables-breadth.ts';
import { effectOf, fillsRecentList } from './iptables-effect.ts';
import { chainOwner, DOCKER_BRIDGE, isBanTool, NODE_PORT_MIN, type Owner, setOwner } from './owners.ts';

/**
 * What an ephemeral owner writes by itself. A name is cheap to take: who can write rules can write one into DOCKER, or
 * call his own chain KUBE-SVC-…. So a rule is its owner's churn only when it has the shape of what this owner writes,
 * and even then only where that shape can neither open nor close the host itself.
 */

/**
 * Whether a rule is of the kind that its ephemeral owner makes by itself, so that its coming and going is churn.
 *
 * @param reachesHost  packets to the host itself get to the rule's chain
 */
export function isOwnersHabit(owner: Owner, rule: IptablesRule, reachesHost: boolean): boolean {
  if (!owner.ephemeral) return false;
  const { fields } = rule;
  if (fields.stray.length > 0 || namesAzure(fields)) return false;
  const effect = effectOf(fields);
  if (effect === 'log' || effect === 'count') return !fillsRecentList(fields);
  if (effect === 'chain') return !fields.goto && chainOwner(rule.table, fields.target?.name ?? '')?.name === owner.name;
  if (effect === 'accept' && reachesHost && rule.table !== 'nat' && owner.name !== 'kube-proxy') return false;
  if (isBanTool(owner)) return isBan(rule, owner) || (effect === 'return' && isUnconditional(fields));
  switch (owner.name) {
    case 'docker':
      return isDockers(rule);
    case 'kube-proxy':
      return isKubeProxys(rule, reachesHost);
    case 'calico':
      return isCalicos(rule);
    default:
      return isPortMapping(rule);
  }
}

/** Whom the VM's agent talks to, and its metadata, is never a container, a service or a banned guest. */
function namesAzure({ source, destination }: RuleFields): boolean {
  return [source, destination].some((network) => {
    return network !== null && [WIRESERVER, METADATA].some((address) => addressWithin(network, address, 8));
  });
}

function isBan({ fields }: IptablesRule, owner: Owner | null): boolean {
  if (!/^(drop|reject)$/.test(effectOf(fields))) return false;
  if (fields.source !== null) return !fields.sourceNegated && isBannable(fields.source, owner);
  return looksUp(fields, 'src', isBanTool);
}

/** A set of the kind is asked for the sender (`src`) or anything, and not negated. */
function looksUp(fields: RuleFields, direction: string | null, isOwner: (owner: Owner) => boolean): boolean {
  return fields.matches.some(
    ({ name, options }) =>
      name === 'set' &&
      options.some((option) => {
        const owner = setOwner(null, option.values[0] ?? '');
        if (option.name !== '--match-set' || option.negated || owner === null || !isOwner(owner)) return false;
        return direction === null || (option.values[1] ?? '').split(',')[0] === direction;
      }),
  );
}

function isDockers(rule: IptablesRule): boolean {
  const { fields } = rule;
  const onto = bridgeOf(fields.outInterface, fields.outInterfaceNegated);
  const from = bridgeOf(fields.inInterface, fields.inInterfaceNegated);
  switch (effectOf(fields)) {
    case 'accept':
      if (isOnlyReturnTraffic(fields)) return true;
      if (rule.chain === 'DOCKER-INGRESS')
        return destinationPorts(fields) !== null && sensitiveService(fields) === null;
      if (onto !== null) {
        if (fields.inInterface === onto && !fields.inInterfaceNegated) return true;
        return isHost(fields.destination, fields.destinationNegated) || /^(ipv6-)?icmp$/.test(fields.protocol ?? '');
      }
      // What a network of its own sends out: `-i br ! -o br`, and in newer versions just `-i br`.
      return from !== null && (fields.outInterface === null || fields.outInterface === from);
    case 'drop':
    case 'reject':
      return onto !== null || from !== null;
    case 'return':
      return fields.inInterface === null ? isUnconditional(fields) : from !== null;
    default:
      return isPortMapping(rule);
  }
}

function bridgeOf(name: string | null, negated: boolean): string | null {
  return name !== null && !negated && DOCKER_BRIDGE.test(name) ? name : null;
}

function isKubeProxys(rule: IptablesRule, reachesHost: boolean): boolean {
  const { fields } = rule;
  const isOwn = looksUp(fields, null, ({ name }) => name === 'kube-proxy');
  const ports = destinationPorts(fields);
  const isNodePort = ports?.every(({ low }) => low >= NODE_PORT_MIN) === true;
  switch (effectOf(fields)) {
    case 'accept':
      return isOwn || isNodePort;
    case 'drop':
    case 'reject':
      if (ports !== null && isHost(fields.destination, fields.destinationNegated))
        return !reachesHost || !namesSsh(rule);
      return isOwn || isNodePort;
    case 'return':
      return rule.table === 'nat' && !isBlanket(fields);
    case 'destination-nat':
      return rule.family === 'ipv6' || isPortMapping(rule);
    default:
      return isPortMapping(rule);
  }
}

/** Calico signs each of its rules with a hash in a comment. */
function isCalicos({ fields }: IptablesRule): boolean {
  const isSigned = fields.matches.some(
    ({ name, options }) => name === 'comment' && /^cali:[-\w]{16}$/.test(options[0]?.values[0] ?? ''),
  );
  const effect = effectOf(fields);
  if (!isSigned || effect === 'unknown' || effect === 'notrack' || effect === 'queue') return false;
  return effect !== 'accept' || !isBlanket(fields);
}

/** Publishing a container's port: to an address that only this host reaches, and the answers back. */
function isPortMapping(rule: IptablesRule): boolean {
  const { fields } = rule;
  if (rule.table !== 'nat') return false;
  switch (effectOf(fields)) {
    case 'accept':
    case 'source-nat':
      return true;
    case 'destination-nat': {
      // Whoever takes the host's SSH port sees who logs in there.
      if (namesSsh(rule) && !/^127\./.test(fields.destination ?? '')) return false;
      const to = fields.target?.options.find(({ name }) => name === '--to-destination')?.values[0] ?? '';
      const [address = ''] = /^[0-9.]+|^\[?[0-9a-f:]+/.exec(to) ?? [];
      return isPrivateAddress(address);
    }
    default:
      return false;
  }
}

function namesSsh({ fields }: IptablesRule): boolean {
  return destinationPorts(fields)?.some(({ low, high }) => low <= 22 && 22 <= high) === true;
}

function isHost(network: string | null, negated: boolean): boolean {
  return network !== null && !negated && /\/(32|128)$/.test(network);
}

const DOCKER: Owner = { name: 'docker', ephemeral: true };

/** The rules that Docker writes into built-in chains for each network and published port, and no others. */
export function dockerShape({ table, chain, fields }: IptablesRule): Owner | null {
  const target = fields.target?.name ?? '';
  const { source, destination, inInterface, outInterface } = fields;
  const onto = outInterface !== null && DOCKER_BRIDGE.test(outInterface);
  const from = inInterface !== null && DOCKER_BRIDGE.test(inInterface);
  if (fields.sourceNegated || fields.destinationNegated || fields.goto) return null;
  if (chain === 'PREROUTING' && table === 'raw') {
    // No way to a container's address but over its bridge.
    const guards = from && fields.inInterfaceNegated && isHost(destination, false) && source === null;
    return guards && target === 'DROP' && fields.matches.length === 0 ? DOCKER : null;
  }
  if (fields.inInterfaceNegated) return null;
  if (chain === 'POSTROUTING' && target === 'MASQUERADE') {
    if (onto && fields.outInterfaceNegated && source !== null && fields.matches.length === 0) return DOCKER;
    return source !== null && source === destination && isHost(source, false) ? DOCKER : null;
  }
  if (chain !== 'FORWARD' || source !== null || destination !== null || fields.protocol !== null) return null;
  if (from && onto && fields.matches.length === 0 && inInterface === outInterface) {
    return target === 'ACCEPT' || target === 'DROP' ? DOCKER : null;
  }
  if (!onto || fields.outInterfaceNegated || inInterface !== null) return null;
  if (target === 'DOCKER') return DOCKER;
  return target === 'ACCEPT' && fields.matches.length === 1 && isOnlyReturnTraffic(fields) ? DOCKER : null;
}

/** A jump into a ban tool's chain, or a ban by one of its sets. */
export function banShape(rule: IptablesRule): Owner | null {
  const { fields } = rule;
  if (effectOf(fields) === 'chain') {
    const owner = fields.goto ? null : chainOwner(rule.table, fields.target?.name ?? '');
    return owner !== null && isBanTool(owner) ? owner : null;
  }
  if (fields.source !== null || !isBan(rule, null)) return null;
  for (const { options } of fields.matches) {
    for (const { name, values } of options) {
      const owner = name === '--match-set' ? setOwner(null, values[0] ?? '') : null;
      if (owner !== null && isBanTool(owner)) return owner;
    }
  }
  return null;
}
