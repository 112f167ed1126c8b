import { app } from '@azure/functions';
import * as df from 'durable-functions';
import { fromFunctions, toFunctions } from '../api/azure-functions.ts';
import { getRunReport, startRun } from '../api/runs.ts';
import { appServices } from '../azure/services.ts';

df.app.client.http('startRun', {
  route: 'v1/runs',
  methods: ['POST'],
  authLevel: 'function',
  handler: async (request, client) => {
    const services = appServices();
    return toFunctions(await startRun(fromFunctions(request), client, services));
  },
});

app.http('getRunReport', {
  route: 'v1/runs/{session_id}',
  methods: ['GET'],
  authLevel: 'function',
  handler: async (request) => toFunctions(await getRunReport(fromFunctions(request), appServices().store)),
});
