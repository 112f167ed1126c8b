import { createHash } from 'node:crypto';
import { invariant } from '../errors.ts';

/**
 * What to print: `auto`, everything with counters if it fits one slice, else slice 1 without moving parts; `stable`, one
 * slice without moving parts; `full`, everything with counters in one output of any length (SSH, local, append blob).
 */
export type ProbeMode = 'auto' | 'stable' | 'full';

export interface ProbeParameters {
  /** 16 to 64 lower-case hexadecimal digits, new for every run: a repeated script can be answered from a cache. */
  readonly nonce: string;
  /** From 1; only `stable` has others than 1. */
  readonly slice: number;
  readonly mode: ProbeMode;
}

const SLICE_NUMBER_MAX = 999_999;

/**
 * The lines to run on the VM: the probe's text with its parameters set after the `#!` line.
 *
 * @param probeText the text of probe/probe.sh
 * Errors:          InvariantError for parameters the script would refuse; they never come from outside.
 */
export function buildProbeScript(probeText: string, parameters: ProbeParameters): string[] {
  const { nonce, slice, mode } = parameters;
  invariant(/^[0-9a-f]{16,64}$/.test(nonce), 'a probe nonce is 16 to 64 hexadecimal digits');
  invariant(Number.isInteger(slice) && slice >= 1 && slice <= SLICE_NUMBER_MAX, 'a slice number is a count from 1');
  invariant(mode === 'stable' || slice === 1, `mode ${mode} prints slice 1 only`);
  const [shebang = '', ...body] = scriptLines(probeText);
  invariant(shebang.startsWith('#!'), 'the probe starts with a #! line');
  return [shebang, `NFI_NONCE='${nonce}'`, `NFI_SLICE='${slice}'`, `NFI_MODE='${mode}'`, ...body];
}

/** Hex SHA-256 of the probe's text as it is shipped, parameters aside: which probe a snapshot was taken with. */
export function probeScriptSha256(probeText: string): string {
  return createHash('sha256')
    .update(`${scriptLines(probeText).join('\n')}\n`)
    .digest('hex');
}

/** A checkout may have turned the line ends into CRLF, which no shell reads. */
function scriptLines(probeText: string): string[] {
  const lines = probeText.split(/\r?\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}
