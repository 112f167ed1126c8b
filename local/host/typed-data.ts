import type { TaskScheduled } from './durable-protocol.ts';

/** A value between host and worker: exactly one of these is set; none at all stands for undefined. */
export interface TypedData {
  string?: string | null;
  json?: string | null;
  bytes?: Uint8Array | null;
  int?: number | null;
  double?: number | null;
  http?: RpcHttp | null;
}

export interface RpcHttp {
  method?: string;
  url?: string;
  nullableHeaders?: Record<string, { value: string }>;
  nullableQuery?: Record<string, { value: string }>;
  nullableParams?: Record<string, { value: string }>;
  body?: TypedData | null;
  statusCode?: string;
  headers?: Record<string, string>;
  cookies?: RpcCookie[];
}

export interface RpcCookie {
  name: string;
  value: string;
  domain?: { value: string } | null;
  path?: { value: string } | null;
  expires?: { value: { seconds?: number; nanos?: number } | Date | string } | null;
  secure?: { value: boolean } | null;
  httpOnly?: { value: boolean } | null;
  sameSite?: 'none' | 'lax' | 'strict' | 'explicitNone';
  maxAge?: { value: number } | null;
}

/** The JSON text the host keeps for a function's return value. */
export function jsonFromTypedData(data: TypedData | null | undefined): string {
  if (data === null || data === undefined) return 'null';
  if (typeof data.json === 'string') return data.json;
  if (typeof data.string === 'string') return JSON.stringify(data.string);
  if (typeof data.int === 'number') return JSON.stringify(data.int);
  if (typeof data.double === 'number') return JSON.stringify(data.double);
  if (data.bytes) return JSON.stringify(Buffer.from(data.bytes).toString('base64'));
  return 'null';
}

/** The bytes of a function's output, for an HTTP body. */
export function bytesFromTypedData(data: TypedData | null | undefined): Buffer {
  if (!data) return Buffer.alloc(0);
  if (data.bytes) return Buffer.from(data.bytes);
  if (typeof data.string === 'string') return Buffer.from(data.string);
  return Buffer.from(jsonFromTypedData(data));
}

/**
 * An activity's argument as the extension binds it: always text. A string is itself (the SDK has quoted it once), an
 * object or array its JSON, a number its digits, null nothing at all — and a boolean the .NET words `True` and `False`,
 * which arrive as strings.
 */
export function activityArgument(scheduled: TaskScheduled): TypedData {
  const [value] = JSON.parse(scheduled.Input) as [unknown];
  if (value === null || value === undefined) return {};
  if (typeof value === 'boolean') return { string: value ? 'True' : 'False' };
  return { string: typeof value === 'string' ? value : JSON.stringify(value) };
}

/** Booleans as activity input turn into strings on the way; see `activityArgument`. */
export function isBooleanArgument(scheduled: TaskScheduled): boolean {
  return scheduled.Input === '[true]' || scheduled.Input === '[false]';
}
