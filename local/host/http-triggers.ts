import type { RegisteredFunction } from './functions-core.ts';
import {
  type HostKeys,
  type HttpAnswer,
  type HttpExchange,
  isAuthorized,
  type KeyLevel,
  plain,
} from './http-exchange.ts';
import type { Invoker } from './invoke.ts';
import { errorText, type Log } from './log.ts';
import { compileRoute, type Route } from './routes.ts';
import { bytesFromTypedData, type RpcCookie, type RpcHttp, type TypedData } from './typed-data.ts';

interface HttpFunction {
  fn: RegisteredFunction;
  route: Route;
  methods: ReadonlySet<string>;
  level: KeyLevel;
}

/** Where an HTTP function answers, below the host's origin: `/api/items/{id}`. */
export function httpRoute(fn: RegisteredFunction, routePrefix: string): string {
  const route = typeof fn.trigger['route'] === 'string' ? fn.trigger['route'] : fn.name;
  return `/${[routePrefix, route.replace(/^\/+/, '')].filter((part) => part !== '').join('/')}`;
}

/** Answers null for a path no function has; a wrong method is that as well, as on the real host. */
export function makeHttpTriggers(
  functions: readonly RegisteredFunction[],
  options: { routePrefix: string; keys: HostKeys; invoker: Invoker; log: Log },
): (exchange: HttpExchange) => Promise<HttpAnswer | null> {
  const routes = functions
    .filter(({ trigger }) => trigger.type === 'httpTrigger')
    .map((fn): HttpFunction => {
      const methods = (fn.trigger['methods'] as string[] | undefined) ?? ['GET', 'POST'];
      return {
        fn,
        route: compileRoute(httpRoute(fn, options.routePrefix).slice(1)),
        methods: new Set(methods.map((method) => method.toUpperCase())),
        level: keyLevel(fn.trigger['authLevel']),
      };
    })
    .sort((a, b) => (a.route.precedence < b.route.precedence ? -1 : a.route.precedence > b.route.precedence ? 1 : 0));
  return async (exchange) => {
    const path = exchange.url.pathname.replace(/^\/|\/$/g, '');
    for (const { fn, route, methods, level } of routes) {
      if (!methods.has(exchange.method)) continue;
      const params = route.match(path);
      if (!params) continue;
      if (!isAuthorized(exchange, level, options.keys)) return plain(401);
      return run(fn, exchange, params, options);
    }
    return null;
  };
}

async function run(
  fn: RegisteredFunction,
  exchange: HttpExchange,
  params: Record<string, string>,
  { invoker, log }: { invoker: Invoker; log: Log },
): Promise<HttpAnswer> {
  try {
    const response = await invoker.invoke(fn, { trigger: { http: requestData(exchange, params) } });
    return answerOf(response.returnValue);
  } catch (error) {
    log({ level: 'error', category: 'host', functionName: fn.name, message: `${fn.name} failed: ${errorText(error)}` });
    return plain(500);
  }
}

function requestData({ method, url, headers, body }: HttpExchange, params: Record<string, string>): RpcHttp {
  const query = new Map<string, string>();
  for (const [name, value] of url.searchParams) {
    const before = query.get(name);
    query.set(name, before === undefined ? value : `${before},${value}`);
  }
  return {
    method,
    url: url.href,
    nullableHeaders: nullable(Object.entries(headers)),
    nullableQuery: nullable(query),
    nullableParams: nullable(Object.entries(params)),
    ...(body.length > 0 ? { body: { bytes: body } } : {}),
  };
}

function nullable(entries: Iterable<[string, string]>): Record<string, { value: string }> {
  return Object.fromEntries([...entries].map(([name, value]) => [name, { value }]));
}

function answerOf(data: TypedData | null | undefined): HttpAnswer {
  if (!data?.http) return plain(204);
  const { statusCode = '200', headers = {}, cookies = [], body } = data.http;
  return { status: Number(statusCode), headers, cookies: cookies.map(cookieText), body: bytesFromTypedData(body) };
}

function cookieText(cookie: RpcCookie): string {
  const parts = [`${cookie.name}=${encodeURIComponent(cookie.value)}`];
  if (cookie.maxAge) parts.push(`Max-Age=${cookie.maxAge.value}`);
  if (cookie.domain) parts.push(`Domain=${cookie.domain.value}`);
  if (cookie.path) parts.push(`Path=${cookie.path.value}`);
  if (cookie.expires) parts.push(`Expires=${expiryText(cookie.expires.value)}`);
  if (cookie.secure?.value) parts.push('Secure');
  if (cookie.httpOnly?.value) parts.push('HttpOnly');
  const sameSite = { lax: 'Lax', strict: 'Strict', explicitNone: 'None', none: null }[cookie.sameSite ?? 'none'];
  if (sameSite) parts.push(`SameSite=${sameSite}`);
  return parts.join('; ');
}

function expiryText(value: { seconds?: number } | Date | string): string {
  const isStamp = typeof value === 'object' && !(value instanceof Date);
  return new Date(isStamp ? (value.seconds ?? 0) * 1000 : value).toUTCString();
}

function keyLevel(authLevel: unknown): KeyLevel {
  const level = String(authLevel ?? 'anonymous').toLowerCase();
  if (level === 'anonymous' || level === 'function' || level === 'admin') return level;
  throw new Error(`the authLevel "${level}" is not known`);
}
