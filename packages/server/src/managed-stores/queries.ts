import { exactKey, foldKey } from '@strongroom/contract/core';
import type { QueryContext } from '../store/store.ts';
import { legacyTableQueries } from './legacy-table/queries.ts';

/** A secret that is kept outside the database and that a workload holds. */
export interface WatchedSecret {
  readonly id: string;
  readonly key: string;
  readonly source_id: string;
}

/** Those of live receipts, by id from behind `after` on. */
async function watched(
  { db }: QueryContext,
  args: { readonly after: string; readonly limit: number },
): Promise<WatchedSecret[]> {
  return db
    .selectFrom('launches')
    .innerJoin('receipts', 'receipts.launch_id', 'launches.id')
    .innerJoin('secrets', 'secrets.id', 'receipts.secret_id')
    .innerJoin('sources', 'sources.id', 'secrets.source_id')
    .select(['secrets.id', 'secrets.key', 'secrets.source_id'])
    .distinct()
    .where('launches.ended_at', 'is', null)
    .where('receipts.delivered_at', 'is not', null)
    .where('sources.type', '!=', 'DATABASE')
    .where('secrets.deleted_at', 'is', null)
    .where('secrets.id', '>', args.after)
    .orderBy('secrets.id')
    .limit(args.limit)
    .execute();
}

/** Rows of keys, whatever became of them. */
async function known(
  { db }: QueryContext,
  args: { readonly sourceId: string; readonly keys: readonly string[] },
): Promise<string[]> {
  if (args.keys.length === 0) return [];
  const rows = await db
    .selectFrom('secrets')
    .select('key')
    .where('source_id', '=', args.sourceId)
    .where('folded_key', 'in', [...new Set(args.keys.flatMap((key) => [foldKey(key), exactKey(key)]))])
    .execute();
  return rows.map(({ key }) => key);
}

/** Secrets whose entries are not marked as ours, by id from behind `after` on. */
async function unmarked(
  { db }: QueryContext,
  args: { readonly sourceId: string; readonly after: string; readonly limit: number },
): Promise<{ readonly id: string; readonly key: string }[]> {
  return db
    .selectFrom('secrets')
    .select(['id', 'key'])
    .where('source_id', '=', args.sourceId)
    .where('is_unmarked', '=', 1)
    .where('id', '>', args.after)
    .orderBy('id')
    .limit(args.limit)
    .execute();
}

export const managedStoreQueries = {
  'managed.watched': watched,
  'managed.known': known,
  'managed.unmarked': unmarked,
  ...legacyTableQueries,
};
