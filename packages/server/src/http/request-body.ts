import { StrongroomError } from '@strongroom/contract';
import type { FastifyRequest } from 'fastify';
import type { Keys } from '../keys/keys.ts';
import { parseIdempotencyKey } from './headers.ts';
import { parseJsonBody } from './json-body.ts';

/** What the headers say about a body, looked at once the caller may call the route and before any of it is read. */
export function checkBodyHeaders(request: FastifyRequest, keys: Pick<Keys, 'bodyHmac'>): void {
  const { headers, method } = request;
  const hasBody = headers['transfer-encoding'] !== undefined || (headers['content-length'] ?? '0') !== '0';
  if (method === 'GET' || method === 'HEAD') {
    if (hasBody) throw new StrongroomError('request_malformed', { detail: `${method} takes no body.` });
    return;
  }
  const type = headers['content-type'];
  // Strictly spelt: servers on the way differ in what they make of a tab or a second parameter.
  if (type === undefined ? hasBody : !/^application\/json(?: *; *charset="?utf-8"?)?$/i.test(type))
    throw new StrongroomError('media_type_unsupported');
  if (headers['content-encoding'] !== undefined)
    throw new StrongroomError('media_type_unsupported', { detail: 'Content-Encoding is not supported.' });
  if (hasBody) return;
  if (request.routeRequest?.route.body !== undefined)
    throw new StrongroomError('request_malformed', { detail: 'The body is missing.' });
  setIdempotency(request, new Uint8Array(), keys);
}

/** Parses a body and wipes the bytes it came in: they may hold a value. */
export function readBody(request: FastifyRequest, bytes: Buffer, keys: Pick<Keys, 'bodyHmac'>): unknown {
  try {
    setIdempotency(request, bytes, keys);
    return bytes.length === 0 ? undefined : parseJsonBody(bytes);
  } finally {
    bytes.fill(0);
  }
}

/** Some clients say «no body» as `{}`. */
export function isEmptyBody(body: unknown): boolean {
  return typeof body === 'object' && body !== null && !Array.isArray(body) && Object.keys(body).length === 0;
}

/** The same key with another method, address or body is another request: all three go into the keyed hash. */
function setIdempotency(request: FastifyRequest, bytes: Uint8Array, keys: Pick<Keys, 'bodyHmac'>): void {
  const { routeRequest, headers } = request;
  const header = headers['idempotency-key'];
  if (typeof header !== 'string' || routeRequest?.route.idempotent !== true || routeRequest.admitted === undefined)
    return;
  const key = parseIdempotencyKey(header);
  // Neither of the first two can hold a line feed, so the three can't run into each other.
  const head = Buffer.from(`${request.method}\n${request.url}\n`);
  const whole = Buffer.concat([head, bytes]);
  routeRequest.idempotency = {
    subject: routeRequest.admitted.caller.id,
    route: routeRequest.route.id,
    key,
    bodyHmac: keys.bodyHmac(whole),
  };
  whole.fill(0);
}
