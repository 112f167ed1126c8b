import type { Slice } from '../../core/capture/slice.ts';
import type { VmTarget } from '../../core/contracts.ts';
import type { LogCommand } from './commands-log.ts';

/** What a provider is given for one capture. */
export interface CaptureRun {
  /** The text of probe/probe.sh. */
  readonly probeText: string;
  /** A line about what goes on, for whoever waits. */
  readonly progress: (what: string) => void;
  readonly log: LogCommand;
  readonly now: () => Date;
  readonly signal: AbortSignal;
}

/** A way to run the probe on one host. */
export interface Provider {
  /** Who the host is, as documents say it. Hosts that no cloud knows have an id with a scheme: `ssh://web-01`. */
  readonly host: Pick<VmTarget, 'vm_id' | 'vm_name' | 'resource_group' | 'subscription_id'>;
  /** Verified slices of one payload. Errors: OperationError, with what to do next. */
  capture(run: CaptureRun): Promise<readonly Slice[]>;
}
