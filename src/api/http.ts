/** The parts of an HTTP exchange that handlers use: plain data, so that they run under any host. */
export interface HttpResponseInit {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
}

export interface ApiRequest {
  readonly params: Readonly<Record<string, string>>;
  readonly headers: { get(name: string): string | null };
  text(): Promise<string>;
}

/** What handlers need of durable functions; the client of durable-functions satisfies it. */
export interface DurableClient {
  startNew(orchestrator: string, options: { instanceId?: string; input?: unknown }): Promise<string>;
  getStatus(instanceId: string): Promise<DurableStatus>;
}

export interface DurableStatus {
  readonly instanceId: string;
  readonly runtimeStatus: string;
  readonly customStatus?: unknown;
  readonly output?: unknown;
  readonly createdTime: Date | string;
  readonly lastUpdatedTime: Date | string;
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): HttpResponseInit {
  return {
    status,
    headers: { 'content-type': 'application/json', ...headers },
    body: `${JSON.stringify(body, null, 2)}\n`,
  };
}
