/** The value of a `durableClient` input binding, as JSON text, and the links the SDK makes of it. */
export interface ClientBindingOptions {
  /** `http://127.0.0.1:<port>` */
  origin: string;
  taskHub: string;
  systemKey: string;
  /** Where the SDK sends every call; ends in `/`. */
  rpcBaseUrl: string;
}

export const webhookPath = '/runtime/webhooks/durabletask';

const idPlaceholder = 'INSTANCEID';

export function clientBindingText({ origin, taskHub, systemKey, rpcBaseUrl }: ClientBindingOptions): string {
  const base = `${origin}${webhookPath}`;
  const code = `code=${encodeURIComponent(systemKey)}`;
  const orchestrators = `${base}/orchestrators/{functionName}[/{instanceId}]`;
  return JSON.stringify({
    taskHubName: taskHub,
    connectionName: null,
    creationUrls: {
      createNewInstancePostUri: `${orchestrators}?${code}`,
      createAndWaitOnNewInstancePostUri: `${orchestrators}?timeout={timeoutInSeconds}&pollingInterval={intervalInSeconds}&${code}`,
    },
    managementUrls: { ...managementUrls(origin, taskHub, systemKey, idPlaceholder), id: idPlaceholder },
    baseUrl: base,
    requiredQueryStringParameters: code,
    rpcBaseUrl,
    httpBaseUrl: null,
  });
}

/** The links of one instance, under the origin the client used. */
export function managementUrls(
  origin: string,
  taskHub: string,
  systemKey: string,
  instanceId: string,
): Record<string, string> {
  const instance = `${origin}${webhookPath}/instances/${instanceId}`;
  const query = `taskHub=${taskHub}&connection=Storage&code=${encodeURIComponent(systemKey)}`;
  return {
    id: instanceId,
    statusQueryGetUri: `${instance}?${query}`,
    sendEventPostUri: `${instance}/raiseEvent/{eventName}?${query}`,
    terminatePostUri: `${instance}/terminate?reason={text}&${query}`,
    rewindPostUri: `${instance}/rewind?reason={text}&${query}`,
    purgeHistoryDeleteUri: `${instance}?${query}`,
    restartPostUri: `${instance}/restart?${query}`,
    suspendPostUri: `${instance}/suspend?reason={text}&${query}`,
    resumePostUri: `${instance}/resume?reason={text}&${query}`,
  };
}
