import type { ExtensionSpec, Grammar, OptionSpec } from './extension.ts';
import type { Family } from './model.ts';

/** The words that the extension tables are written in. */

interface OptionNotes {
  readonly negatable?: boolean;
  readonly aliases?: readonly string[];
  readonly optional?: boolean;
  readonly silentDefault?: string;
  readonly statedDefault?: string;
}

export function option(name: string, grammars: Grammar | readonly Grammar[] = [], notes: OptionNotes = {}): OptionSpec {
  return {
    name,
    grammars: 'kind' in grammars ? [grammars] : grammars,
    aliases: notes.aliases ?? [],
    optional: notes.optional ?? false,
    negatable: notes.negatable ?? false,
    silentDefault: notes.silentDefault ?? null,
    statedDefault: notes.statedDefault ?? null,
  };
}

/** An option that may be preceded by `!`. */
export function negatable(
  name: string,
  grammars: Grammar | readonly Grammar[] = [],
  notes: OptionNotes = {},
): OptionSpec {
  return option(name, grammars, { ...notes, negatable: true });
}

interface ExtensionNotes {
  readonly families?: readonly Family[];
  readonly aliases?: readonly string[];
  readonly protocol?: number;
  readonly sorted?: boolean;
  readonly stateful?: boolean;
  readonly rewrite?: ExtensionSpec['rewrite'];
}

const BOTH: readonly Family[] = ['ipv4', 'ipv6'];
export const IPV4: readonly Family[] = ['ipv4'];
export const IPV6: readonly Family[] = ['ipv6'];

function extension(
  kind: ExtensionSpec['kind'],
  name: string,
  options: readonly OptionSpec[],
  notes: ExtensionNotes,
): ExtensionSpec {
  return {
    kind,
    name,
    options,
    families: notes.families ?? BOTH,
    aliases: notes.aliases ?? [],
    protocol: notes.protocol ?? null,
    sorted: notes.sorted ?? true,
    pure: kind === 'match' && notes.stateful !== true,
    rewrite: notes.rewrite ?? null,
  };
}

export function match(name: string, options: readonly OptionSpec[], notes: ExtensionNotes = {}): ExtensionSpec {
  return extension('match', name, options, notes);
}

export function target(name: string, options: readonly OptionSpec[], notes: ExtensionNotes = {}): ExtensionSpec {
  return extension('target', name, options, notes);
}
