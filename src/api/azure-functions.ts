import type { HttpResponseInit as FunctionsResponse, HttpRequest } from '@azure/functions';
import type { ApiRequest, HttpResponseInit } from './http.ts';

/** A handler's plain answer as the Functions library wants it. */
export function toFunctions(response: HttpResponseInit): FunctionsResponse {
  return {
    status: response.status,
    ...(response.headers === undefined ? {} : { headers: response.headers }),
    ...(response.body === undefined ? {} : { body: response.body as string }),
  };
}

export function fromFunctions(request: HttpRequest): ApiRequest {
  return { params: request.params, headers: request.headers, text: () => request.text() };
}
