import * as df from 'durable-functions';
import { detectConfigDrift } from '../api/agent.ts';
import { serve } from '../api/azure-functions.ts';
import { appServices } from '../azure/services.ts';

df.app.client.http('detectConfigDrift', {
  route: 'v1/tools/detect_config_drift',
  methods: ['POST'],
  authLevel: 'function',
  handler: (request, client, context) =>
    serve(request, context, async (asked) => detectConfigDrift(asked, client, appServices())),
});
