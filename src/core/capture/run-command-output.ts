/** One element of Run Command's result, as Azure Compute returns it (`InstanceViewStatus`). */
export interface RunCommandStatus {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

export type RunCommandOutput =
  | { readonly kind: 'linux'; readonly stdout: string; readonly stderr: string }
  | { readonly kind: 'windows' }
  | { readonly kind: 'unrecognised' };

const STDOUT_MARKER = '[stdout]\n';
const STDERR_MARKER = '\n[stderr]';

/**
 * Standard output and error out of an action Run Command's result. Linux answers with one element whose message is
 * `Enable succeeded: \n[stdout]\n…\n[stderr]\n…`, Windows with two, `ComponentStatus/StdOut/…` and `…/StdErr/…`. The
 * markers are not escaped, so the split is at the last `[stderr]` line. A message whose head was cut is still `linux`:
 * the envelope inside says that it is truncated. Nothing here says how the script ended; the service does not report it.
 */
export function decodeRunCommandOutput(value: readonly RunCommandStatus[]): RunCommandOutput {
  if (value.some(({ code }) => code?.startsWith('ComponentStatus/') === true)) return { kind: 'windows' };
  const message = value[0]?.message;
  if (value.length !== 1 || message === undefined) return { kind: 'unrecognised' };

  const stderrAt = lastMarkerLine(message);
  const stdoutAt = message.indexOf(STDOUT_MARKER);
  const hasStdout = stdoutAt !== -1 && (stdoutAt === 0 || message[stdoutAt - 1] === '\n');
  if (stderrAt === -1 && !hasStdout) return { kind: 'unrecognised' };

  const end = stderrAt === -1 ? message.length : stderrAt;
  const start = hasStdout && stdoutAt < end ? stdoutAt + STDOUT_MARKER.length : 0;
  return {
    kind: 'linux',
    // With no output at all, the marker's newline is also the one before `[stderr]`.
    stdout: message.slice(Math.min(start, end), end),
    stderr: stderrAt === -1 ? '' : message.slice(stderrAt + STDERR_MARKER.length + 1),
  };
}

function lastMarkerLine(message: string): number {
  let at = message.lastIndexOf(STDERR_MARKER);
  while (at !== -1) {
    const next = message[at + STDERR_MARKER.length];
    if (next === undefined || next === '\n') return at;
    at = at === 0 ? -1 : message.lastIndexOf(STDERR_MARKER, at - 1);
  }
  return -1;
}
