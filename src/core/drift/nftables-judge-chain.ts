import { counted } from '../counted.ts';
import type { AttributeChange, NftChain, NftObject, NftTable } from '../nftables/index.ts';
import { WIRESERVER } from './addresses.ts';
import type { TableContext } from './nftables-context.ts';
import { capital, judgeRuleAdded, judgeRuleRemoved, worst } from './nftables-judge-rule.ts';
import type { Assessment } from './severity.ts';

/** @param family  of the table: only IP traffic goes to the WireServer */
export function judgePolicy(family: string, chain: NftChain, before: string, after: string): Assessment {
  const hook = chain.hook ?? 'unknown';
  if (after === 'drop' && hook === 'output' && (family === 'ip' || family === 'inet')) {
    return {
      severity: 'critical',
      reason: `Output that no rule accepts is now dropped, which may cut off the host: also the Azure WireServer ${WIRESERVER} (guest agent, Run Command), unless a rule accepts it`,
    };
  }
  const what = after === 'drop' ? 'now dropped' : 'now accepted';
  return {
    severity: 'critical',
    reason: `Policy of ${chain.name} (hook ${hook}) changed from ${before} to ${after}: what no rule decides is ${what}`,
  };
}

/** Attributes of a chain other than its policy. */
export function judgeChainChanged(
  before: NftChain,
  after: NftChain,
  attributes: readonly AttributeChange[],
): Assessment {
  const isNat = before.type === 'nat' && after.type === 'nat';
  return worst(
    attributes.map(({ name, before: was, after: is }): Assessment => {
      const change = `from ${show(was)} to ${show(is)}`;
      switch (name) {
        case 'hook':
        case 'type':
          return {
            severity: 'critical',
            reason: `${capital(name)} of chain ${after.name} changed ${change}: its rules now see other packets`,
          };
        case 'dev':
        case 'devices':
          return {
            severity: 'critical',
            reason: `Devices of chain ${after.name} changed ${change}: its rules now see other packets`,
          };
        case 'prio':
          return {
            severity: isNat ? 'high' : 'critical',
            reason: `Priority of chain ${after.name} changed ${change}: it now decides at another point of the ${after.hook ?? ''} hook`,
          };
        case 'recreated':
          return {
            severity: 'critical',
            reason: `Chain ${after.name} at the ${after.hook ?? ''} hook was made anew; this nft version does not list its device, which may be another one`,
          };
        case 'comment':
          return { severity: 'low', reason: `Only the comment of chain ${after.name} changed` };
        default:
          return { severity: 'medium', reason: `${capital(name)} of chain ${after.name} changed ${change}` };
      }
    }),
    { severity: 'low', reason: `Chain ${after.name} changed` },
  );
}

export function judgeTableChanged(table: NftTable, attributes: readonly AttributeChange[]): Assessment {
  return worst(
    attributes.map(({ name, before, after }): Assessment => {
      if (name === 'flags') {
        const was = JSON.stringify(before ?? []).includes('dormant');
        const is = JSON.stringify(after ?? []).includes('dormant');
        if (was !== is) {
          return {
            severity: 'critical',
            reason: is
              ? `Table ${table.key} is now dormant: every rule in it is switched off`
              : `Table ${table.key} is no longer dormant: its rules are in force`,
          };
        }
        return {
          severity: 'medium',
          reason: `Flags of table ${table.key} changed from ${show(before)} to ${show(after)}`,
        };
      }
      if (name === 'comment') return { severity: 'low', reason: `Only the comment of table ${table.key} changed` };
      return { severity: 'medium', reason: `${capital(name)} of table ${table.key} changed` };
    }),
    { severity: 'low', reason: `Table ${table.key} changed` },
  );
}

/** A chain that came or went with all its rules. */
export function judgeChainAsWhole(
  chain: NftChain,
  context: TableContext,
  isToolWritten: boolean,
  verb: 'added' | 'removed',
): Assessment {
  const name = `${chain.isBaseChain ? 'Base chain' : 'Chain'} ${chain.name}`;
  const place = (position: number) => ({ context, chain, position, isToolWritten });
  const rules = chain.rules.map((rule, position) =>
    verb === 'added' ? judgeRuleAdded(rule, place(position)) : judgeRuleRemoved(rule, place(position), undefined),
  );
  const worstRule = worst(rules, { severity: 'low', reason: '' });
  if (chain.isBaseChain && chain.policy === 'drop') {
    return {
      severity: 'critical',
      reason:
        verb === 'added'
          ? `${name} with policy drop was added at the ${chain.hook ?? ''} hook: what its rules do not accept is dropped`
          : `${name} with policy drop is gone from the ${chain.hook ?? ''} hook: nothing drops by default there`,
    };
  }
  const where = chain.isBaseChain ? ` at the ${chain.hook ?? ''} hook` : '';
  if (chain.rules.length === 0) {
    return { severity: 'low', reason: `${name}${where} without rules was ${verb}` };
  }
  return {
    severity: worstRule.severity,
    reason: `${name}${where} was ${verb} with ${counted(chain.rules.length, 'rule')}. Worst of them: ${worstRule.reason}`,
  };
}

export function judgeTableAsWhole(
  table: NftTable,
  chains: readonly Assessment[],
  verb: 'added' | 'removed',
): Assessment {
  const worstChain = worst(chains, { severity: 'low', reason: '' });
  const rules = [...table.chains.values()].reduce((sum, chain) => sum + chain.rules.length, 0);
  const head = `Table ${table.key} was ${verb} with ${counted(table.chains.size, 'chain')} and ${counted(rules, 'rule')}`;
  return { severity: worstChain.severity, reason: worstChain.reason === '' ? head : `${head}. ${worstChain.reason}` };
}

export function judgeObject(
  object: NftObject,
  verb: 'added' | 'removed' | 'changed',
  attributes: readonly AttributeChange[],
): Assessment {
  const name = `${object.type} ${object.name}`;
  if (object.type === 'counter' || (attributes.some(() => true) && attributes.every((one) => one.name === 'comment'))) {
    return { severity: 'low', reason: `${capital(name)} was ${verb}` };
  }
  const what = attributes.map((one) => `${one.name} from ${show(one.before)} to ${show(one.after)}`).join(', ');
  if (verb === 'changed') return { severity: 'medium', reason: `${capital(name)} changed: ${what}` };
  return {
    severity: object.type === 'flowtable' ? 'medium' : 'low',
    reason: `${capital(name)} was ${verb}; rules that use it are changes of their own`,
  };
}

function show(value: AttributeChange['before']): string {
  if (value === undefined) return 'none';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
