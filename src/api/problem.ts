import type { HttpResponseInit } from './http.ts';

/** RFC 9457. `code` is this product's own, listed in docs/codes.md; `errors` point into the request's body. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: string;
  readonly retryable: boolean;
  readonly next_step?: string;
  readonly errors?: readonly { readonly pointer: string; readonly detail: string }[];
}

/** RFC 6901; the whole body is the empty pointer. */
function pointerTo(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

export function problem(
  status: number,
  code: string,
  title: string,
  detail: string,
  more: Partial<Pick<Problem, 'errors' | 'next_step' | 'retryable'>> = {},
): HttpResponseInit {
  const body: Problem = {
    type: `urn:netfilter-inspector:problem:${code}`,
    title,
    status,
    detail,
    code,
    retryable: more.retryable ?? false,
    ...(more.next_step === undefined || more.next_step === '' ? {} : { next_step: more.next_step }),
    ...(more.errors === undefined ? {} : { errors: more.errors }),
  };
  return { status, headers: { 'content-type': 'application/problem+json' }, body: JSON.stringify(body) };
}

/** What zod found in a body, each with the place where it lies. */
export function invalidBody(
  issues: readonly { readonly path: readonly PropertyKey[]; readonly message: string }[],
): HttpResponseInit {
  const errors = issues.map(({ path, message }) => ({ pointer: pointerTo(path), detail: message }));
  return problem(422, 'HTTP_BODY_INVALID', 'Body is not valid', 'see errors', { errors });
}
