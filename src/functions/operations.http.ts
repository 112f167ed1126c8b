import * as df from 'durable-functions';
import { fromFunctions, toFunctions } from '../api/azure-functions.ts';
import { getOperation } from '../api/operations.ts';
import { appServices } from '../azure/services.ts';

df.app.client.http('getOperation', {
  route: 'v1/operations/{id}',
  methods: ['GET'],
  authLevel: 'function',
  handler: async (request, client) =>
    toFunctions(await getOperation(fromFunctions(request), client, appServices().store)),
});
