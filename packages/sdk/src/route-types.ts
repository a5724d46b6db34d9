import type { BodyOf, ParamsOf, QueryOf, ResponseOf, routes } from '@strongroom/contract';
import type { routeTable } from './route-table.ts';

/** Types of every call, taken from the contract; nothing of it is loaded at run time. */

type Declared = (typeof routes)[number];
export type RouteId = Declared['id'];
type RouteOf<Id extends RouteId> = Extract<Declared, { readonly id: Id }>;
type RowOf<Id extends RouteId> = Id extends keyof typeof routeTable ? (typeof routeTable)[Id] : never;

/** What every call takes besides its own parts. */
export interface CallOptions {
  readonly signal?: AbortSignal;
  /** Milliseconds until the answer's headers; the client's own when absent. */
  readonly timeoutMilliseconds?: number;
  /** The revision that was read; another one by now is a `revision_mismatch`. */
  readonly ifMatch?: number;
  /** At most 255 visible ASCII characters; made anew for each call that takes one when absent. */
  readonly idempotencyKey?: string;
}

/** Nothing given: whatever it fits may be left out. */
type Nothing = Readonly<Record<string, never>>;

type Part<Name extends string, T> = Nothing extends T ? { readonly [K in Name]?: T } : { readonly [K in Name]: T };

export type CallInput<Id extends RouteId> = Part<'params', ParamsOf<RouteOf<Id>>> &
  Part<'query', QueryOf<RouteOf<Id>>> &
  Part<'body', BodyOf<RouteOf<Id>>> &
  CallOptions;

/** A body that isn't JSON, as it arrives. */
export interface RawAnswer {
  readonly mediaType: string;
  readonly chunks: AsyncIterable<Uint8Array>;
  text(): Promise<string>;
}

export type CallResult<Id extends RouteId> =
  RowOf<Id> extends { readonly raw: true }
    ? RawAnswer
    : RowOf<Id> extends { readonly empty: true }
      ? undefined
      : ResponseOf<RouteOf<Id>>;

type Arguments<Id extends RouteId> = Nothing extends CallInput<Id> ? [input?: CallInput<Id>] : [input: CallInput<Id>];

/** One method for each route, named by its id. */
export type Methods = { readonly [Id in RouteId]: (...input: Arguments<Id>) => Promise<CallResult<Id>> };

/** Routes that answer pages. */
export type ListId = {
  [Id in RouteId]: CallResult<Id> extends { items: readonly unknown[]; nextCursor?: string | undefined }
    ? 'nextCursor' extends keyof CallResult<Id>
      ? Id
      : never
    : never;
}[RouteId];

export type ItemOf<Id extends ListId> = CallResult<Id> extends { items: readonly (infer Item)[] } ? Item : never;
