import type { Json } from '../json.ts';
import type { NftChain, NftObject, NftRule, NftSet, NftTable } from './model.ts';

/** A member of an object that differs: absent is undefined. */
export interface AttributeChange {
  readonly name: string;
  readonly before: Json | undefined;
  readonly after: Json | undefined;
}

/** One difference of two rulesets. `table` is `family/name`; positions count from 0 within the chain. */
export type NftChange =
  | { readonly kind: 'table_added' | 'table_removed'; readonly table: NftTable }
  | {
      readonly kind: 'table_changed';
      readonly table: string;
      readonly attributes: readonly AttributeChange[];
      readonly before: NftTable;
      readonly after: NftTable;
    }
  | { readonly kind: 'chain_added' | 'chain_removed'; readonly table: string; readonly chain: NftChain }
  | {
      readonly kind: 'chain_changed';
      readonly table: string;
      /** Hook, type, priority, policy, devices, comment …; `recreated` where only that can be seen (see `diffRulesets`). */
      readonly attributes: readonly AttributeChange[];
      readonly before: NftChain;
      readonly after: NftChain;
    }
  | {
      readonly kind: 'rule_added' | 'rule_removed';
      readonly table: string;
      readonly chain: string;
      readonly position: number;
      readonly rule: NftRule;
    }
  | {
      /**
       * `modified`: other content or comment in the same place; `repositioned`: moved among the rules that stayed;
       * `recreated`: deleted and added again where it was, only its handle tells.
       */
      readonly kind: 'rule_modified' | 'rule_repositioned' | 'rule_recreated';
      readonly table: string;
      readonly chain: string;
      readonly baselinePosition: number;
      readonly currentPosition: number;
      readonly before: NftRule;
      readonly after: NftRule;
    }
  | { readonly kind: 'set_added' | 'set_removed'; readonly table: string; readonly set: NftSet }
  | {
      readonly kind: 'set_changed';
      readonly table: string;
      readonly attributes: readonly AttributeChange[];
      readonly elementsAdded: readonly Json[];
      readonly elementsRemoved: readonly Json[];
      readonly elementsChanged: readonly { readonly before: Json; readonly after: Json }[];
      readonly before: NftSet;
      readonly after: NftSet;
    }
  | { readonly kind: 'object_added' | 'object_removed'; readonly table: string; readonly object: NftObject }
  | {
      readonly kind: 'object_changed';
      readonly table: string;
      readonly attributes: readonly AttributeChange[];
      readonly before: NftObject;
      readonly after: NftObject;
    }
  | { readonly kind: 'unparsed_added' | 'unparsed_removed'; readonly item: Json };

export interface NftDiff {
  readonly changes: readonly NftChange[];
}

export interface DiffOptions {
  /** List rules that were only deleted and added again. Default true; they are no drift. */
  readonly recreated?: boolean;
}
