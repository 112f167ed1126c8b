import {
  type Ipset,
  type IpsetCollection,
  type IpsetEntry,
  type IpsetOption,
  parseIpsetSave,
} from '../../core/ipset/index.ts';
import type { IptablesRuleset } from '../../core/iptables/index.ts';
import type { Json } from '../../core/json.ts';
import type { PlacedDiagnostic } from '../framework/diagnostics-text.ts';
import { DocumentReader, parseObject, startsLikeJson } from '../framework/documents.ts';
import { CommandError } from '../framework/errors.ts';
import type { Input } from '../framework/read-input.ts';
import { refuseOthers, unrecognised } from '../framework/recognise.ts';

export interface IpsetInput {
  readonly sets: IpsetCollection;
  readonly diagnostics: readonly PlacedDiagnostic[];
}

const EMPTY_HINT =
  'ipset save prints nothing where there is no set, and where it fails: look at its exit code, then use --allow-empty';

/** `ipset save` text, or a snapshot with its ipsets. Errors: CommandError where nothing was recognised. */
export function readIpsets(input: Input, allowEmpty: boolean): IpsetInput {
  refuseOthers(input, 'ipset save');
  if (startsLikeJson(input.text)) {
    const sets = ipsetsOfDocument(parseObject(input)['ipsets'], new DocumentReader(input));
    if (sets === null) throw new CommandError(`${input.name} is JSON, but no snapshot with ipsets`);
    return { sets, diagnostics: [] };
  }
  const { sets, diagnostics } = parseIpsetSave(input.text);
  if (sets.sets.size === 0 && !(allowEmpty && sets.unparsed.length === 0)) {
    throw unrecognised(input, 'ipset save', EMPTY_HINT);
  }
  return { sets, diagnostics: diagnostics.map((diagnostic) => ({ input: input.name, diagnostic })) };
}

/** The `ipsets` of a snapshot; null where it has none. */
export function ipsetsOfDocument(document: Json | undefined, reader: DocumentReader): IpsetCollection | null {
  if (document === undefined || document === null) return null;
  const { sets, unparsed } = reader.object(document, 'ipsets');
  const rebuilt = new Map<string, Ipset>();
  for (const [name, set] of reader.entries(sets, 'ipsets.sets')) {
    const path = `ipsets.sets.${name}`;
    const entries = new Map<string, IpsetEntry>();
    for (const [index, member] of reader.list(set['members'], `${path}.members`).entries()) {
      const body = reader.object(member, `${path}.members[${index}]`);
      const text = reader.text(body['member'], `${path}.members[${index}].member`);
      entries.set(text, { member: text, options: optionsOf(body['options'], path, reader) });
    }
    const type = reader.text(set['type'], `${path}.type`);
    rebuilt.set(name, { name, type, options: optionsOf(set['options'], path, reader), entries });
  }
  return {
    sets: rebuilt,
    unparsed: reader.list(unparsed, 'ipsets.unparsed').map((line) => reader.text(line, 'ipsets.unparsed')),
  };
}

function optionsOf(options: Json | undefined, path: string, reader: DocumentReader): IpsetOption[] {
  if (options === undefined || options === null) return [];
  return Object.entries(reader.object(options, `${path}.options`)).map(([name, value]) => ({
    name,
    value: value === true ? null : reader.text(value, `${path}.options.${name}`),
  }));
}

/** Whether rules look sets up, whose members are then half of what the rules say. */
export function usesIpsets({ tables }: IptablesRuleset): boolean {
  for (const { chains } of tables.values()) {
    for (const { rules } of chains.values()) {
      if (rules.some(({ text }) => /--(?:match|map)-set /.test(text))) return true;
    }
  }
  return false;
}
