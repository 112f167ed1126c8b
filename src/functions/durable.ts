// Registers every orchestrator and activity: the one place.

import type { InvocationContext } from '@azure/functions';
import { app } from '@azure/functions';
import * as df from 'durable-functions';
import { makeFinishRun } from '../activities/finish-run.ts';
import { makeListFleet } from '../activities/list-fleet.ts';
import { makeOpenRun } from '../activities/open-run.ts';
import { makePollProbe } from '../activities/poll-probe.ts';
import { makeRecordFailure } from '../activities/record-failure.ts';
import { makeRecordSnapshot } from '../activities/record-snapshot.ts';
import { makeStartProbe } from '../activities/start-probe.ts';
import { type AppServices, appServices } from '../azure/services.ts';
import { ACTIVITIES, ORCHESTRATIONS } from '../core/contracts.ts';
import { inspectFleet, inspectLane, inspectPage } from '../orchestrators/inspect-fleet.ts';
import { inspectVm } from '../orchestrators/inspect-vm.ts';
import { sweepFleet } from '../orchestrators/sweep-fleet.ts';

app.setup({ enableHttpStream: false });

df.app.orchestration(ORCHESTRATIONS.inspectFleet, inspectFleet);
df.app.orchestration(ORCHESTRATIONS.inspectLane, inspectLane);
df.app.orchestration(ORCHESTRATIONS.inspectPage, inspectPage);
df.app.orchestration(ORCHESTRATIONS.inspectVm, inspectVm);
df.app.orchestration(ORCHESTRATIONS.sweepFleet, sweepFleet);

activity(ACTIVITIES.openRun, makeOpenRun);
activity(ACTIVITIES.listFleet, makeListFleet);
activity(ACTIVITIES.startProbe, makeStartProbe);
activity(ACTIVITIES.pollProbe, makePollProbe);
activity(ACTIVITIES.recordSnapshot, makeRecordSnapshot);
activity(ACTIVITIES.recordFailure, makeRecordFailure);
activity(ACTIVITIES.finishRun, makeFinishRun);

/** Services are made at the first call: a missing setting fails the call that needs it, not the loading of the app. */
function activity<Input, Output>(
  name: string,
  make: (services: AppServices) => (input: Input) => Promise<Output>,
): void {
  df.app.activity(name, {
    handler: (input: unknown, _context: InvocationContext) => make(appServices())(input as Input),
  });
}
