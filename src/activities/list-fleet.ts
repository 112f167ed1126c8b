import { artifactNames } from '../core/artifact-names.ts';
import { documentBytes, sha256Hex } from '../core/baseline/integrity.ts';
import type { FleetListing, ListFleetInput, ListingPutOff, ListingRefused, VmTarget } from '../core/contracts.ts';
import { OperationError } from '../core/errors.ts';
import { readDocument, readRequest, type TargetsIndex } from './documents.ts';
import type { InspectionServices } from './services.ts';

/**
 * Lists the fleet into pages of `pageSize`. The index is written last and only once: should this activity run twice,
 * with a VM deployed in between, the first complete listing stands.
 */
export const makeListFleet =
  ({ store, directory }: Pick<InspectionServices, 'store' | 'directory'>) =>
  async ({ runId, pageSize }: ListFleetInput): Promise<FleetListing | ListingPutOff | ListingRefused> => {
    const indexName = artifactNames.targetsIndex(runId);
    if ((await store.read('runs', indexName)) === null) {
      try {
        await storeListing({ store, directory }, runId, pageSize);
      } catch (error) {
        if (!(error instanceof OperationError)) throw error;
        const { message, retryable, retryAfterSeconds } = error;
        if (!retryable) return { refused: message };
        if (retryAfterSeconds === null) throw error;
        return { retryAfterSeconds, message };
      }
    }
    const { vms, pages } = await readDocument<TargetsIndex>(store, 'runs', indexName);
    return { vms, pages };
  };

async function storeListing(
  { store, directory }: Pick<InspectionServices, 'store' | 'directory'>,
  runId: string,
  pageSize: number,
): Promise<void> {
  const { selector } = await readRequest(store, runId);
  const targets = new Map<string, VmTarget>();
  for await (const target of directory.list(selector)) targets.set(target.vm_id.toLowerCase(), target);
  const ordered = [...targets.keys()].sort().map((key) => targets.get(key) as VmTarget);
  const listing = sha256Hex(documentBytes(ordered)).slice(0, 12);
  const pages = Math.ceil(ordered.length / pageSize);
  for (let page = 0; page < pages; page += 1) {
    const bytes = documentBytes(ordered.slice(page * pageSize, (page + 1) * pageSize));
    await store.create('runs', artifactNames.targetsPage(runId, listing, page), bytes);
  }
  const index: TargetsIndex = { listing, vms: ordered.length, pages };
  await store.create('runs', artifactNames.targetsIndex(runId), documentBytes(index));
}
