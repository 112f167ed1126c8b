import { artifactNames } from '../core/artifact-names.ts';
import { documentBytes } from '../core/baseline/integrity.ts';
import type { RunRequest } from '../core/contracts.ts';
import { createOnce } from './documents.ts';
import type { InspectionServices } from './services.ts';

/** Stores what is asked of a run. Errors: `STORE_CONFLICT` when a run of this id was asked something else. */
export const makeOpenRun = (services: Pick<InspectionServices, 'store'>) => async (request: RunRequest) => {
  await createOnce(services.store, 'runs', artifactNames.runRequest(request.run_id), documentBytes(request));
  return { runId: request.run_id };
};
