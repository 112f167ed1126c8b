import type { JsonObject } from '../json.ts';
import type { Ipset, IpsetCollection, IpsetEntry, IpsetOption } from './model.ts';

/** The sets as the snapshot document holds them: plain JSON, by name. */
export function ipsetDocument(sets: IpsetCollection): JsonObject {
  return {
    sets: Object.fromEntries([...sets.sets].map(([name, set]) => [name, setDocument(set)])),
    unparsed: sets.unparsed,
  };
}

function setDocument(set: Ipset): JsonObject {
  return {
    type: set.type,
    options: optionsDocument(set.options),
    members: [...set.entries.values()].map((entry) => ({
      member: entry.member,
      options: optionsDocument(entry.options),
    })),
  };
}

function optionsDocument(options: readonly IpsetOption[]): JsonObject {
  return Object.fromEntries(options.map(({ name, value }) => [name, value ?? true]));
}

/** An entry as `ipset save` prints it, without `add` and the set's name. */
export function printIpsetEntry(entry: IpsetEntry): string {
  const parts = entry.options.map(({ name, value }) => {
    if (value === null) return name;
    return name === 'comment' ? `${name} "${value}"` : `${name} ${value}`;
  });
  return [entry.member, ...parts].join(' ');
}

/** The sets as `ipset restore` reads them. */
export function printIpsetSave(sets: IpsetCollection): string {
  const lines: string[] = [];
  for (const set of sets.sets.values()) {
    const options = set.options.map(({ name, value }) => (value === null ? ` ${name}` : ` ${name} ${value}`));
    lines.push(`create ${set.name} ${set.type}${options.join('')}`);
    for (const entry of set.entries.values()) lines.push(`add ${set.name} ${printIpsetEntry(entry)}`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}
