import { ComputeManagementClient, type ComputeManagementClientOptionalParams } from '@azure/arm-compute';

/**
 * The real client against plain http on loopback. Its bearer policy refuses http whatever `allowInsecureConnection`
 * says, so it is taken out of the pipeline and a policy that only talks to loopback puts the token on instead.
 */
export function loopbackComputeClient(
  endpoint: string,
  subscriptionId: string,
  options: ComputeManagementClientOptionalParams & { readonly token?: string | null } = {},
): ComputeManagementClient {
  const { token = 'any-value', ...clientOptions } = options;
  const credential = { getToken: () => Promise.resolve({ token: 'unused', expiresOnTimestamp: Number.MAX_VALUE }) };
  const client = new ComputeManagementClient(credential, subscriptionId, {
    endpoint,
    allowInsecureConnection: true,
    ...clientOptions,
  });
  client.pipeline.removePolicy({ name: 'bearerTokenAuthenticationPolicy' });
  client.pipeline.addPolicy({
    name: 'loopbackBearerTokenPolicy',
    sendRequest: (request, next) => {
      if (new URL(request.url).hostname !== '127.0.0.1') throw new Error(`not on loopback: ${request.url}`);
      if (token !== null) request.headers.set('Authorization', `Bearer ${token}`);
      return next(request);
    },
  });
  return client;
}
