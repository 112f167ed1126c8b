import { app } from '@azure/functions';
import { getDrift, getSnapshot } from '../api/artifacts.ts';
import { serve } from '../api/azure-functions.ts';
import { appServices } from '../azure/services.ts';

app.http('getSnapshot', {
  route: 'v1/vms/{vm_key}/snapshots/{session_id}',
  methods: ['GET'],
  authLevel: 'function',
  handler: (request, context) => serve(request, context, async (asked) => getSnapshot(asked, appServices().store)),
});

app.http('getDrift', {
  route: 'v1/vms/{vm_key}/drifts/{session_id}',
  methods: ['GET'],
  authLevel: 'function',
  handler: (request, context) => serve(request, context, async (asked) => getDrift(asked, appServices().store)),
});
