import { formatReference, parseReference } from '@strongroom/contract/core';
import { type Kysely, sql } from 'kysely';
import { adminScopeId } from '../store/ids.ts';
import type { Tables } from '../store/tables.ts';

/** What holds a reference and is no configuration. */
export interface Holder {
  readonly kind: 'cluster';
  readonly id: string;
  readonly name: string;
  readonly scopeId: string;
  readonly scopeName: string;
  readonly pointer: string;
  /** What people call the field. */
  readonly field: string;
  /** Canonical. */
  readonly reference: string;
  /** `user:ann`, or the id of somebody deleted. */
  readonly authorisedBy: string;
}

/** A source, and of it one key or all. */
export interface HeldTarget {
  readonly sourceId: string;
  readonly key?: string;
}

/**
 * Who else refers to a secret or to an integration, by id. What they hold is in their own rows and nowhere else; there are
 * few of them.
 */
export async function holdersOf(
  { db }: { readonly db: Kysely<Tables> },
  { sourceId, key }: HeldTarget,
): Promise<Holder[]> {
  const clusters = await db
    .selectFrom('clusters')
    .leftJoin('principals', 'principals.id', 'clusters.authorised_by')
    .select((column) => [
      'clusters.id',
      'clusters.name',
      'clusters.access',
      column.fn
        .coalesce(sql<string>`principals.kind || ':' || principals.name`, 'clusters.authorised_by')
        .as('authorised_by'),
    ])
    .where('clusters.source_id', '=', sourceId)
    .orderBy('clusters.id')
    .execute();
  return clusters.flatMap((row): Holder[] => {
    const { secret, kind } = JSON.parse(row.access) as { readonly secret?: string; readonly kind: string };
    if (secret === undefined) return [];
    const reference = parseReference(secret);
    if (key !== undefined && reference.key !== key) return [];
    return [
      {
        kind: 'cluster',
        id: row.id,
        name: row.name,
        scopeId: adminScopeId,
        scopeName: 'admin',
        pointer: '/access/secret',
        field: kind,
        reference: formatReference(reference),
        authorisedBy: row.authorised_by,
      },
    ];
  });
}

/** What is in the way of deleting it, in words that name nobody: who asks may not see them all. `null`: nothing. */
export function holdersText(holders: readonly Holder[]): string | null {
  if (holders.length === 0) return null;
  return `${holders.length} cluster${holders.length === 1 ? '' : 's'}`;
}
