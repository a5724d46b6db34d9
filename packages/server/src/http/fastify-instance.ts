import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { HttpSettings } from './app.ts';
import { answerClientError, refuseExpectation } from './client-error.ts';
import { apiHeaders } from './headers.ts';
import { sendProblem, toStrongroomError } from './problem.ts';
import { newRequestId } from './request-id.ts';

export interface HttpTimeouts {
  /** From the first byte of a request to the last of its headers (slowloris). */
  readonly headersMilliseconds: number;
  /** From the first byte of a request to its last. */
  readonly requestMilliseconds: number;
  /** How often the two above are looked at. */
  readonly checkMilliseconds: number;
  readonly keepAliveMilliseconds: number;
  /** From the guard to the first byte of the answer. */
  readonly handlerMilliseconds: number;
}

export const httpTimeouts: HttpTimeouts = {
  headersMilliseconds: 10_000,
  requestMilliseconds: 30_000,
  checkMilliseconds: 2_000,
  keepAliveMilliseconds: 60_000,
  handlerMilliseconds: 60_000,
};
/** Request line and headers together. */
const maxHeaderBytes = 16 * 1024;
const maxParameterCharacters = 1024;

/** Fastify over a server with every cap set; requests that don't even reach a route are answered as problems too. */
export function createFastify(settings: HttpSettings): FastifyInstance {
  const timeouts = { ...httpTimeouts, ...settings.timeouts };
  const server = {
    headersTimeout: timeouts.headersMilliseconds,
    requestTimeout: timeouts.requestMilliseconds,
    connectionsCheckingInterval: timeouts.checkMilliseconds,
    keepAliveTimeout: timeouts.keepAliveMilliseconds,
    maxHeaderSize: maxHeaderBytes,
    insecureHTTPParser: false,
    // Answered by us, as a problem.
    requireHostHeader: false,
    noDelay: true,
  };
  const options = {
    requestIdHeader: false as const,
    genReqId: newRequestId,
    trustProxy: settings.trustedProxies.length === 0 ? false : [...settings.trustedProxies],
    bodyLimit: settings.limits.bodyBytes,
    requestTimeout: server.requestTimeout,
    keepAliveTimeout: server.keepAliveTimeout,
    return503OnClosing: false,
    forceCloseConnections: 'idle' as const,
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: maxParameterCharacters },
    clientErrorHandler: answerClientError,
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      reply.headers(apiHeaders(settings.tls !== undefined)).header('x-request-id', request.id);
      sendProblem(reply, toStrongroomError(error));
    },
  };
  const fastify = settings.tls === undefined ? Fastify({ ...options, http: server }) : createHttps(settings.tls);
  fastify.server.maxConnections = settings.limits.connections;
  fastify.server.on('checkExpectation', refuseExpectation);
  return fastify;

  function createHttps(tls: NonNullable<HttpSettings['tls']>): FastifyInstance {
    const https = {
      ...server,
      cert: Buffer.from(tls.certificate),
      key: Buffer.from(tls.key),
      minVersion: 'TLSv1.2' as const,
    };
    return Fastify({ ...options, https });
  }
}
