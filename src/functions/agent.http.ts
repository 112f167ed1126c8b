import * as df from 'durable-functions';
import { detectConfigDrift } from '../api/agent.ts';
import { fromFunctions, toFunctions } from '../api/azure-functions.ts';
import { appServices } from '../azure/services.ts';

df.app.client.http('detectConfigDrift', {
  route: 'v1/tools/detect_config_drift',
  methods: ['POST'],
  authLevel: 'function',
  handler: async (request, client) =>
    toFunctions(await detectConfigDrift(fromFunctions(request), client, appServices())),
});
