import { StrongroomError } from '@strongroom/contract/core';
import type { Kysely } from 'kysely';
import type { Tables } from '../store/tables.ts';

/**
 * What a domain holds of each at most, by the table that it is in. More is a sign of one grant for each person, where a group
 * belongs, or of one selector for each secret, where a prefix does.
 */
export const accessLimits = {
  bundles: 1000,
  members: 5000,
  grants: 5000,
  bundle_grants: 5000,
  bundle_assets: 5000,
} as const;

export type AccessLimits = Readonly<Record<keyof typeof accessLimits, number>>;

const words: Readonly<Record<keyof AccessLimits, string>> = {
  bundles: 'bundles',
  members: 'members',
  grants: 'grants of single permissions',
  bundle_grants: 'grants on its bundles',
  bundle_assets: 'keys and prefixes in its bundles',
};

/** Asked where one more would enter. @throws StrongroomError `limit_exceeded` naming the limit */
export async function requireRoom(
  { db }: { readonly db: Kysely<Tables> },
  table: keyof AccessLimits,
  scopeId: string,
  max: number,
): Promise<void> {
  const { count } = await db
    .selectFrom(table)
    .select((column) => column.fn.countAll<number>().as('count'))
    .where('scope_id', '=', scopeId)
    .executeTakeFirstOrThrow();
  if (count >= max)
    throw new StrongroomError('limit_exceeded', { detail: `A domain has at most ${max} ${words[table]}.` });
}
