import type { HttpResponseInit as FunctionsResponse, HttpRequest, InvocationContext } from '@azure/functions';
import { answering } from './errors.ts';
import type { ApiRequest, HttpResponseInit } from './http.ts';
import { problem } from './problem.ts';

/**
 * Serves a request with a handler of plain parts. Whatever fails is a problem document: a setting that is not valid,
 * which is found when the services are made, and, once it is in the log, a bug.
 */
export async function serve(
  request: HttpRequest,
  context: InvocationContext,
  handle: (request: ApiRequest) => Promise<HttpResponseInit>,
): Promise<FunctionsResponse> {
  try {
    return toFunctions(await answering(() => handle(fromFunctions(request))));
  } catch (error) {
    context.error(error);
    const detail = 'a bug, or the task hub did not answer';
    return toFunctions(
      problem(500, 'INTERNAL_ERROR', 'Internal error', detail, {
        next_step: `look for invocation ${context.invocationId} in the app's log`,
      }),
    );
  }
}

/** A handler's plain answer as the Functions library wants it. */
function toFunctions(response: HttpResponseInit): FunctionsResponse {
  return {
    status: response.status,
    ...(response.headers === undefined ? {} : { headers: response.headers }),
    ...(response.body === undefined ? {} : { body: response.body as string }),
  };
}

function fromFunctions(request: HttpRequest): ApiRequest {
  return { params: request.params, headers: request.headers, text: () => request.text() };
}
