import type { QueryContext } from '../store/store.ts';

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

export const managedStoreQueries = { 'managed.watched': watched };
