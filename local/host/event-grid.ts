import type { RegisteredFunction } from './functions-core.ts';
import { type HttpAnswer, type HttpExchange, json, plain } from './http-exchange.ts';
import type { Invoker } from './invoke.ts';
import { errorText, type Log } from './log.ts';

export const eventGridPath = '/runtime/webhooks/EventGrid';

/**
 * The webhook Event Grid delivers to: validation handshake, notifications, CloudEvents. One invocation per event, all
 * at once; any failure answers 500, and Event Grid then sends the whole delivery again.
 */
export async function eventGridWebhook(
  exchange: HttpExchange,
  functions: readonly RegisteredFunction[],
  { invoker, log }: { invoker: Invoker; log: Log },
): Promise<HttpAnswer> {
  const name = exchange.url.searchParams.get('functionName') ?? '';
  const fn = functions.find((one) => one.trigger.type === 'eventGridTrigger' && one.name === name);
  if (!fn) return plain(404, `cannot find function: '${name}'`);
  const origin = exchange.headers['webhook-request-origin'];
  if (exchange.method === 'OPTIONS' && origin) return { status: 200, headers: { 'webhook-allowed-origin': origin } };
  if (exchange.method !== 'POST') return plain(405);
  const type = exchange.headers['aeg-event-type'];
  if (type === 'Unsubscribe') return plain(202);
  if (type !== 'SubscriptionValidation' && type !== 'Notification')
    return plain(400, `aeg-event-type: ${type ?? 'missing'}`);
  const events = parseEvents(exchange.body);
  if (!events) return plain(400, 'the body is neither an event nor an array of events');
  if (type === 'SubscriptionValidation') {
    const data = (events[0] as { data?: { validationCode?: unknown } } | undefined)?.data;
    return json(200, { validationResponse: data?.validationCode });
  }
  const deliveries: unknown[] = fn.trigger['cardinality'] === 'many' ? [events] : events;
  const results = await Promise.allSettled(deliveries.map((event) => deliver(fn, event, invoker)));
  const failures = results.filter((result) => result.status === 'rejected');
  for (const { reason } of failures) {
    log({
      level: 'error',
      category: 'host',
      functionName: fn.name,
      message: `${fn.name} failed: ${errorText(reason)}`,
    });
  }
  return plain(failures.length === 0 ? 202 : 500);
}

async function deliver(fn: RegisteredFunction, event: unknown, invoker: Invoker): Promise<void> {
  const text = JSON.stringify(event);
  await invoker.invoke(fn, { trigger: { json: text }, triggerMetadata: { data: { json: text } } });
}

function parseEvents(body: Buffer): unknown[] | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    if (Array.isArray(value)) return value;
    return typeof value === 'object' && value !== null ? [value] : null;
  } catch {
    return null; // Answered with 400.
  }
}
