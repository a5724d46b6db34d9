import { Type, type Static, type TObject, type TProperties, type TSchema } from 'typebox';
import type { AssetAction, PlatformAction, ScopeAction } from './actions.ts';
import type { ErrorCode } from './errors.ts';

/**
 * Who may call a route. There is no default: a route without one doesn't compile, and the server refuses to start with
 * one that slipped past the types.
 *
 * - `public`: nobody needs to sign in; `reason` says why that is right.
 * - `authenticated`: every signed-in principal, about itself or filtered to what it may see.
 * - `platform`: an action on the installation.
 * - `scope`: an action on the scope in the path (`/v1/admin`, `/v1/global`, `/v1/domains/{domain}`).
 * - `asset`: an action on the asset that the path names with `parameter` inside the scope in the path.
 *
 * Whatever a caller may not see answers the same 404, whether it exists or not.
 */
export type RouteAccess =
  | { readonly kind: 'public'; readonly reason: string }
  | { readonly kind: 'authenticated'; readonly reason: string }
  | { readonly kind: 'platform'; readonly action: PlatformAction }
  | { readonly kind: 'scope'; readonly action: ScopeAction }
  | { readonly kind: 'asset'; readonly action: AssetAction; readonly parameter: string };

/** Features that can be turned off; a route that belongs to one answers `feature_disabled` while it is off. */
export const featureNames = ['secretsV2'] as const;
export type FeatureName = (typeof featureNames)[number];

export type HttpMethod = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';

/** What a route sends besides JSON. */
export type RawResponse = {
  readonly mediaType: string;
  /** Media types that a parameter chooses instead. */
  readonly otherMediaTypes?: readonly string[];
  readonly description: string;
};

export interface RouteDeclaration<
  Params extends TObject = TObject,
  Query extends TObject = TObject,
  Body extends TSchema = TSchema,
  Response extends TSchema = TSchema,
> {
  /** The OpenAPI operationId and the name of the handler; lower camel case, unique. */
  readonly id: string;
  readonly method: HttpMethod;
  /** OpenAPI form: `/v1/domains/{domain}/secrets/{key}`. */
  readonly path: string;
  /** One line for people. */
  readonly summary: string;
  /** The folder of the server that handles it; groups the reference pages. */
  readonly tag: string;
  readonly access: RouteAccess;
  /** One closed object for all path parameters; the scope's `domain` included. */
  readonly params?: Params;
  readonly query?: Query;
  readonly body?: Body;
  /** Counts against the launches a minute of the domain in the path. */
  readonly isLaunch?: boolean;
  /** The feature it belongs to; absent: it works whatever the flags say. */
  readonly feature?: FeatureName | undefined;
  /** Status of success. */
  readonly status: 200 | 201 | 202 | 204;
  /** Absent with 204, or with `raw`. Undeclared fields never leave. */
  readonly response?: Response;
  readonly raw?: RawResponse;
  /** Codes besides those every route of its access kind can answer. */
  readonly errors?: readonly ErrorCode[];
  /** Takes `If-Match` (and answers 412 `revision_mismatch`). */
  readonly ifMatch?: boolean;
  /** Takes `Idempotency-Key`; the stored answer is replayed for 24 hours. */
  readonly idempotent?: boolean;
  /** Body limit in bytes when not the default of 1 MiB. */
  readonly bodyLimitBytes?: number;
  /** Requests a minute and principal (or network, when public), besides the limit of all routes. `Infinity`: no limit at all. */
  readonly rateLimitPerMinute?: number;
}

/** Declares a route; the types of its parts are kept for handlers and for the client. */
export function route<
  const Id extends string,
  const Params extends TObject,
  const Query extends TObject,
  const Body extends TSchema,
  const Response extends TSchema,
>(
  declaration: RouteDeclaration<Params, Query, Body, Response> & { readonly id: Id },
): RouteDeclaration<Params, Query, Body, Response> & { readonly id: Id } {
  return declaration;
}

/** An object without undeclared properties: mass assignment is a 422. */
export function Closed<const Properties extends TProperties>(
  properties: Properties,
  options: Record<string, unknown> = {},
): TObject<Properties> {
  return Type.Object(properties, { additionalProperties: false, ...options });
}

/** A page of a keyset list; `nextCursor` is absent on the last page. */
export function Page<const Item extends TSchema>(item: Item) {
  return Closed({ items: Type.Array(item), nextCursor: Type.Optional(Type.String()) });
}

/** Query of every list. */
export const pageQuery = {
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 50 })),
  cursor: Type.Optional(Type.String({ maxLength: 2048 })),
  q: Type.Optional(Type.String({ maxLength: 256 })),
} as const;

/** Query of lists that are short as a rule: who asks for no page gets most of them whole. */
export const wholePageQuery = {
  limit: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 200, description: 'Of a page; left out: the first 1,000, in one' }),
  ),
  cursor: pageQuery.cursor,
} as const;

export type ParamsOf<R> = R extends RouteDeclaration<infer Params> ? Static<Params> : never;
export type QueryOf<R> = R extends RouteDeclaration<TObject, infer Query> ? Static<Query> : never;
export type BodyOf<R> = R extends RouteDeclaration<TObject, TObject, infer Body> ? Static<Body> : never;
export type ResponseOf<R> =
  R extends RouteDeclaration<TObject, TObject, TSchema, infer Response> ? Static<Response> : never;

/** What a caller may do with a listed thing and, for what it may not, why (design: disabled controls say their reason). */
export const ActionsField = Type.Array(
  Closed({ action: Type.String(), allowed: Type.Boolean(), reason: Type.Optional(Type.String()) }),
  { description: 'What the caller may do with it; a refused action carries its reason' },
);
