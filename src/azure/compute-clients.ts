import { ComputeManagementClient } from '@azure/arm-compute';
import type { TokenCredential } from '@azure/identity';
import { OperationError } from '../core/errors.ts';
import { retryAfterPolicy } from './retry-after.ts';

/** What a token is asked for: a cloud's ARM takes its own only, and the simulator on loopback any. */
export function armScope(endpoint: string): string {
  const { protocol, origin } = new URL(endpoint);
  return `${protocol === 'https:' ? origin : 'https://management.azure.com'}/.default`;
}

export interface ComputeClientOptions {
  readonly credential: TokenCredential;
  /** `https://management.azure.com`, a sovereign cloud's, or a simulator on loopback over plain http. */
  readonly endpoint: string;
}

/**
 * One client per subscription, made when first asked for.
 *
 * The SDK's own retries are off: it would sleep through a 429's Retry-After inside an activity and post a Run Command
 * again after a 500. Here every failure is an answer, and a durable timer waits.
 */
export class ComputeClients {
  readonly #options: ComputeClientOptions;
  readonly #clients = new Map<string, ComputeManagementClient>();

  constructor(options: ComputeClientOptions) {
    checkEndpoint(options.endpoint);
    this.#options = options;
  }

  forSubscription(subscriptionId: string): ComputeManagementClient {
    const key = subscriptionId.toLowerCase();
    let client = this.#clients.get(key);
    if (client === undefined) {
      client = this.#make(subscriptionId);
      this.#clients.set(key, client);
    }
    return client;
  }

  #make(subscriptionId: string): ComputeManagementClient {
    const { credential, endpoint } = this.#options;
    const client = new ComputeManagementClient(credential, subscriptionId, {
      endpoint,
      credentials: { scopes: [armScope(endpoint)] },
      retryOptions: { maxRetries: 0 },
      userAgentOptions: { userAgentPrefix: 'netfilter-inspector' },
    });
    keepTokensWithArm(client, endpoint);
    client.pipeline.addPolicy(retryAfterPolicy);
    if (new URL(endpoint).protocol === 'http:') sendTokensInTheClear(client, credential, armScope(endpoint));
    return client;
  }
}

function checkEndpoint(endpoint: string): void {
  const { protocol, hostname } = URL.parse(endpoint) ?? { protocol: '', hostname: '' };
  if (protocol === 'https:') return;
  if (protocol === 'http:' && LOOPBACK.has(hostname)) return;
  throw new OperationError(
    'CONFIG_ARM_ENDPOINT',
    'ARM_ENDPOINT',
    'tokens are only sent over https, or http on loopback',
    {
      nextStep: 'use https://management.azure.com, or http://127.0.0.1:<port> for the simulator',
    },
  );
}

/**
 * The SDK sends a token to whatever address an operation or a next page has, and where a Run Command is polled lies in
 * storage: who can write there must not be given a token that runs commands as root.
 */
function keepTokensWithArm(client: ComputeManagementClient, endpoint: string): void {
  client.pipeline.addPolicy({
    name: 'armAddressPolicy',
    async sendRequest(request, next) {
      if (!isArmAddress(request.url, endpoint)) {
        const what = `an address on ${URL.parse(request.url)?.hostname ?? 'no host'} was to be asked; no token was sent there`;
        throw new OperationError('ARM_FOREIGN_ADDRESS', 'ARM', what, {
          nextStep: 'find out who can write to the container runs, where addresses of operations are noted',
        });
      }
      return next(request);
    },
  });
}

/** ARM's own host, or a region's below it. */
export function isArmAddress(address: string, endpoint: string): boolean {
  const arm = new URL(endpoint);
  const url = URL.parse(address);
  if (url === null || url.protocol !== arm.protocol) return false;
  if (url.host === arm.host) return true;
  return arm.protocol === 'https:' && url.port === arm.port && url.hostname.endsWith(`.${arm.hostname}`);
}

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '[::1]']);

/** The SDK's bearer policy refuses plain http; `checkEndpoint` has seen to it that this is loopback. */
function sendTokensInTheClear(client: ComputeManagementClient, credential: TokenCredential, scope: string): void {
  client.pipeline.removePolicy({ name: 'bearerTokenAuthenticationPolicy' });
  client.pipeline.addPolicy({
    name: 'loopbackBearerTokenPolicy',
    async sendRequest(request, next) {
      if (!LOOPBACK.has(new URL(request.url).hostname))
        throw new Error('refusing to send a token off loopback over http');
      const token = await credential.getToken(scope);
      request.headers.set('Authorization', `Bearer ${token?.token ?? ''}`);
      request.allowInsecureConnection = true;
      return next(request);
    },
  });
}
