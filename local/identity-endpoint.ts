import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface IdentityEndpoint {
  /** What App Service gives an app with a managed identity; DefaultAzureCredential finds these by itself. */
  readonly settings: { readonly IDENTITY_ENDPOINT: string; readonly IDENTITY_HEADER: string };
  readonly tokensIssued: () => number;
  stop(): Promise<void>;
}

const TOKEN_SECONDS = 3600;

/** Managed identity as App Service offers it (api-version 2019-08-01), so that the real credential chain runs locally. */
export async function startIdentityEndpoint(): Promise<IdentityEndpoint> {
  const secret = randomBytes(16).toString('hex');
  let issued = 0;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://localhost');
    const authorized = request.headers['x-identity-header'] === secret && url.pathname === '/msi/token';
    const expiresOn = Math.floor(Date.now() / 1000) + TOKEN_SECONDS;
    const token = {
      access_token: `local.${randomBytes(16).toString('hex')}`,
      client_id: '00000000-0000-0000-0000-000000000000',
      expires_on: String(expiresOn),
      resource: url.searchParams.get('resource'),
      token_type: 'Bearer',
    };
    if (authorized) issued += 1;
    response.writeHead(authorized ? 200 : 401, { 'content-type': 'application/json' });
    response.end(JSON.stringify(authorized ? token : { statusCode: 401, message: 'bad secret' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    settings: { IDENTITY_ENDPOINT: `http://127.0.0.1:${port}/msi/token`, IDENTITY_HEADER: secret },
    tokensIssued: () => issued,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
