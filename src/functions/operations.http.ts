import * as df from 'durable-functions';
import { serve } from '../api/azure-functions.ts';
import { getOperation } from '../api/operations.ts';
import { appServices } from '../azure/services.ts';

df.app.client.http('getOperation', {
  route: 'v1/operations/{id}',
  methods: ['GET'],
  authLevel: 'function',
  handler: (request, client, context) =>
    serve(request, context, async (asked) => getOperation(asked, client, appServices().store)),
});
