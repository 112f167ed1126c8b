import type { VmPlace } from './artifact-names.ts';
import type { Severity } from './drift/severity.ts';
import type { UnavailableReason } from './ports.ts';

/** Which VMs a run is about. Exactly one of the forms; `subscription_ids` narrows listing to these subscriptions. */
export type VmSelector =
  | { readonly vm_ids: readonly string[] }
  | { readonly subscription_id: string; readonly resource_group: string; readonly tag?: TagFilter | undefined }
  | { readonly subscription_ids: readonly string[]; readonly tag?: TagFilter | undefined };

/** A tag that must be there, with this value where one is given. Compared without regard to case, as ARM does. */
export interface TagFilter {
  readonly name: string;
  readonly value?: string | undefined;
}

/** A VM as listed: what is known before it is asked anything. */
export interface VmTarget {
  readonly vm_id: string;
  readonly vm_name: string;
  readonly resource_group: string;
  readonly subscription_id: string;
  readonly os_type: 'Linux' | 'Windows' | 'unknown';
}

export type RunMode = 'baseline' | 'drift';

/** `runs/{run}/request.json`: what was asked, kept as the run's record. A run's id is its session id. */
export interface RunRequest {
  readonly schema_version: 1;
  readonly run_id: string;
  readonly mode: RunMode;
  readonly selector: VmSelector;
  /** Drift: the session to compare with; null means each VM's approved baseline. */
  readonly baseline: string | null;
  /** Baseline: false records without making it the one that sweeps compare with. Approved when left out. */
  readonly approve?: false;
  readonly requested_at: string;
  readonly trigger: 'http' | 'timer' | 'cli';
}

/** How a run goes about it. In the orchestration's input, so that a changed app setting cannot change a replay. */
export interface RunSettings {
  readonly lanes: number;
  /** VMs per page, at most 50: a page is one orchestration's history. */
  readonly pageSize: number;
  readonly pollSeconds: number;
  /** Wall-clock limit for reading one VM, all slices and retries included. */
  readonly vmDeadlineSeconds: number;
  readonly slicesMax: number;
  /** Times a capture is taken anew because the ruleset changed between two of its slices. */
  readonly recapturesMax: number;
  /** Times one Run Command is tried again after busy, throttled, or foreign output. */
  readonly attemptsMax: number;
}

export const DEFAULT_RUN_SETTINGS: RunSettings = {
  lanes: 4,
  pageSize: 50,
  // Compute allows 15 status reads a minute per VM; every 5 s stays below that.
  pollSeconds: 5,
  vmDeadlineSeconds: 1800,
  slicesMax: 40,
  recapturesMax: 2,
  attemptsMax: 5,
};

export const ORCHESTRATIONS = {
  inspectFleet: 'inspectFleet',
  inspectLane: 'inspectLane',
  inspectPage: 'inspectPage',
  inspectVm: 'inspectVm',
  sweepFleet: 'sweepFleet',
} as const;

export const ACTIVITIES = {
  openRun: 'openRun',
  listFleet: 'listFleet',
  startProbe: 'startProbe',
  pollProbe: 'pollProbe',
  recordSnapshot: 'recordSnapshot',
  recordFailure: 'recordFailure',
  finishRun: 'finishRun',
} as const;

export interface FleetInput {
  readonly runId: string;
  readonly settings: RunSettings;
}

export interface SweepInput extends FleetInput {
  readonly selector: VmSelector;
  readonly requestedAt: string;
}

export interface LaneInput extends FleetInput {
  /** Page numbers and how many VMs each holds. */
  readonly pages: readonly { readonly page: number; readonly vms: number }[];
}

export interface PageInput extends FleetInput {
  readonly page: number;
  readonly vms: number;
}

export interface VmInput extends FleetInput, VmPlace {}

export interface ListFleetInput {
  readonly runId: string;
  readonly pageSize: number;
}

export interface FleetListing {
  readonly vms: number;
  readonly pages: number;
}

/** Why a fleet cannot be listed, now or later: trying again would not help. */
export interface ListingRefused {
  readonly refused: string;
}

/** ARM said when to list again. */
export interface ListingPutOff {
  readonly retryAfterSeconds: number;
  readonly message: string;
}

export interface StartProbeInput extends VmPlace {
  readonly runId: string;
  readonly capture: number;
  readonly slice: number;
  readonly attempt: number;
  readonly nonce: string;
}

/** What an activity says about one Run Command: ids and counts, never output. */
export type ProbeStep =
  | { readonly kind: 'running'; readonly retryAfterSeconds: number | null }
  | { readonly kind: 'slice'; readonly of: number; readonly sha256: string }
  | {
      readonly kind: 'unavailable';
      readonly reason: FailureReason;
      readonly code: string;
      readonly message: string;
      readonly retryAfterSeconds: number | null;
    };

export type FailureReason =
  | UnavailableReason
  | 'bad_envelope'
  | 'nothing_read'
  | 'too_large'
  | 'unstable'
  | 'integrity'
  | 'internal_error';

export interface RecordSnapshotInput extends VmPlace {
  readonly runId: string;
  readonly capture: number;
  /** The attempt that succeeded, per slice, in order. */
  readonly attempts: readonly number[];
  /** Of the payload, as every slice stated it when it was received: staging could be changed since. */
  readonly sha256: string;
}

export interface RecordFailureInput extends VmPlace {
  readonly runId: string;
  readonly reason: FailureReason;
  readonly code: string;
  readonly message: string;
}

export interface FinishRunInput {
  readonly runId: string;
  readonly vms: number;
  readonly startedAt: string;
  readonly finishedAt: string;
}

/** Counts of outcomes: what pages and lanes hand upwards. */
export interface RunCounts {
  readonly vms: number;
  readonly baselined: number;
  readonly in_sync: number;
  readonly drifted: number;
  readonly critical: number;
  readonly unrecorded: number;
  readonly partial: number;
  readonly not_readable: number;
  readonly integrity_failed: number;
}

/** `runs/{run}/outcomes/{page}-{index}.json`, and an entry of the report. Three axes; "no data" is never green. */
export interface VmOutcome {
  readonly vm_id: string;
  readonly vm_name: string;
  readonly resource_group: string;
  readonly vm_key: string;
  /** null where no comparison was made: a baseline run, an unreadable VM, a baseline that does not verify. */
  readonly verdict: 'in_sync' | 'drifted' | 'unrecorded' | null;
  /** Whether this run recorded a baseline for the VM. */
  readonly baselined: boolean;
  readonly coverage: 'complete' | 'partial' | 'failed';
  readonly coverage_reasons: readonly string[];
  readonly integrity: 'verified' | 'failed' | 'not_checked';
  /** Why it is not complete and verified, and what to do next; null when it is. */
  readonly problem: OutcomeProblem | null;
  readonly framework: string | null;
  readonly snapshot_session: string | null;
  readonly snapshot_sha256: string | null;
  readonly baseline_session: string | null;
  readonly drift: OutcomeDrift | null;
  readonly slices: number | null;
}

export interface OutcomeProblem {
  readonly code: string;
  readonly reason: FailureReason;
  readonly message: string;
  readonly next_step: string;
}

export interface OutcomeDrift {
  readonly has_critical_changes: boolean;
  readonly severity_counts: Record<Severity, number>;
  /** The worst changes, at most three, each at most 200 characters. */
  readonly top: readonly string[];
}

/** What `recordSnapshot` and `recordFailure` answer: enough to count, little enough for any history. */
export interface OutcomeSummary {
  readonly verdict: VmOutcome['verdict'];
  readonly coverage: VmOutcome['coverage'];
  readonly integrity: VmOutcome['integrity'];
  readonly baselined: boolean;
  readonly critical: boolean;
}

/** `runs/{run}/report.json`: one pass over a fleet, worst outcome first. */
export interface RunReport {
  readonly schema_version: 1;
  readonly run_id: string;
  readonly session_id: string;
  readonly mode: RunMode;
  readonly trigger: RunRequest['trigger'];
  readonly baseline: string | null;
  readonly started_at: string;
  readonly finished_at: string;
  readonly counts: RunCounts;
  readonly outcomes: readonly VmOutcome[];
}
