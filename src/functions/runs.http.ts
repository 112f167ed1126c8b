import { app } from '@azure/functions';
import * as df from 'durable-functions';
import { serve } from '../api/azure-functions.ts';
import { getRunReport, startRun } from '../api/runs.ts';
import { appServices } from '../azure/services.ts';

df.app.client.http('startRun', {
  route: 'v1/runs',
  methods: ['POST'],
  authLevel: 'function',
  handler: (request, client, context) =>
    serve(request, context, async (asked) => startRun(asked, client, appServices())),
});

app.http('getRunReport', {
  route: 'v1/runs/{session_id}',
  methods: ['GET'],
  authLevel: 'function',
  handler: (request, context) => serve(request, context, async (asked) => getRunReport(asked, appServices().store)),
});
