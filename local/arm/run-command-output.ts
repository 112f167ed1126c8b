import type { ScriptResult } from './simulated-vm.ts';

/** What Run Command keeps of stdout, and of stderr: the last bytes, whatever they are the middle of. */
export const OUTPUT_BYTES_MAX = 4096;

export interface InstanceViewStatus {
  readonly code: string;
  readonly level: 'Info' | 'Warning' | 'Error';
  readonly displayStatus: string;
  readonly message?: string;
  readonly time?: string;
}

/** The script that the service has been seen to run in place of the caller's, with a status of success. */
export const BUILT_IN_SAMPLE_STDOUT = 'This is a sample script\nOptional parameters: \n';

/**
 * The `value` of a finished run on Linux: one status that says "succeeded" whatever the exit code was, with both streams
 * in one message. The markers are not escaped, and there is a space after `succeeded:` and a line feed after stdout.
 */
export function linuxOutput(result: Pick<ScriptResult, 'stdout' | 'stderr'>): readonly InstanceViewStatus[] {
  return [
    {
      code: 'ProvisioningState/succeeded',
      level: 'Info',
      displayStatus: 'Provisioning succeeded',
      message: `Enable succeeded: \n[stdout]\n${tail(result.stdout)}\n[stderr]\n${tail(result.stderr)}`,
    },
  ];
}

/** The `value` of a finished run on Windows: one status per stream, without markers. */
export function windowsOutput(result: Pick<ScriptResult, 'stdout' | 'stderr'>): readonly InstanceViewStatus[] {
  return [
    {
      code: 'ComponentStatus/StdOut/succeeded',
      level: 'Info',
      displayStatus: 'Provisioning succeeded',
      message: tail(result.stdout),
    },
    {
      code: 'ComponentStatus/StdErr/succeeded',
      level: 'Info',
      displayStatus: 'Provisioning succeeded',
      message: tail(result.stderr),
    },
  ];
}

/** Cuts bytes and only then decodes: a character cut in half becomes U+FFFD, as it does on its way through JSON. */
function tail(bytes: Buffer): string {
  return bytes.subarray(Math.max(0, bytes.length - OUTPUT_BYTES_MAX)).toString('utf8');
}
