import type { BlobServiceClient, ContainerClient } from '@azure/storage-blob';
import { OperationError } from '../core/errors.ts';
import type { SnapshotStore, StoreArea, StoredDocument } from '../core/ports.ts';
import { checkArtifactName } from '../core/store-names.ts';

const CONTENT_TYPE = 'application/json';

// The SDK's four tries included: without a limit, a connection that says nothing holds an activity for as long as it lasts.
const TIMEOUT_MS = 120_000;

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
  readonly #timeoutMs: number;

  /** @param options `timeoutMs` is the time of one call, its retries included */
  constructor(service: BlobServiceClient, options: { readonly timeoutMs?: number } = {}) {
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
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
    return this.#call(area, name, async (blob, abortSignal) => {
      try {
        await blob.upload(bytes as Uint8Array<ArrayBuffer>, bytes.byteLength, {
          abortSignal,
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
    return this.#call(area, name, async (blob, abortSignal) => {
      try {
        const { etag, readableStreamBody } = await blob.download(undefined, undefined, { abortSignal });
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
    return this.#call(area, name, async (blob, abortSignal) => {
      try {
        await blob.upload(bytes as Uint8Array<ArrayBuffer>, bytes.byteLength, {
          abortSignal,
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
    const abortSignal = AbortSignal.timeout(this.#timeoutMs);
    try {
      for await (const blob of this.#containers[area].listBlobsFlat({ prefix, abortSignal })) yield blob.name;
    } catch (error) {
      throw storageError(area, prefix, error);
    }
  }

  async #call<T>(
    area: StoreArea,
    name: string,
    ask: (blob: ReturnType<ContainerClient['getBlockBlobClient']>, abortSignal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    checkArtifactName(name);
    try {
      return await ask(this.#containers[area].getBlockBlobClient(name), AbortSignal.timeout(this.#timeoutMs));
    } catch (error) {
      throw storageError(area, name, error);
    }
  }
}

function storageError(area: StoreArea, name: string, error: unknown): OperationError {
  if (error instanceof OperationError) return error;
  const { statusCode, code } = error as { statusCode?: number; code?: string };
  const denied = statusCode === 401 || statusCode === 403;
  const codeText = typeof code === 'string' ? code : ((error as Error).name ?? 'no code');
  return new OperationError(
    denied ? 'BLOB_DENIED' : 'BLOB_FAILED',
    `${area}/${name}`,
    `${codeText}, HTTP ${statusCode ?? 'none'}`,
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

function isStatus(error: unknown, status: number): boolean {
  return (error as { statusCode?: number }).statusCode === status;
}

/** A container that is gone is no answer about what lies in it. */
function isMissingBlob(error: unknown): boolean {
  return isStatus(error, 404) && (error as { code?: string }).code !== 'ContainerNotFound';
}
