import { checkServerAddress } from './address.ts';
import { isRecord, unreachable } from './errors.ts';
import { routeTable } from './route-table.ts';
import type { CallInput, CallResult, ItemOf, ListId, Methods, RouteId } from './route-types.ts';
import { type AnyInput, type Fetch, send, type TransportOptions } from './transport.ts';

export interface ClientOptions {
  /** `https://…`, or `http://` to loopback. */
  readonly url: string;
  /** A service account's `srt_…` token, a workload's JWT, or a session's token; a function is asked for each call. */
  readonly token?: string | (() => Promise<string>);
  /** Until the answer's headers; 30 seconds when absent. */
  readonly timeoutMilliseconds?: number;
  /** In place of the global `fetch`. */
  readonly fetch?: Fetch;
  readonly userAgent?: string;
}

/** An answer with what its headers said. */
export interface FullAnswer<T> {
  readonly data: T;
  readonly status: number;
  /** Under which the server's log has the request. */
  readonly requestId: string | undefined;
  /** What `ifMatch` takes. */
  readonly revision: number | undefined;
}

interface Calls {
  /** The same call as the method of that name, with the answer's headers. */
  call<Id extends RouteId>(id: Id, input: CallInput<Id>): Promise<FullAnswer<CallResult<Id>>>;
  /** Every item of a list, page after page, as far as it is read. */
  items<Id extends ListId>(id: Id, input: CallInput<Id>): AsyncGenerator<ItemOf<Id>, void>;
}

export type Client = Methods & Calls;

const defaultTimeoutMilliseconds = 30_000;

/**
 * A client of one server. Calls are not repeated; creates carry an `Idempotency-Key`, so that repeating one with the same
 * key is safe.
 *
 * Every method throws {@link StrongroomError}: the server's own as `ServerError`, `server_unreachable` without an answer,
 * `deadline_exceeded` without one in time. An aborted `signal` throws its reason.
 *
 * @throws StrongroomError `validation_failed` when the address may not be used
 */
export function createClient(options: ClientOptions): Client {
  const transport: TransportOptions = {
    address: checkServerAddress(options.url),
    timeoutMilliseconds: options.timeoutMilliseconds ?? defaultTimeoutMilliseconds,
    fetch: options.fetch ?? globalThis.fetch,
    ...(options.token === undefined ? {} : { token: options.token }),
    ...(options.userAgent === undefined ? {} : { userAgent: options.userAgent }),
  };
  const call: Calls['call'] = async <Id extends RouteId>(id: Id, input: CallInput<Id>) => {
    const answer = await send(transport, routeTable[id], input);
    // The server strips its answers to the declared schema.
    return { ...answer, data: answer.data as CallResult<Id> };
  };
  const items: Calls['items'] = async function* <Id extends ListId>(id: Id, input: CallInput<Id>) {
    const given: AnyInput = input;
    const query = isRecord(given.query) ? given.query : {};
    let cursor = typeof query['cursor'] === 'string' ? query['cursor'] : undefined;
    do {
      const page = { ...given, query: cursor === undefined ? query : { ...query, cursor } };
      const { data } = await send(transport, routeTable[id], page);
      const { items: found, nextCursor } = data as { items: ItemOf<Id>[]; nextCursor?: string };
      yield* found;
      if (nextCursor !== undefined && nextCursor === cursor)
        throw unreachable('The server answers the same page again and again.');
      cursor = nextCursor;
    } while (cursor !== undefined);
  };
  const ids = Object.keys(routeTable) as RouteId[];
  const methods = Object.fromEntries(
    ids.map((id) => [id, async (input: AnyInput = {}) => (await send(transport, routeTable[id], input)).data]),
  ) as unknown as Methods;
  return { ...methods, call, items };
}
