import type { ExtensionSpec, OptionSpec } from './extension.ts';
import { MATCHES } from './matches.ts';
import type { Family } from './model.ts';
import { TARGETS } from './targets.ts';

/** The extension tables, ready to look things up in. */

export { MATCHES, TARGETS };

type Index = Record<Family, ReadonlyMap<string, ExtensionSpec>>;

function indexByName(extensions: readonly ExtensionSpec[]): Index {
  const index = { ipv4: new Map<string, ExtensionSpec>(), ipv6: new Map<string, ExtensionSpec>() };
  for (const extension of extensions) {
    for (const family of extension.families) {
      for (const name of [extension.name, ...extension.aliases]) index[family].set(name, extension);
    }
  }
  return index;
}

const MATCH_INDEX = indexByName(MATCHES);
const TARGET_INDEX = indexByName(TARGETS);

/** The match of a name or another name of it, where the family has it; undefined when the table does not list it. */
export function findMatch(name: string, family: Family): ExtensionSpec | undefined {
  return MATCH_INDEX[family].get(name);
}

/** As `findMatch`, for a target; verdicts and chains are none. */
export function findTarget(name: string, family: Family): ExtensionSpec | undefined {
  return TARGET_INDEX[family].get(name);
}

const PROTOCOL_MATCHES: Record<Family, ReadonlyMap<number, ExtensionSpec>> = {
  ipv4: byProtocol('ipv4'),
  ipv6: byProtocol('ipv6'),
};

function byProtocol(family: Family): ReadonlyMap<number, ExtensionSpec> {
  const index = new Map<number, ExtensionSpec>();
  for (const match of MATCHES) {
    if (match.protocol !== null && match.families.includes(family)) index.set(match.protocol, match);
  }
  return index;
}

/** The match that `-p` brings along: `tcp` for 6. */
export function protocolMatch(protocol: number, family: Family): ExtensionSpec | undefined {
  return PROTOCOL_MATCHES[family].get(protocol);
}

const OPTION_INDEX: ReadonlyMap<ExtensionSpec, ReadonlyMap<string, OptionSpec>> = new Map(
  [...MATCHES, ...TARGETS].map((extension) => {
    const options = new Map<string, OptionSpec>();
    for (const option of extension.options) {
      for (const name of [option.name, ...option.aliases]) options.set(name, option);
    }
    return [extension, options];
  }),
);

export function findOption(extension: ExtensionSpec, name: string): OptionSpec | undefined {
  return OPTION_INDEX.get(extension)?.get(name);
}

/** As `findOption`, also by a prefix that only one option has, as getopt takes it. */
export function findOptionByPrefix(extension: ExtensionSpec, prefix: string): OptionSpec | undefined {
  let found: OptionSpec | undefined;
  for (const [name, option] of OPTION_INDEX.get(extension) ?? []) {
    if (!name.startsWith(prefix) || option === found) continue;
    if (found !== undefined) return undefined;
    found = option;
  }
  return found;
}
