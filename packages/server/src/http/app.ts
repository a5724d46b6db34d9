import { type RouteDeclaration, StrongroomError } from '@strongroom/contract';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Keys } from '../keys/keys.ts';
import type { Log } from '../operation/log.ts';
import { createAnswer, createHeaderSetter, discardAnswer, type SendAnswer } from './answer.ts';
import { type Authentication, sessionCookieName } from './authentication.ts';
import { declarationProblems } from './declarations.ts';
import { createGuard, type Guard, type GuardParts } from './guard.ts';
import { createFastify, type HttpTimeouts, httpTimeouts } from './fastify-instance.ts';
import { apiHeaders, refuseRepeatedHeaders } from './headers.ts';
import { HostList } from './hosts.ts';
import type { HandlerReply } from './handler.ts';
import { InFlight } from './in-flight.ts';
import { type Page, registerPages } from './pages.ts';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import { logFailure, sendProblem, toStrongroomError } from './problem.ts';
import { RateLimit } from './rate-limit.ts';
import { checkBodyHeaders, isEmptyBody, readBody } from './request-body.ts';
import { type AnyHandler, RouteRequest } from './route-request.ts';
import { noQuery, routeSerializer, routeValidator } from './route-schemas.ts';
import { TurnAnswers } from './turn-answers.ts';

export interface HttpSettings {
  /** Host names served besides the loopback ones, without port. */
  readonly hosts: readonly string[];
  /** Address people use, when it isn't the one listened on (behind a proxy). */
  readonly publicUrl: string | undefined;
  /** Addresses or networks (CIDR) whose `X-Forwarded-For` is believed. */
  readonly trustedProxies: readonly string[];
  /** PEM; absent: plain HTTP. */
  readonly tls: { readonly certificate: Uint8Array; readonly key: Uint8Array } | undefined;
  /** When not the defaults. */
  readonly timeouts?: Partial<HttpTimeouts>;
  readonly limits: {
    readonly bodyBytes: number;
    readonly connections: number;
    readonly requestsPerMinute: number;
    readonly anonymousRequestsPerMinute: number;
    readonly launchesPerMinute: number;
  };
}

/** Where finished requests are counted. */
export interface RequestMetrics {
  observe(routeId: string, status: number, milliseconds: number): void;
}

export interface AppParts {
  readonly routes: readonly RouteDeclaration[];
  readonly handlers: Readonly<Record<string, AnyHandler>>;
  readonly authentication: Authentication;
  readonly access: GuardParts['access'];
  readonly keys: Pick<Keys, 'bodyHmac'>;
  readonly features: GuardParts['features'];
  readonly settings: HttpSettings;
  readonly log: Log;
  readonly metrics: RequestMetrics;
  readonly pages?: readonly Page[];
}

export interface App {
  readonly fastify: FastifyInstance;
  /** Requests under way. */
  readonly inFlight: InFlight;
  /** Takes no new request, gives those under way `graceMilliseconds`, then closes. */
  stop(graceMilliseconds: number): Promise<void>;
}

declare module 'fastify' {
  interface FastifyRequest {
    routeRequest: RouteRequest | null;
  }
}

const slowMilliseconds = 2_000;
/** A body that is there later than this after its request was let in is late. */
const lateMilliseconds = 100;
/** A body left unread that's larger is not worth reading for the sake of the connection. */
const maxUnreadBytes = 64 * 1024;

/**
 * The HTTP side of the server: exactly the declared routes, each with its guard and its handler.
 *
 * @throws TypeError naming every route without access, without a handler, or declared in a way that can't be decided
 */
export function createApp(parts: AppParts): App {
  const { settings, log } = parts;
  const problems = declarationProblems(parts.routes, parts.handlers);
  if (problems.length > 0) throw new TypeError(`The routes are not fit to start with:\n  ${problems.join('\n  ')}`);

  const isHttps = settings.tls !== undefined || settings.publicUrl?.startsWith('https:') === true;
  const hosts = new HostList(settings.hosts, settings.publicUrl);
  const guardParts: GuardParts = {
    authentication: parts.authentication,
    access: parts.access,
    features: parts.features,
    hosts,
    rateLimit: new RateLimit(),
    networkRateLimit: new RateLimit(),
    limits: settings.limits,
    cookieName: sessionCookieName(isHttps),
  };
  const fastify = createFastify(settings);
  const inFlight = new InFlight({ ...httpTimeouts, ...settings.timeouts }.handlerMilliseconds, (routeRequest, error) =>
    fail(routeRequest.reply, error),
  );

  fastify.decorateRequest('routeRequest', null);
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('application/json', { parseAs: 'buffer' }, (request, body, done) => {
    try {
      done(null, readBody(request, Buffer.isBuffer(body) ? body : Buffer.from(body), parts.keys));
    } catch (error) {
      done(toStrongroomError(error));
    }
  });
  fastify.setValidatorCompiler(({ schema, httpPart }) =>
    routeValidator(httpPart === 'params' || httpPart === 'querystring' ? httpPart : 'body', schema as object),
  );
  fastify.setSerializerCompiler(({ schema }) => routeSerializer(schema as object));

  const fixedHeaders = apiHeaders(isHttps);
  const turn = new TurnAnswers();
  const setHeaders = createHeaderSetter(fixedHeaders);
  const fail = (reply: FastifyReply, cause: unknown): void => {
    const error = toStrongroomError(cause, reply.request.routeOptions.bodyLimit);
    logFailure(log, reply.request, error);
    const length = Number(reply.request.headers['content-length'] ?? 0);
    if (length > maxUnreadBytes || reply.request.headers['transfer-encoding'] !== undefined)
      reply.header('connection', 'close');
    setHeaders(reply);
    sendProblem(reply, error);
  };
  fastify.setErrorHandler((error, _request, reply) => fail(reply, error));
  const methodsOf = methodTable(parts.routes);
  fastify.setNotFoundHandler((_request, reply) => fail(reply, new StrongroomError('not_found')));

  fastify.addHook('onRequest', (request, reply, done) => {
    const { raw } = request;
    try {
      refuseRepeatedHeaders(raw.rawHeaders, raw.headers);
      hosts.check(raw.headers.host, raw.socket);
      if (inFlight.isStopping) {
        reply.header('connection', 'close');
        throw new StrongroomError('shutting_down');
      }
      // SQL text can't hold it, and no name has it.
      if (raw.url?.includes('%00') === true)
        throw new StrongroomError('validation_failed', { detail: 'The address holds NUL.' });
      // Before Fastify looks at a body that nobody asked for.
      if (request.is404) {
        const methods = methodsOf(request.url);
        if (methods === undefined) throw new StrongroomError('not_found');
        reply.header('allow', methods);
        throw new StrongroomError('method_not_allowed');
      }
      done();
    } catch (error) {
      done(toStrongroomError(error));
    }
  });

  for (const route of parts.routes) registerRoute(route);
  registerPages(fastify, parts.pages ?? [], isHttps);

  function registerRoute(route: RouteDeclaration): void {
    const guard = createGuard(route, guardParts);
    const decideAgain = lateDecision(guard);
    const sendAnswer = createAnswer(route, fixedHeaders, isHttps, turn);
    const handler = parts.handlers[route.id];
    if (handler === undefined) throw new TypeError(`${route.id}: no handler`);
    fastify.route({
      method: route.method,
      url: fastifyPath(route.path),
      bodyLimit: route.bodyLimitBytes ?? settings.limits.bodyBytes,
      schema: {
        ...(route.params === undefined ? {} : { params: route.params }),
        querystring: route.query ?? noQuery,
        ...(route.body === undefined ? {} : { body: route.body }),
        ...(route.response === undefined ? {} : { response: { [route.status]: route.response } }),
      },
      onRequest: (request, reply, done) => {
        let admitting: MaybePromise<void>;
        try {
          const routeRequest = new RouteRequest(route, request, reply, performance.now());
          request.routeRequest = routeRequest;
          watch(routeRequest, reply);
          admitting = andThen(guard.admit(request, routeRequest), () => {
            routeRequest.admittedAt = performance.now();
            checkBodyHeaders(request, parts.keys);
          });
        } catch (error) {
          done(toStrongroomError(error));
          return;
        }
        // A known caller is let in at once.
        if (admitting === undefined) done();
        else void letIn(admitting, done);
      },
      ...(route.method === 'GET' ? {} : { preValidation: decideAgain }),
      ...(route.method === 'GET' || route.body !== undefined ? {} : { preHandler: refuseBody }),
      handler: ({ routeRequest }) => {
        if (routeRequest === null) throw new TypeError('The request has not passed its guard');
        try {
          const answering = handler(routeRequest);
          if (answering instanceof Promise)
            answering.then(
              (answer) => answerWith(sendAnswer, routeRequest, answer),
              (error: unknown) => answerFailure(routeRequest, error),
            );
          else answerWith(sendAnswer, routeRequest, answering);
        } catch (error) {
          answerFailure(routeRequest, error);
        }
      },
    });
  }

  /** A request may announce a body and keep it back, for longer than its caller may do what it asks for. */
  function lateDecision(guard: Guard) {
    return (request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void => {
      const { routeRequest } = request;
      if (routeRequest === null || performance.now() - routeRequest.admittedAt < lateMilliseconds) return done();
      try {
        const admitting = guard.admitAgain(request, routeRequest);
        if (admitting === undefined) done();
        else void letIn(admitting, done);
      } catch (error) {
        done(toStrongroomError(error));
      }
    };
  }

  function answerWith(
    sendAnswer: SendAnswer,
    routeRequest: RouteRequest,
    answer: HandlerReply<RouteDeclaration>,
  ): void {
    if (routeRequest.isAnswered) return discardAnswer(answer);
    try {
      sendAnswer(routeRequest.reply, answer);
    } catch (error) {
      fail(routeRequest.reply, error);
    }
  }

  function answerFailure(routeRequest: RouteRequest, error: unknown): void {
    if (!routeRequest.isAnswered) fail(routeRequest.reply, error);
    else log.debug({ requestId: routeRequest.requestId, error }, 'failed after its answer');
  }

  /** From here until its connection lets go of it the request counts as under way. */
  function watch(routeRequest: RouteRequest, reply: FastifyReply): void {
    const over = inFlight.add(routeRequest);
    reply.raw.on('close', () => {
      over();
      if (!reply.raw.writableFinished)
        routeRequest.abort(new StrongroomError('request_malformed', { detail: 'The client went away.' }));
      const milliseconds = performance.now() - routeRequest.startedAt;
      const { route } = routeRequest;
      parts.metrics.observe(route.id, reply.statusCode, milliseconds);
      if (milliseconds > slowMilliseconds && route.raw === undefined)
        log.warn(
          {
            requestId: routeRequest.requestId,
            route: route.id,
            status: reply.statusCode,
            milliseconds: Math.round(milliseconds),
          },
          'slow request',
        );
      else if (log.isLevelEnabled('debug'))
        log.debug(
          { requestId: routeRequest.requestId, route: route.id, status: reply.statusCode, milliseconds },
          'request',
        );
    });
  }

  return {
    fastify,
    inFlight,
    stop: async (graceMilliseconds) => {
      await inFlight.stop(graceMilliseconds);
      const closed = fastify.close();
      fastify.server.closeAllConnections();
      await closed;
    },
  };
}

async function letIn(admitting: Promise<void>, done: (error?: Error) => void): Promise<void> {
  try {
    await admitting;
  } catch (error) {
    done(toStrongroomError(error));
    return;
  }
  done();
}

/**
 * The methods of a known path, for whoever asks with another one (RFC 9110 §15.5.6). Looked at only when no route was
 * found: routes of their own for all other methods would be most of the router.
 */
function methodTable(routes: readonly RouteDeclaration[]): (url: string) => string | undefined {
  const paths = [...Map.groupBy(routes, ({ path }) => path.replaceAll(/\{[^}]*\}/g, '[^/]+'))].map(([path, group]) => {
    const methods = new Set<string>(group.map(({ method }) => method));
    if (methods.has('GET')) methods.add('HEAD');
    return { pattern: new RegExp(`^${path.replaceAll('.', '\\.')}$`), methods: [...methods].sort().join(', ') };
  });
  return (url) => {
    const [path = ''] = url.split('?', 1);
    return paths.find(({ pattern }) => pattern.test(path))?.methods;
  };
}

/** A route without a declared body takes none; an empty object is how some clients say so. GET's is refused by its headers. */
function refuseBody(request: FastifyRequest, _reply: FastifyReply, done: (error?: Error) => void): void {
  if (request.body !== undefined && !isEmptyBody(request.body))
    done(
      new StrongroomError('validation_failed', { errors: [{ pointer: '', message: 'this request takes no body' }] }),
    );
  else done();
}

function fastifyPath(path: string): string {
  return path.replaceAll(/\{([^}]*)\}/g, ':$1');
}
