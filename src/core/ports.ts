import type { VmSelector, VmTarget } from './contracts.ts';

/**
 * Areas of the store, by what may happen to what lies there: `baselines` are never changed (an immutability policy in
 * Azure), `reports` are drift documents and the snapshots they came from, `runs` is one run's working set, `state` is
 * the only area where a document may be replaced.
 */
export type StoreArea = 'baselines' | 'reports' | 'runs' | 'state';

export interface StoredDocument {
  readonly bytes: Uint8Array;
  /** Changes with every replacement; for `replace`. */
  readonly etag: string;
}

/**
 * Where artifacts live. Two implementations keep one contract suite: blobs in Azure, a directory for the CLI.
 * Names are relative, `/`-separated, at most 512 characters of [A-Za-z0-9._-] per segment, never `.` or `..`.
 */
export interface SnapshotStore {
  /** Create-only: bytes that are there already are never touched. `exists` says nothing about what they are. */
  create(area: StoreArea, name: string, bytes: Uint8Array): Promise<'created' | 'exists'>;
  read(area: StoreArea, name: string): Promise<StoredDocument | null>;
  /** Replaces what has this etag, or creates when `etag` is null; `conflict` when somebody else was first. */
  replace(area: 'state', name: string, bytes: Uint8Array, etag: string | null): Promise<'replaced' | 'conflict'>;
  /** Names below a prefix, in ascending order. */
  list(area: StoreArea, prefix: string): AsyncIterable<string>;
}

export interface VmDirectory {
  /** The VMs a selector names, in any order, without duplicates. Errors: OperationError `ARM_*`. */
  list(selector: VmSelector): AsyncIterable<VmTarget>;
}

/** Why a VM could not be read now: an answer about the world, not a failure of this program. */
export type UnavailableReason =
  | 'vm_stopped'
  | 'vm_not_found'
  | 'agent_not_ready'
  | 'busy'
  | 'denied'
  | 'not_linux'
  | 'throttled'
  | 'timed_out'
  | 'service_error';

export interface Unavailable {
  readonly kind: 'unavailable';
  readonly reason: UnavailableReason;
  /** Whether the request failed on its way or was refused, or the command itself failed or cannot be. */
  readonly atFault: 'request' | 'command';
  /** The service's own code or our words, without URLs or output. */
  readonly message: string;
  /** Seconds after which trying again may help; null when it will not. */
  readonly retryAfterSeconds: number | null;
}

export type StartResult =
  /** `state` is opaque, resumes the poll in any process, and holds signed URLs: never log it. */
  { readonly kind: 'started'; readonly state: string } | Unavailable;

export type PollResult =
  /** Not done yet, or not to be had right now: look again, not before `retryAfterSeconds` where the service says so. */
  | { readonly kind: 'running'; readonly retryAfterSeconds: number | null }
  | { readonly kind: 'finished'; readonly output: readonly RunCommandStatus[] }
  | Unavailable;

/** One element of a Run Command result's `value`. */
export interface RunCommandStatus {
  readonly code?: string | undefined;
  readonly message?: string | undefined;
}

/** Runs a script on a VM through the cloud's control plane; each call is a few requests, none waits for the script. */
export interface RunCommandRunner {
  /** Whether the VM can be asked at all: running, Linux, its agent reporting. One read, before anything is started. */
  readiness(vmId: string): Promise<{ readonly kind: 'ready' } | Unavailable>;
  start(vmId: string, script: readonly string[]): Promise<StartResult>;
  poll(vmId: string, state: string): Promise<PollResult>;
}
