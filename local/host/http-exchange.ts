import type { IncomingMessage, ServerResponse } from 'node:http';

/** A request as the parts of this host see it: body read, URL parsed. */
export interface HttpExchange {
  method: string;
  /** Absolute, with the host name the client used. */
  url: URL;
  headers: Readonly<Record<string, string>>;
  /** Empty unless the request had a Content-Length, because the real host forwards no other body. */
  body: Buffer;
}

export interface HttpAnswer {
  status: number;
  headers?: Record<string, string>;
  cookies?: readonly string[];
  body?: Buffer | string;
}

const bodyBytesMax = 100 * 1024 * 1024;

export async function readExchange(request: IncomingMessage, defaultHost: string): Promise<HttpExchange | HttpAnswer> {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value;
  }
  const url = URL.parse(request.url ?? '/', `http://${headers['host'] ?? defaultHost}`);
  if (!url) return plain(400, 'the request has no valid URL');
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > bodyBytesMax) return plain(413, `the body is larger than ${bodyBytesMax} bytes`);
    chunks.push(chunk);
  }
  const hasLength = Number(headers['content-length'] ?? 0) > 0;
  return { method: request.method ?? 'GET', url, headers, body: hasLength ? Buffer.concat(chunks) : Buffer.alloc(0) };
}

export function writeAnswer(response: ServerResponse, answer: HttpAnswer): void {
  response.statusCode = answer.status;
  for (const [name, value] of Object.entries(answer.headers ?? {})) response.setHeader(name, value);
  if (answer.cookies?.length) response.setHeader('set-cookie', [...answer.cookies]);
  response.end(answer.body ?? '');
}

export function json(status: number, value: unknown, headers: Record<string, string> = {}): HttpAnswer {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
    body: JSON.stringify(value),
  };
}

export function plain(status: number, text = ''): HttpAnswer {
  return { status, ...(text ? { headers: { 'content-type': 'text/plain; charset=utf-8' }, body: text } : {}) };
}

/** The keys of the app. Callers send one as the `x-functions-key` header or the `code` query parameter. */
export interface HostKeys {
  function: string;
  master: string;
  /** For extension webhooks: durable and Event Grid. */
  system: string;
}

export type KeyLevel = 'anonymous' | 'function' | 'system' | 'admin';

/** The master key opens everything; `admin` takes only that one. */
export function isAuthorized(exchange: HttpExchange, level: KeyLevel, keys: HostKeys): boolean {
  if (level === 'anonymous') return true;
  const given = exchange.headers['x-functions-key'] ?? exchange.url.searchParams.get('code');
  if (given === keys.master) return true;
  return (level === 'function' && given === keys.function) || (level === 'system' && given === keys.system);
}
