import type { OrchestrationContext, Task } from 'durable-functions';
import {
  ACTIVITIES,
  type FinishRunInput,
  type FleetInput,
  type FleetListing,
  type LaneInput,
  type ListFleetInput,
  type ListingPutOff,
  type ListingRefused,
  ORCHESTRATIONS,
  type PageInput,
  type RunCounts,
  type VmInput,
} from '../core/contracts.ts';
import { addCounts, NO_COUNTS } from '../core/run-counts.ts';
import { callActivity, callAll, childId, wait } from './calls.ts';

/** One pass over a fleet. What was asked lies in `runs/{run}/request.json`; history holds ids and counts only. */
export function* inspectFleet(context: OrchestrationContext): Generator<Task, RunCounts, unknown> {
  const { runId, settings } = context.df.getInput<FleetInput>();
  const startedAt = context.df.currentUtcDateTime.toISOString();
  context.df.setCustomStatus({ phase: 'listing', vms: null });
  const listing = yield* listFleet(context, { runId, pageSize: settings.pageSize });
  context.df.setCustomStatus({ phase: 'inspecting', vms: listing.vms });
  const lanes = dealPages(listing, settings.pageSize, settings.lanes);
  yield* callAll<RunCounts>(
    context,
    ORCHESTRATIONS.inspectLane,
    lanes.map((pages, lane) => ({ id: `lane${lane}`, input: { runId, settings, pages } satisfies LaneInput })),
  );
  context.df.setCustomStatus({ phase: 'reporting', vms: listing.vms });
  const finishedAt = context.df.currentUtcDateTime.toISOString();
  const finish: FinishRunInput = { runId, vms: listing.vms, startedAt, finishedAt };
  // The report counts the outcomes that were really stored, so its counts are the run's result.
  return yield* callActivity<RunCounts>(context, ACTIVITIES.finishRun, finish);
}

const LISTING_TRIES = 6;

/** A listing that ARM puts off is asked for again when ARM said; the retries of an activity would not wait so long. */
function* listFleet(context: OrchestrationContext, input: ListFleetInput): Generator<Task, FleetListing, unknown> {
  for (let attempt = 1; ; attempt += 1) {
    const listing = yield* callActivity<FleetListing | ListingPutOff | ListingRefused>(
      context,
      ACTIVITIES.listFleet,
      input,
    );
    if ('refused' in listing) throw new Error(listing.refused);
    if (!('retryAfterSeconds' in listing)) return listing;
    if (attempt === LISTING_TRIES) throw new Error(listing.message);
    yield* wait(context, listing.retryAfterSeconds);
  }
}

/** Deals pages over lanes; a lane takes its pages one after another, which bounds the VMs in flight. */
export function dealPages(listing: FleetListing, pageSize: number, laneCount: number): LaneInput['pages'][] {
  const lanes = Array.from({ length: Math.min(laneCount, listing.pages) }, () => [] as { page: number; vms: number }[]);
  for (let page = 0; page < listing.pages; page += 1) {
    lanes[page % lanes.length]?.push({ page, vms: Math.min(pageSize, listing.vms - page * pageSize) });
  }
  return lanes;
}

/**
 * Pages one after another. An orchestration can be ended from outside, or fail to replay under a new version of the app:
 * a page that fails that way is left, and the report says of its VMs what was recorded, and where nothing was.
 */
export function* inspectLane(context: OrchestrationContext): Generator<Task, RunCounts, unknown> {
  const { runId, settings, pages } = context.df.getInput<LaneInput>();
  let counts = NO_COUNTS;
  for (const { page, vms } of pages) {
    const input: PageInput = { runId, settings, page, vms };
    const child = childId(context, `page${page}`);
    let pageCounts: RunCounts;
    try {
      pageCounts = (yield context.df.callSubOrchestrator(ORCHESTRATIONS.inspectPage, input, child)) as RunCounts;
    } catch (error) {
      if (!context.df.isReplaying) context.error(`inspectLane: run ${runId}, page ${page}: ${error}`);
      pageCounts = { ...NO_COUNTS, vms, not_readable: vms };
    }
    counts = addCounts([counts, pageCounts]);
  }
  return counts;
}

/** At most fifty VMs side by side. */
export function* inspectPage(context: OrchestrationContext): Generator<Task, RunCounts, unknown> {
  const { runId, settings, page, vms } = context.df.getInput<PageInput>();
  const children = Array.from({ length: vms }, (_, index) => ({
    id: `vm${index}`,
    input: { runId, settings, page, index } satisfies VmInput,
  }));
  return addCounts(yield* callAll<RunCounts>(context, ORCHESTRATIONS.inspectVm, children));
}
