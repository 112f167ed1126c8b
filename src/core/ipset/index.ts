/** `ipset save` text to a model, and the difference of two of them. No dependencies. */
export {
  diffIpsets,
  type IpsetChange,
  type IpsetDiff,
  type IpsetEntryChange,
  type IpsetOptionChange,
  isEmptyIpsetDiff,
} from './diff.ts';
export { ipsetDocument, printIpsetEntry, printIpsetSave } from './document.ts';
export { type Ipset, type IpsetCollection, type IpsetEntry, type IpsetOption, ipsetOption } from './model.ts';
export { type ParsedIpset, parseIpsetSave } from './parse.ts';
