import * as df from 'durable-functions';
import { appServices } from '../azure/services.ts';

const DAY_MS = 24 * 60 * 60 * 1000;
const FINISHED = [
  df.OrchestrationRuntimeStatus.Completed,
  df.OrchestrationRuntimeStatus.Failed,
  df.OrchestrationRuntimeStatus.Terminated,
];

// Histories of finished runs; what the runs found lies in blobs and stays.
df.app.client.timer('history-purge', {
  schedule: '0 30 3 * * *',
  handler: async (_timer, client, context) => {
    const { historyDays } = appServices().settings;
    const { instancesDeleted } = await client.purgeInstanceHistoryBy({
      createdTimeFrom: new Date(0),
      createdTimeTo: new Date(Date.now() - historyDays * DAY_MS),
      runtimeStatus: FINISHED,
    });
    context.log(`history-purge: ${instancesDeleted} instances older than ${historyDays} days`);
  },
});
