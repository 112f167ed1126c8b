import type { NftChain } from '../nftables/index.ts';
import type { RuleEffect } from './nftables-effects.ts';

const SERVICES: ReadonlyMap<string, string> = new Map([
  ['tcp/21', 'FTP'],
  ['tcp/22', 'SSH'],
  ['tcp/23', 'Telnet'],
  ['tcp/25', 'SMTP'],
  ['tcp/53', 'DNS'],
  ['udp/53', 'DNS'],
  ['tcp/80', 'HTTP'],
  ['tcp/443', 'HTTPS'],
  ['tcp/445', 'SMB'],
  ['tcp/1433', 'SQL Server'],
  ['tcp/2375', 'Docker API'],
  ['tcp/3306', 'MySQL'],
  ['tcp/3389', 'RDP'],
  ['tcp/5432', 'PostgreSQL'],
  ['tcp/5985', 'WinRM'],
  ['tcp/6379', 'Redis'],
  ['tcp/6443', 'Kubernetes API'],
]);

/** `SSH (tcp/22)`, `tcp/8080`, `udp/53`: a service by protocol and port. */
function serviceName(protocol: string, port: string): string {
  const name = SERVICES.get(`${protocol}/${port}`);
  return name === undefined ? `${protocol}/${port}` : `${name} (${protocol}/${port})`;
}

/** Whom a rule is for, in the rule's own words: `SSH (tcp/22) from 10.0.0.0/8`, `all traffic`. */
export function describeTraffic(effect: RuleEffect): string {
  if (effect.isBlanket) return 'all traffic';
  const field = (name: string): string | null => {
    const found = effect.flat.fields.get(name);
    return found === undefined ? null : `${found.negated ? 'not ' : ''}${shorten(found.value)}`;
  };
  const protocol = field('protocol');
  const port = field('dst_port');
  const what =
    port !== null ? serviceName(protocol ?? 'port', port) : protocol !== null ? `${protocol} traffic` : 'traffic';
  const parts = [what];
  const add = (word: string, name: string): void => {
    const value = field(name);
    if (value !== null) parts.push(`${word} ${value}`);
  };
  add('from', 'src_addr');
  add('to', 'dst_addr');
  add('from port', 'src_port');
  add('arriving on', 'in_interface');
  add('leaving by', 'out_interface');
  add('in state', 'ct_state');
  add('of type', 'icmp_type');
  add('of type', 'icmpv6_type');
  if (parts.length === 1 && what === 'traffic') return 'some traffic';
  return parts.join(' ');
}

const VALUE_CHARACTERS_MAX = 60;

function shorten(value: string): string {
  return value.length <= VALUE_CHARACTERS_MAX ? value : `${value.slice(0, VALUE_CHARACTERS_MAX - 1)}…`;
}

/** `the input hook`, for the base chains that lead to a chain. */
export function describeHooks(bases: readonly NftChain[]): string {
  const hooks = [...new Set(bases.map((base) => base.hook ?? 'unknown'))];
  return hooks.length === 0 ? 'no hook' : `the ${hooks.join(', ')} hook${hooks.length > 1 ? 's' : ''}`;
}
