import assert from 'node:assert/strict';
import { type SpawnedHost, spawnFunctionsHost } from '../../../local/host/spawn-host.ts';
import { fixturePath } from '../../support/environment.ts';

export const everythingApp: string = fixturePath('host-apps', 'everything');

export interface Status {
  name: string;
  instanceId: string;
  runtimeStatus: string;
  input: unknown;
  customStatus: unknown;
  output: unknown;
  historyEvents?: { EventType: string; [field: string]: unknown }[];
}

/** A host in a child process, and the calls tests make of it. */
export class HostClient {
  readonly host: SpawnedHost;

  constructor(host: SpawnedHost) {
    this.host = host;
  }

  static async spawn(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<HostClient> {
    return new HostClient(await spawnFunctionsHost({ appDirectory: everythingApp, args, env }));
  }

  fetch(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.host.url}${path}`, init);
  }

  durable(path: string, init: RequestInit = {}): Promise<Response> {
    const code = `${path.includes('?') ? '&' : '?'}code=${this.host.keys.system}`;
    return this.fetch(`/runtime/webhooks/durabletask/${path}${code}`, init);
  }

  async start(name: string, instanceId: string, input?: unknown): Promise<void> {
    const body = input === undefined ? null : JSON.stringify(input);
    const response = await this.fetch(`/api/orchestrators/${name}?id=${instanceId}`, { method: 'POST', body });
    assert.equal(response.status, 202, await response.text());
  }

  async status(instanceId: string, query = ''): Promise<Status> {
    return (await (await this.durable(`instances/${instanceId}${query}`)).json()) as Status;
  }

  async raise(instanceId: string, event: string, data: unknown): Promise<number> {
    const init = { method: 'POST', body: JSON.stringify(data) };
    return (await this.durable(`instances/${instanceId}/raiseEvent/${event}`, init)).status;
  }

  /** Through the SDK's client, inside of the app. */
  async op(instanceId: string, operation: string, query = '', body?: unknown): Promise<unknown> {
    const init = { method: 'POST', body: body === undefined ? null : JSON.stringify(body) };
    return (await this.fetch(`/api/ops/${instanceId}/${operation}${query}`, init)).json();
  }

  /** Polls until the instance is as wanted; it must not end in any other way. */
  async until(instanceId: string, isWanted: (status: Status) => boolean): Promise<Status> {
    const giveUpMs = Date.now() + 30_000;
    for (;;) {
      const status = await this.status(instanceId);
      if (isWanted(status)) return status;
      const hasEnded = /Completed|Failed|Terminated/.test(status.runtimeStatus);
      assert.ok(!hasEnded && Date.now() < giveUpMs, `${JSON.stringify(status)}\n${this.host.stderr()}`);
      await new Promise((resolve) => setTimeout(resolve, 15));
    }
  }

  /** Log lines come through a pipe, so they can be later than the answer they belong to. */
  async untilLogged(text: RegExp): Promise<void> {
    const giveUpMs = Date.now() + 10_000;
    while (!text.test(this.host.stderr())) {
      assert.ok(Date.now() < giveUpMs, `not logged: ${text}\n${this.host.stderr()}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  untilEnded(instanceId: string): Promise<Status> {
    return this.until(instanceId, ({ runtimeStatus }) => /Completed|Failed|Terminated/.test(runtimeStatus));
  }

  untilPhase(instanceId: string, phase: string): Promise<Status> {
    return this.until(instanceId, ({ customStatus }) => (customStatus as { phase?: string } | null)?.phase === phase);
  }
}
