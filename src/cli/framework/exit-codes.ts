/** What the commands exit with. Every command has the same table; one that cannot meet a row simply never uses it. */
export const EXIT = { ok: 0, error: 1, integrity: 2, drift: 3, incomplete: 4 } as const;

/** As `--help` and docs/cli.md show it. */
export const EXIT_TABLE: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.ok, 'done; drift is reported and is no failure without --fail-on'],
  [EXIT.error, 'an error or wrong usage: the message says which, and nothing was compared'],
  [EXIT.integrity, 'integrity failure: a stored snapshot is not what its SHA-256 companion says'],
  [EXIT.drift, 'drift of at least the --fail-on severity'],
  [EXIT.incomplete, 'incomplete: with --strict, a part of the input could not be read'],
];

/** What a command found out, as far as the exit code is concerned. */
export interface Findings {
  readonly drift?: boolean;
  readonly incomplete?: boolean;
}

/** Several can hold: an error or a failed integrity check ends a command before it gets here, so 1 > 2 > 3 > 4. */
export function exitCodeOf(findings: Findings): number {
  if (findings.drift === true) return EXIT.drift;
  return findings.incomplete === true ? EXIT.incomplete : EXIT.ok;
}
