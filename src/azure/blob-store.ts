import type { BlobServiceClient, ContainerClient } from '@azure/storage-blob';
import { OperationError } from '../core/errors.ts';
import type { SnapshotStore, StoreArea, StoredDocument } from '../core/ports.ts';
import { checkArtifactName } from '../core/store-names.ts';

const CONTENT_TYPE = 'application/json';

// Under an immutability policy the service answers with the policy's code where plain storage says BlobAlreadyExists.
const EXISTS = new Set([
  'BlobAlreadyExists',
  'BlobImmutableDueToPolicy',
  'BlobImmutableDueToLegalHold',
  'UnauthorizedBlobOverwrite',
]);

/** Blobs; one container per area. What is there is never overwritten but in `state`, and there only by ETag. */
export class BlobSnapshotStore implements SnapshotStore {
  readonly #containers: Record<StoreArea, ContainerClient>;

  constructor(service: BlobServiceClient) {
    this.#containers = {
      baselines: service.getContainerClient('baselines'),
      reports: service.getContainerClient('reports'),
      runs: service.getContainerClient('runs'),
      state: service.getContainerClient('state'),
    };
  }

  /** For local storage; in Azure the containers and their policies come from infra/. */
  async createContainers(): Promise<void> {
    await Promise.all(Object.values(this.#containers).map((container) => container.createIfNotExists()));
  }

  async create(area: StoreArea, name: string, bytes: Uint8Array): Promise<'created' | 'exists'> {
    return this.#call(area, name, async (blob) => {
      try {
        await blob.upload(bytes as Uint8Array<ArrayBuffer>, bytes.byteLength, {
          conditions: { ifNoneMatch: '*' },
          blobHTTPHeaders: { blobContentType: CONTENT_TYPE },
        });
        return 'created';
      } catch (error) {
        if (isStatus(error, 412) || EXISTS.has((error as { code?: string }).code ?? '')) return 'exists';
        throw error;
      }
    });
  }

  async read(area: StoreArea, name: string): Promise<StoredDocument | null> {
    return this.#call(area, name, async (blob) => {
      try {
        const { etag, readableStreamBody } = await blob.download();
        const chunks: Buffer[] = [];
        for await (const chunk of readableStreamBody ?? []) chunks.push(Buffer.from(chunk));
        return { bytes: new Uint8Array(Buffer.concat(chunks)), etag: etag ?? '' };
      } catch (error) {
        if (isMissingBlob(error)) return null;
        throw error;
      }
    });
  }

  async replace(area: 'state', name: string, bytes: Uint8Array, etag: string | null): Promise<'replaced' | 'conflict'> {
    return this.#call(area, name, async (blob) => {
      try {
        await blob.upload(bytes as Uint8Array<ArrayBuffer>, bytes.byteLength, {
          conditions: etag === null ? { ifNoneMatch: '*' } : { ifMatch: etag },
          blobHTTPHeaders: { blobContentType: CONTENT_TYPE },
        });
        return 'replaced';
      } catch (error) {
        if (isStatus(error, 409) || isStatus(error, 412) || isMissingBlob(error)) return 'conflict';
        throw error;
      }
    });
  }

  async *list(area: StoreArea, prefix: string): AsyncIterable<string> {
    for await (const blob of this.#containers[area].listBlobsFlat({ prefix })) yield blob.name;
  }

  async #call<T>(
    area: StoreArea,
    name: string,
    ask: (blob: ReturnType<ContainerClient['getBlockBlobClient']>) => Promise<T>,
  ): Promise<T> {
    checkArtifactName(name);
    try {
      return await ask(this.#containers[area].getBlockBlobClient(name));
    } catch (error) {
      if (error instanceof OperationError) throw error;
      const { statusCode, code } = error as { statusCode?: number; code?: string };
      const denied = statusCode === 401 || statusCode === 403;
      throw new OperationError(
        denied ? 'BLOB_DENIED' : 'BLOB_FAILED',
        `${area}/${name}`,
        `${code ?? 'no code'}, HTTP ${statusCode ?? 'none'}`,
        {
          nextStep: denied
            ? 'give the app Storage Blob Data Contributor on the account'
            : statusCode === 404
              ? `is the container "${area}" there?`
              : 'the storage account did not answer; try again',
          retryable: !denied,
          cause: error,
        },
      );
    }
  }
}

function isStatus(error: unknown, status: number): boolean {
  return (error as { statusCode?: number }).statusCode === status;
}

/** A container that is gone is no answer about what lies in it. */
function isMissingBlob(error: unknown): boolean {
  return isStatus(error, 404) && (error as { code?: string }).code !== 'ContainerNotFound';
}
