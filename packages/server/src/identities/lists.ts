import { StrongroomError } from '@strongroom/contract';
import type { Keys } from '../keys/keys.ts';
import type { NamePosition } from './queries.ts';

/** What every list of this folder takes. */
export interface ListRequest {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
  /** Prefix of the name. */
  readonly q?: string | undefined;
  /** Exactly this name. */
  readonly name?: string | undefined;
}

export interface ListPage<Item> {
  readonly items: readonly Item[];
  readonly nextCursor?: string;
}

const defaultLimit = 50;
const ascii = /^[\x20-\x7e]*$/;

interface ReadArgs {
  readonly limit: number;
  readonly name?: string;
  readonly prefix?: string;
  readonly after?: NamePosition;
}

/**
 * One page in the order of (name, id). A cursor is good for its caller, its list and its filter only.
 * @param list names the list, with whatever narrows it
 * @throws StrongroomError `cursor_invalid`
 */
export async function readPage<Item extends NamePosition>(
  keys: Keys,
  callerId: string,
  list: readonly string[],
  request: ListRequest,
  read: (args: ReadArgs) => Promise<readonly Item[]>,
): Promise<ListPage<Item>> {
  const limit = request.limit ?? defaultLimit;
  const name = request.name?.trim();
  const prefix = request.q?.trim();
  const binding = JSON.stringify(['identities', ...list, callerId, name ?? null, prefix ?? null]);
  const after = request.cursor === undefined ? undefined : openPosition(keys, request.cursor, binding);
  // Names are ASCII: nothing else can match, and folding it could make it match something it is not.
  if (!ascii.test(name ?? '') || !ascii.test(prefix ?? '')) return { items: [] };
  const rows = await read({
    limit: limit + 1,
    ...(name === undefined ? {} : { name: name.toLowerCase() }),
    ...(prefix === undefined || prefix === '' ? {} : { prefix: prefix.toLowerCase() }),
    ...(after === undefined ? {} : { after }),
  });
  const items = rows.slice(0, limit);
  const last = items.at(-1);
  if (rows.length <= limit || last === undefined) return { items };
  return { items, nextCursor: keys.sealCursor({ name: last.name, id: last.id }, binding) };
}

function openPosition(keys: Keys, cursor: string, binding: string): NamePosition {
  const payload = keys.openCursor(cursor, binding);
  if (payload === null || typeof payload['name'] !== 'string' || typeof payload['id'] !== 'string') {
    throw new StrongroomError('cursor_invalid');
  }
  return { name: payload['name'], id: payload['id'] };
}
