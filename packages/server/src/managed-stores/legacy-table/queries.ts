import type { QueryContext } from '../../store/store.ts';

/** A copy of a row, at its current version. */
export interface FollowedCopy {
  readonly id: string;
  readonly key: string;
  readonly epoch: number;
  readonly version: number;
  readonly store_state: string | null;
}

/** All copies that follow a table; not those that were deleted. */
async function followed(
  { db }: QueryContext,
  { sourceId }: { readonly sourceId: string },
): Promise<readonly FollowedCopy[]> {
  return db
    .selectFrom('secrets')
    .select(['id', 'key', 'current_epoch as epoch', 'current_version as version', 'store_state'])
    .where('source_id', '=', sourceId)
    .where('is_unmarked', '=', 1)
    .where('deleted_at', 'is', null)
    .execute();
}

export const legacyTableQueries = { 'legacyTable.followed': followed };
