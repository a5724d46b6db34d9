import type { RouteDeclaration } from '@strongroom/contract';
import { StrongroomError } from '@strongroom/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AssetRef, Caller, Decision, ScopeRef } from '../access/types.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import type { IdempotencyKey } from '../store/store.ts';
import type { HandlerReply, HandlerRequest } from './handler.ts';
import { parseIfMatch } from './headers.ts';

/** A handler of any route, as the table of handlers holds it. */
export type AnyHandler = (request: HandlerRequest<never>) => MaybePromise<HandlerReply<RouteDeclaration>>;

/** One request to a declared route on its way through guard and handler. */
export class RouteRequest implements HandlerRequest<never> {
  readonly route: RouteDeclaration;
  readonly startedAt: number;
  readonly ifMatch: number | undefined;
  admitted:
    | { readonly caller: Caller; readonly decision: Decision; readonly scope?: ScopeRef; readonly asset?: AssetRef }
    | undefined;
  /** When the guard let it in. */
  admittedAt = 0;
  idempotency: IdempotencyKey | undefined;
  readonly #request: FastifyRequest;
  readonly #reply: FastifyReply;
  #abort: AbortController | undefined;

  constructor(route: RouteDeclaration, request: FastifyRequest, reply: FastifyReply, startedAt: number) {
    this.route = route;
    this.startedAt = startedAt;
    this.#request = request;
    this.#reply = reply;
    const header = request.headers['if-match'];
    if (header !== undefined && route.ifMatch !== true && route.method !== 'GET')
      throw new StrongroomError('validation_failed', {
        errors: [{ pointer: 'If-Match', message: 'is not taken by this route' }],
      });
    this.ifMatch = route.ifMatch === true ? parseIfMatch(header) : undefined;
  }

  // The schemas of the declaration have checked these three; `never` stands for whatever they say.
  get params(): never {
    return this.#request.params as never;
  }

  get query(): never {
    return this.#request.query as never;
  }

  get body(): never {
    return this.#request.body as never;
  }

  get caller(): Caller {
    if (this.admitted === undefined) throw new TypeError(`${this.route.id} is public: it has no caller`);
    return this.admitted.caller;
  }

  get decision(): Decision {
    if (this.admitted === undefined) throw new TypeError(`${this.route.id} is public: nothing was decided`);
    return this.admitted.decision;
  }

  get scope(): ScopeRef {
    if (this.admitted?.scope === undefined) throw new TypeError(`${this.route.id} has no scope in its path`);
    return this.admitted.scope;
  }

  get asset(): AssetRef {
    if (this.admitted?.asset === undefined) throw new TypeError(`${this.route.id} is not about one asset`);
    return this.admitted.asset;
  }

  get requestId(): string {
    return this.#request.id;
  }

  get network(): string {
    return this.#request.ip;
  }

  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    return this.#abort.signal;
  }

  get reply(): FastifyReply {
    return this.#reply;
  }

  /** Whether an answer is on its way; a stream is from its first byte, which Fastify calls sent only at its last. */
  get isAnswered(): boolean {
    return this.#reply.sent || this.#reply.raw.headersSent;
  }

  /** Tells the handler that nobody waits any more. */
  abort(reason: StrongroomError): void {
    // Made even when nobody has asked yet: a handler that asks later finds it aborted.
    this.#abort ??= new AbortController();
    this.#abort.abort(reason);
  }
}
