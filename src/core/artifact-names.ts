import { checkSessionId } from './baseline/session-id.ts';

/**
 * Where every artifact lies, in one place: names derive from run, VM and slice alone, so an activity that runs twice
 * writes the same blobs twice.
 */
export const artifactNames = {
  snapshot: (vmKey: string, sessionId: string) => `${vmKey}/${checkSessionId(sessionId)}_snapshot.json`,
  companion: (vmKey: string, sessionId: string) => `${vmKey}/${checkSessionId(sessionId)}_snapshot.json.sha256`,
  drift: (vmKey: string, sessionId: string) => `${vmKey}/${checkSessionId(sessionId)}_drift.json`,
  approved: (vmKey: string) => `${vmKey}/approved.json`,
  runRequest: (runId: string) => `${checkSessionId(runId)}/request.json`,
  runReport: (runId: string) => `${checkSessionId(runId)}/report.json`,
  targetsIndex: (runId: string) => `${runId}/targets/index.json`,
  targetsPage: (runId: string, listing: string, page: number) => `${runId}/targets/${listing}/${page}.json`,
  operation: (at: SlicePlace) => `${staging(at)}-operation.json`,
  slice: (at: SlicePlace) => `${staging(at)}.json`,
  outcomes: (runId: string) => `${runId}/outcomes/`,
  outcome: (runId: string, vm: VmPlace) => `${runId}/outcomes/${vm.page}-${vm.index}.json`,
} as const;

/** A VM's place in its run's listing: ids stay in blobs, places travel through history. */
export interface VmPlace {
  readonly page: number;
  readonly index: number;
}

/** One Run Command: which capture of which VM (a capture that changed under way is taken again), slice and try. */
export interface SlicePlace extends VmPlace {
  readonly runId: string;
  readonly capture: number;
  readonly slice: number;
  readonly attempt: number;
}

function staging({ runId, page, index, capture, slice, attempt }: SlicePlace): string {
  return `${runId}/staging/${page}-${index}/capture${capture}-slice${slice}-try${attempt}`;
}
