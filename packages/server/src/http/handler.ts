import type { BodyOf, ParamsOf, QueryOf, ResponseOf, RouteDeclaration } from '@strongroom/contract';
import type { Readable } from 'node:stream';
import type { AssetRef, Caller, Decision, ScopeRef } from '../access/types.ts';
import type { MaybePromise } from '../store/maybe-promise.ts';
import type { IdempotencyKey } from '../store/store.ts';

/** What a handler gets: everything is parsed, validated, authenticated and decided. Handlers know nothing of HTTP beyond this. */
export interface HandlerRequest<R> {
  readonly params: ParamsOf<R>;
  readonly query: QueryOf<R>;
  readonly body: BodyOf<R>;
  /** The signed-in caller. On `public` routes reading it throws. */
  readonly caller: Caller;
  /** The scope in the path, already visible to the caller. Reading it on other routes throws. */
  readonly scope: ScopeRef;
  /** The asset of an `asset` route. Reading it on other routes throws. */
  readonly asset: AssetRef;
  /** The decision of the route's own action. */
  readonly decision: Decision;
  readonly requestId: string;
  readonly network: string;
  /** The revision in `If-Match`, when sent. */
  readonly ifMatch: number | undefined;
  readonly idempotency: IdempotencyKey | undefined;
  /** Aborted when the client goes away or the request's deadline passes. */
  readonly signal: AbortSignal;
}

export interface HandlerReply<R> {
  readonly body?: ResponseOf<R>;
  /** For `raw` routes. */
  readonly stream?: Readable | string;
  /** A revision counter; becomes the ETag. Never derived from a value. */
  readonly etag?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /**
   * The session cookie to set, `null` to clear it. Its name and attributes are the transport's matter: `__Host-strongroom`,
   * Secure, over HTTPS; `strongroom` on plain-HTTP loopback; always HttpOnly, SameSite=Strict, Path=/.
   */
  readonly sessionCookie?: { readonly value: string; readonly maxAgeSeconds: number } | null;
}

/** An answer that needs no waiting is sent at once. */
export type Handler<R> = (request: HandlerRequest<R>) => MaybePromise<HandlerReply<R>>;

/** Handlers of a folder's routes by route id; missing or extra ones don't compile. */
export type HandlersOf<Routes extends readonly RouteDeclaration[]> = {
  readonly [R in Routes[number] as R['id']]: Handler<R>;
};
