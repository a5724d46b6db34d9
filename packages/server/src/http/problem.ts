import { type ErrorCode, errorCodesOf, errorTable, type RouteDeclaration, StrongroomError } from '@strongroom/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../operation/log.ts';

export const problemMediaType = 'application/problem+json';

/** Errors of the parts below us that are the client's doing, by their codes; all others are `internal`. */
const foreignCodes: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_BAD_URL: 'request_malformed',
  FST_ERR_CTP_BODY_TOO_LARGE: 'limit_exceeded',
  FST_ERR_CTP_EMPTY_TYPE: 'media_type_unsupported',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request_malformed',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'media_type_unsupported',
  FST_ERR_CTP_INVALID_TYPE: 'media_type_unsupported',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found',
  // The client went away while it sent its body.
  ECONNRESET: 'request_malformed',
  // Node's HTTP parser
  HPE_HEADER_OVERFLOW: 'headers_too_large',
  ERR_HTTP_REQUEST_TIMEOUT: 'request_timeout',
};

/** What an error becomes for the outside. @param bodyLimitBytes of the route, to be named when it was exceeded */
export function toStrongroomError(error: unknown, bodyLimitBytes?: number): StrongroomError {
  if (error instanceof StrongroomError) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const ours = Object.hasOwn(foreignCodes, code) ? foreignCodes[code] : undefined;
  const detail = ours === 'limit_exceeded' ? { detail: `The body may have ${bodyLimitBytes} bytes.` } : {};
  return new StrongroomError(ours ?? 'internal', { cause: error, ...detail });
}

/**
 * The body of an error answer (RFC 9457). `not_found` has no detail of its own: what isn't there and what isn't visible
 * answer the same bytes but for the request id, whoever found out and why.
 */
export function problemBody(error: StrongroomError, requestId: string): string {
  const { title, status, hint } = errorTable[error.code];
  const isNotFound = error.code === 'not_found';
  return JSON.stringify({
    type: `urn:strongroom:error:${error.code}`,
    title,
    status,
    code: error.code,
    ...(error.detail === undefined || isNotFound ? {} : { detail: error.detail }),
    hint: isNotFound ? hint : error.hint,
    requestId,
    ...(error.errors === undefined || isNotFound ? {} : { errors: error.errors }),
  });
}

/** Seconds a client waits when the error itself doesn't say. */
const defaultRetrySeconds = 1;

/** Sends an error; the status is the table's. */
export function sendProblem(reply: FastifyReply, error: StrongroomError): void {
  const { status } = errorTable[error.code];
  reply.code(status).header('content-type', problemMediaType);
  if (status === 429 || status === 503)
    reply.header('retry-after', String(Math.max(1, Math.ceil(error.retryAfterSeconds ?? defaultRetrySeconds))));
  if (status === 401) reply.header('www-authenticate', 'Bearer realm="strongroom"');
  // As bytes, or Fastify adds a charset that the media type doesn't have.
  reply.send(Buffer.from(problemBody(error, reply.request.id)));
}

/** Logs what is the server's fault; what is the client's is its own matter. Never the request, never a foreign message. */
export function logFailure(log: Log, request: FastifyRequest, error: StrongroomError): void {
  const route = request.routeRequest?.route;
  const about = { requestId: request.id, route: route?.id, code: error.code };
  if (error.code === 'internal') log.error({ ...about, error: error.cause ?? error }, 'unexpected error');
  else if (errorTable[error.code].status >= 500) log.warn({ ...about, error }, 'request failed');
  if (route !== undefined && !declares(route, error.code)) log.warn(about, 'the route does not declare this code');
}

const declaredCodes = new WeakMap<RouteDeclaration, ReadonlySet<ErrorCode>>();

function declares(route: RouteDeclaration, code: ErrorCode): boolean {
  let codes = declaredCodes.get(route);
  if (codes === undefined) {
    codes = new Set(errorCodesOf(route));
    declaredCodes.set(route, codes);
  }
  return codes.has(code);
}
