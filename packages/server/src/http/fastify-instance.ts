import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { HttpSettings } from './app.ts';
import { answerClientError, refuseExpectation } from './client-error.ts';
import { apiHeaders } from './headers.ts';
import { sendProblem, toStrongroomError } from './problem.ts';
import { newRequestId } from './request-id.ts';
import { turnRequests } from './turn-requests.ts';

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
  const serverOptions = {
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
  const { tls } = settings;
  const fastify = Fastify({
    requestIdHeader: false,
    genReqId: newRequestId,
    trustProxy: settings.trustedProxies.length === 0 ? false : [...settings.trustedProxies],
    bodyLimit: settings.limits.bodyBytes,
    return503OnClosing: false,
    forceCloseConnections: 'idle',
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: maxParameterCharacters },
    clientErrorHandler: answerClientError,
    frameworkErrors: (error: Error, request: FastifyRequest, reply: FastifyReply) => {
      reply.headers(apiHeaders(tls !== undefined)).header('x-request-id', request.id);
      sendProblem(reply, toStrongroomError(error));
    },
    serverFactory(listener) {
      const together = turnRequests(listener);
      if (tls === undefined) return createHttpServer(serverOptions, together);
      const key = { cert: Buffer.from(tls.certificate), key: Buffer.from(tls.key) };
      return createHttpsServer({ ...serverOptions, ...key, minVersion: 'TLSv1.2' }, together);
    },
  });
  fastify.server.maxConnections = settings.limits.connections;
  fastify.server.on('checkExpectation', refuseExpectation);
  return fastify;
}
