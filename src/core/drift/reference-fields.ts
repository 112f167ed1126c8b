import { type IptablesRule, ruleDocument as iptablesRuleDocument } from '../iptables/index.ts';
import type { JsonObject } from '../json.ts';
import { type NftRule, ruleDocument as nftRuleDocument } from '../nftables/index.ts';

// What readers of the Python reference's drift documents take from an added or removed rule, under its names.

export function iptablesReferenceFields(rule: IptablesRule): JsonObject {
  const { target, protocol, source, destination, src_port, dst_port, raw_rule } = iptablesRuleDocument(rule, 0);
  return pick({ target, protocol, source, destination, src_port, dst_port, raw_rule });
}

export function nftReferenceFields(rule: NftRule): JsonObject {
  const { verdict, protocol, src_addr, dst_addr, src_port, dst_port, comment } = nftRuleDocument(rule, 0);
  return pick({ verdict, protocol, src_addr, dst_addr, src_port, dst_port, comment });
}

function pick(fields: { readonly [name: string]: JsonObject[string] | undefined }): JsonObject {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, value ?? null]));
}
