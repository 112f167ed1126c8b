import { type ExtensionUse, optionValue, type RuleFields } from '../iptables/index.ts';
import {
  addressWithin,
  dottedMaskBits,
  isInnerInterface,
  isWideRange,
  WIDE_PREFIX_MAX,
  WIRESERVER,
} from './addresses.ts';
import { type PortSpan, sensitiveServiceIn } from './services.ts';

/** How much a rule's conditions let through. */

/** Matches that look at something else than the packet's place in the network: they narrow nothing here. */
const NARROWS_NOTHING: ReadonlySet<string> = new Set(['comment', 'tcp', 'udp']);

/** Matches that hold most of the time for most packets, or can be written so that they do. */
const HOLDS_MOSTLY: ReadonlySet<string> = new Set(['limit', 'statistic', 'time', 'length', 'ttl', 'hl']);

/** Matches that single some packets out: negated, they leave nearly all. */
const SINGLES_OUT: ReadonlySet<string> = new Set(['set', 'mac', 'mark', 'connmark', 'iprange', 'owner', 'string']);

/** No condition at all, but for a comment or an interface named `+`. */
export function isUnconditional(fields: RuleFields): boolean {
  return (
    fields.protocol === null &&
    fields.source === null &&
    fields.destination === null &&
    fields.inInterface === null &&
    fields.outInterface === null &&
    !fields.fragment &&
    fields.stray.length === 0 &&
    fields.matches.every((match) => match.name === 'comment')
  );
}

/**
 * No condition, or so wide a one that nearly everything from outside passes: a whole transport protocol, any new
 * connection, one outer interface, half the address space.
 */
export function isBlanket(fields: RuleFields): boolean {
  if (fields.stray.length > 0) return false;
  if (fields.protocol !== null && !fields.protocolNegated && !/^(tcp|udp)$/.test(fields.protocol)) return false;
  if (isNarrow(fields.source, fields.sourceNegated) || isNarrow(fields.destination, fields.destinationNegated)) {
    return false;
  }
  if (isInner(fields.inInterface, fields.inInterfaceNegated)) return false;
  if (isInner(fields.outInterface, fields.outInterfaceNegated)) return false;
  if (fields.inInterface !== null && fields.outInterface !== null) return false;
  if (fields.fragment && !fields.fragmentNegated) return false;
  return fields.matches.every(letsNearlyAllThrough);
}

function isNarrow(network: string | null, negated: boolean): boolean {
  if (network === null) return false;
  const bits = maskBits(network);
  return negated ? bits === 0 : bits > WIDE_PREFIX_MAX;
}

/** How many bits of an address a network fixes; a mask with holes counts those that it has. */
function maskBits(network: string): number {
  const mask = network.slice(network.lastIndexOf('/') + 1);
  if (/^[0-9]+$/.test(mask)) return Number(mask);
  if (!mask.includes('.')) return Number.POSITIVE_INFINITY;
  return dottedMaskBits(mask);
}

/** `first-last` of so many addresses that it narrows little. */
function isWideSourceRange(range: string): boolean {
  const [first = '', last = ''] = range.split('-');
  return isWideRange(first, last);
}

function isInner(name: string | null, negated: boolean): boolean {
  return name !== null && !negated && isInnerInterface(name);
}

function letsNearlyAllThrough(match: ExtensionUse): boolean {
  if (!match.understood) return false;
  if (NARROWS_NOTHING.has(match.name)) {
    return match.name === 'comment' || match.options.every((option) => option.negated);
  }
  if (match.name === 'conntrack' || match.name === 'state') {
    return match.options.every((option) => {
      if (option.name !== '--ctstate' && option.name !== '--state') return false;
      const states = (option.values[0] ?? '').split(',');
      return option.negated ? !states.includes('NEW') : states.includes('NEW');
    });
  }
  if (match.name === 'addrtype' || match.name === 'pkttype') {
    // What is sent to this host itself: nearly all of what comes in.
    return match.options.every(
      ({ name, negated, values }) =>
        !negated && /^--(dst-type|pkt-type)$/.test(name) && /\b(LOCAL|UNICAST|unicast)\b/.test(values[0] ?? ''),
    );
  }
  if (HOLDS_MOSTLY.has(match.name)) return true;
  return SINGLES_OUT.has(match.name) && match.options.every((option) => option.negated);
}

/** A blanket that asks for no more than a protocol, an interface or new connections: no limit, no odd packets. */
export function isPlainBlanket(fields: RuleFields): boolean {
  return (
    isBlanket(fields) &&
    !fields.fragment &&
    fields.matches.every(({ name, options }) => /^(comment|conntrack|state)$/.test(name) || options.length === 0)
  );
}

/** Every port can be reached so: by a blanket, or by a packet whose sender chose his own port, or that opens a connection. */
export function opensEveryPort(fields: RuleFields): boolean {
  const others = fields.matches.filter((match) => !letsNearlyAllThrough(match));
  const isChosen = ({ name, negated, values }: ExtensionUse['options'][number]): boolean =>
    negated || /^--(sports?|syn)$/.test(name) || (name === '--tcp-flags' && values[1] === 'SYN');
  return (
    isBlanket({ ...fields, matches: [] }) &&
    others.every(({ name, options }) => /^(tcp|udp|multiport)$/.test(name) && options.every(isChosen))
  );
}

/** Only packets of connections that were accepted before. */
export function isReturnTraffic(fields: RuleFields): boolean {
  return fields.matches.some(
    (match) =>
      (match.name === 'conntrack' || match.name === 'state') &&
      match.options.some(
        (option) =>
          (option.name === '--ctstate' || option.name === '--state') &&
          !option.negated &&
          /^(RELATED|ESTABLISHED|DNAT|SNAT|,)+$/.test(option.values[0] ?? ''),
      ),
  );
}

/** As `isReturnTraffic`, and of new connections not even those that NAT sends here. */
export function isOnlyReturnTraffic(fields: RuleFields): boolean {
  return (
    isReturnTraffic(fields) &&
    fields.matches.some(({ options }) =>
      options.some(({ negated, values }) => !negated && /^(RELATED|ESTABLISHED|,)+$/.test(values[0] ?? '')),
    )
  );
}

export function isLoopback(fields: RuleFields): boolean {
  const named = (name: string | null, negated: boolean): boolean => name === 'lo' && !negated;
  return named(fields.inInterface, fields.inInterfaceNegated) || named(fields.outInterface, fields.outInterfaceNegated);
}

/** Any address may be the sender: no source, or one that leaves out only a little. */
export function fromAnywhere(fields: RuleFields): boolean {
  if (isNarrow(fields.source, fields.sourceNegated) && !fields.sourceNegated) return false;
  if (isInner(fields.inInterface, fields.inInterfaceNegated)) return false;
  return !fields.matches.some(
    ({ name, options }) =>
      (name === 'mac' && options.some(({ negated }) => !negated)) ||
      (name === 'iprange' &&
        options.some(({ name: range, negated, values }) => {
          return range === '--src-range' && !negated && !isWideSourceRange(values[0] ?? '');
        })) ||
      (name === 'set' && options.some((option) => option.name === '--match-set' && !option.negated)),
  );
}

/** The destination ports that the rule asks for; null: any (also when negated). */
export function destinationPorts(fields: RuleFields): readonly PortSpan[] | null {
  for (const match of fields.matches) {
    for (const option of match.options) {
      if (!['--dport', '--dports', '--ports', '--ctorigdstport'].includes(option.name)) continue;
      if (option.negated || !option.understood) return null;
      const value = optionValue(option);
      return (Array.isArray(value) ? value : [value]) as PortSpan[];
    }
  }
  return null;
}

/** The first sensitive service among the ports that a rule asks for. */
export function sensitiveService(fields: RuleFields): string | null {
  const service = sensitiveServiceIn(destinationPorts(fields));
  return service === null ? null : `${service.name} (${fields.protocol ?? 'any'}/${service.port})`;
}

const WIRESERVER_PORTS = [80, 32526];

/** Whether the rule can match what the VM's agent sends to the Azure WireServer, without which no command reaches it. */
export function touchesWireServer(fields: RuleFields): boolean {
  if (fields.protocol !== null && (fields.protocol === 'tcp') === fields.protocolNegated) return false;
  if (fields.outInterface === 'lo' && !fields.outInterfaceNegated) return false;
  if (fields.destination !== null) {
    const inside = addressWithin(fields.destination, WIRESERVER, 0);
    if (inside === fields.destinationNegated) return false;
  }
  if (isOnlyReturnTraffic(fields)) return false;
  const spans = destinationPorts(fields);
  if (spans !== null && !spans.some(({ low, high }) => WIRESERVER_PORTS.some((port) => low <= port && port <= high))) {
    return false;
  }
  // A set, a user, an unknown match: it may hold for the agent, but a rule about something else is more likely.
  const narrowing = ['set', 'owner', 'mark', 'connmark', 'string', 'recent', 'hashlimit', 'limit', 'statistic'];
  return fields.destination !== null || !fields.matches.some(({ name }) => narrowing.includes(name));
}
