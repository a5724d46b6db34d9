import { StrongroomError } from '@strongroom/contract/core';
import type { Keys } from '../keys/keys.ts';
import type { Caller } from './types.ts';

/** The values of the order's columns in the last row that was sent. */
export type Position = readonly string[];

export interface PageRequest {
  readonly limit?: number;
  readonly cursor?: string;
  readonly q?: string;
}

export interface PageOf<Item> {
  readonly items: Item[];
  readonly nextCursor?: string;
}

/** What a list query of this folder is asked: rows after a position, those whose name contains `q` (folded). */
export interface ListArgs {
  readonly q: string | null;
  readonly after: Position | null;
  readonly limit: number;
}

const defaultLimit = 50;

/** Items in one answer for who asks for no page of a list that is short as a rule. */
export const wholeList = 1_000;

/**
 * One page of a keyset list. The cursor is a MACed position, bound to the caller, the list (`list` names it and everything
 * that selects its rows) and the search.
 * @throws StrongroomError `cursor_invalid` for a cursor that is forged, foreign or of another list
 */
export async function readPage<Row, Item>(
  keys: Pick<Keys, 'sealCursor' | 'openCursor'>,
  caller: Caller,
  list: readonly string[],
  request: PageRequest,
  parts: {
    readonly read: (args: ListArgs) => Promise<readonly Row[]>;
    readonly positionOf: (row: Row) => Position;
    readonly toItem: (row: Row) => Item;
  },
): Promise<PageOf<Item>> {
  const limit = request.limit ?? defaultLimit;
  const q = request.q === undefined || request.q === '' ? null : request.q.toLowerCase();
  const binding = JSON.stringify([caller.id, ...list, q]);
  const after = request.cursor === undefined ? null : openPosition(keys.openCursor(request.cursor, binding));
  // One more than asked for says whether there is a next page.
  const rows = await parts.read({ q, after, limit: limit + 1 });
  const shown = rows.slice(0, limit);
  const last = shown.at(-1);
  const items = shown.map(parts.toItem);
  return rows.length > limit && last !== undefined
    ? { items, nextCursor: keys.sealCursor(parts.positionOf(last), binding) }
    : { items };
}

function openPosition(payload: unknown): Position {
  if (Array.isArray(payload) && payload.every((part) => typeof part === 'string')) return payload;
  throw new StrongroomError('cursor_invalid');
}

/** A LIKE pattern (escape `\`) for text that contains `q`. */
export function containing(q: string): string {
  return `%${q.replace(/[\\%_]/g, (character) => `\\${character}`)}%`;
}
