import type { IptablesRule, RuleFields } from '../iptables/index.ts';
import { isBlanket } from './iptables-breadth.ts';
import { denies, effectOf } from './iptables-effect.ts';
import { chainOwner, type Owner, setOwner } from './owners.ts';

/** Docker's bridges: the default one, and one per network, named by the network's id. */
const DOCKER_BRIDGE = /^(docker[0-9]+|br-[0-9a-f]{12})$/;

/**
 * Who writes a rule: the owner of its chain, or for a rule in a built-in or foreign chain the tool whose shape it has
 * (Docker's bridge rules, a jump into a fail2ban chain, a ban by one of its sets).
 */
export function ruleOwner(rule: IptablesRule): Owner | null {
  const owner = chainOwner(rule.table, rule.chain);
  if (owner !== null) return owner;
  const fields = rule.fields;
  return dockerShape(fields) ?? banShape(rule.table, fields);
}

/** Whether a rule is of the kind that its ephemeral owner makes by itself, so that its coming and going is churn. */
export function isOwnersHabit(owner: Owner, rule: IptablesRule): boolean {
  if (!owner.ephemeral) return false;
  const fields = rule.fields;
  const effect = effectOf(fields);
  const bans = owner.name === 'fail2ban' || owner.name === 'sshguard' || owner.name === 'crowdsec';
  if (effect === 'accept') return !bans && !isBlanket(fields);
  if (denies(effect)) {
    // Calico ends a workload's chain with a drop for everything; the others only ever drop something in particular.
    return owner.name === 'calico' || !isBlanket(fields);
  }
  if (bans) return effect === 'return' || effect === 'log' || effect === 'count' || effect === 'chain';
  return effect !== 'unknown' && effect !== 'notrack';
}

const DOCKER: Owner = { name: 'docker', ephemeral: true };

/** The rules that Docker writes into FORWARD and POSTROUTING for each network and published port, and no others. */
function dockerShape(fields: RuleFields): Owner | null {
  const target = fields.target?.name ?? '';
  const onto = fields.outInterface !== null && DOCKER_BRIDGE.test(fields.outInterface);
  const from = fields.inInterface !== null && DOCKER_BRIDGE.test(fields.inInterface);
  if (fields.sourceNegated || fields.destinationNegated || fields.inInterfaceNegated) return null;
  if (target === 'MASQUERADE') {
    if (onto && fields.outInterfaceNegated && fields.source !== null && fields.matches.length === 0) return DOCKER;
    return fields.source !== null && fields.source === fields.destination && /\/(32|128)$/.test(fields.source)
      ? DOCKER
      : null;
  }
  if (fields.source !== null || fields.destination !== null || fields.protocol !== null) return null;
  if (from && onto && fields.matches.length === 0) return target === 'ACCEPT' || target === 'DROP' ? DOCKER : null;
  if (!onto || fields.outInterfaceNegated || fields.inInterface !== null) return null;
  if (target === 'DOCKER') return DOCKER;
  return target === 'ACCEPT' && fields.matches.length === 1 && /^(conntrack|state)$/.test(fields.matches[0]?.name ?? '')
    ? DOCKER
    : null;
}

/** A jump into a ban tool's chain, or a ban by one of its sets. */
function banShape(table: string, fields: RuleFields): Owner | null {
  const effect = effectOf(fields);
  if (effect === 'chain') {
    const owner = chainOwner(table, fields.target?.name ?? '');
    return owner?.ephemeral === true && /^(fail2ban|sshguard|crowdsec)$/.test(owner.name) ? owner : null;
  }
  if (!denies(effect)) return null;
  for (const match of fields.matches) {
    const option = match.name === 'set' ? match.options.find(({ name }) => name === '--match-set') : undefined;
    const owner = option === undefined || option.negated ? null : setOwner(null, option.values[0] ?? '');
    if (owner?.ephemeral === true) return owner;
  }
  return null;
}
