import * as df from 'durable-functions';
import { startSweep } from '../api/sweep.ts';
import { appServices } from '../azure/services.ts';

df.app.client.timer('drift-sweep', {
  schedule: '%DRIFT_SWEEP_SCHEDULE%',
  handler: async (_timer, client, context) => {
    const { settings, now } = appServices();
    await startSweep(client, { settings, now, log: (message) => context.log(message) });
  },
});
