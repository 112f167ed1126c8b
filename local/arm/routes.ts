/** What a path means. Segments are compared without case, as ARM does; ids keep the request's spelling. */
export type Route =
  | { readonly kind: 'listAll'; readonly subscriptionId: string }
  | { readonly kind: 'list'; readonly subscriptionId: string; readonly resourceGroup: string }
  | ({ readonly kind: 'get' | 'instanceView' | 'runCommand' } & VmPath)
  | { readonly kind: 'operation'; readonly subscriptionId: string; readonly operationId: string }
  | { readonly kind: 'unknown' };

export interface VmPath {
  readonly subscriptionId: string;
  readonly resourceGroup: string;
  readonly name: string;
}

const COMPUTE = 'providers/microsoft\\.compute';
const PATTERNS: readonly [method: string, pattern: RegExp, make: (parts: readonly string[]) => Route][] = [
  ['GET', path(`${COMPUTE}/virtualMachines`), ([subscriptionId = '']) => ({ kind: 'listAll', subscriptionId })],
  [
    'GET',
    path(`resourceGroups/([^/]+)/${COMPUTE}/virtualMachines`),
    ([subscriptionId = '', resourceGroup = '']) => ({ kind: 'list', subscriptionId, resourceGroup }),
  ],
  ['GET', path(`resourceGroups/([^/]+)/${COMPUTE}/virtualMachines/([^/]+)`), vmRoute('get')],
  ['GET', path(`resourceGroups/([^/]+)/${COMPUTE}/virtualMachines/([^/]+)/instanceView`), vmRoute('instanceView')],
  ['POST', path(`resourceGroups/([^/]+)/${COMPUTE}/virtualMachines/([^/]+)/runCommand`), vmRoute('runCommand')],
  [
    'GET',
    path(`${COMPUTE}/locations/[^/]+/operations/([^/]+)`),
    ([subscriptionId = '', operationId = '']) => ({ kind: 'operation', subscriptionId, operationId }),
  ],
];

export function matchRoute(method: string, pathname: string): Route {
  for (const [wanted, pattern, make] of PATTERNS) {
    const match = wanted === method ? pattern.exec(pathname) : null;
    if (match !== null) return make(match.slice(1).map(decode));
  }
  return { kind: 'unknown' };
}

function path(rest: string): RegExp {
  return new RegExp(`^/subscriptions/([^/]+)/${rest}/?$`, 'i');
}

function vmRoute(kind: 'get' | 'instanceView' | 'runCommand'): (parts: readonly string[]) => Route {
  return ([subscriptionId = '', resourceGroup = '', name = '']) => ({ kind, subscriptionId, resourceGroup, name });
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment; // a malformed escape names no resource, and 404 says so
  }
}
