import type { RunCommandRunner, SnapshotStore, VmDirectory } from '../core/ports.ts';

/** What activities are given; the same for the Azure app, its local twin and the tests. */
export interface InspectionServices {
  readonly store: SnapshotStore;
  readonly directory: VmDirectory;
  readonly runner: RunCommandRunner;
  /** The text of probe/probe.sh as deployed. */
  readonly probeText: string;
  readonly now: () => Date;
}
