import { formatReference, parseReference } from '@strongroom/contract/core';
import { type Kysely, sql } from 'kysely';
import { adminScopeId } from '../store/ids.ts';
import type { Tables } from '../store/tables.ts';

/** What holds a reference and is no configuration: a cluster, or the notices of a scope. */
export interface Holder {
  readonly kind: 'cluster' | 'notices';
  readonly id: string;
  /** Of the cluster; of the scope. */
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
export async function holdersOf({ db }: { readonly db: Kysely<Tables> }, target: HeldTarget): Promise<Holder[]> {
  return [...(await clusterHolders(db, target)), ...(await noticeHolders(db, target))];
}

async function noticeHolders(db: Kysely<Tables>, { sourceId, key }: HeldTarget): Promise<Holder[]> {
  let query = db
    .selectFrom('notice_settings')
    .innerJoin('scopes', 'scopes.id', 'notice_settings.scope_id')
    .leftJoin('principals', 'principals.id', 'notice_settings.authorised_by')
    .select((column) => [
      'notice_settings.scope_id',
      'scopes.name',
      'notice_settings.signing_reference',
      column.fn
        .coalesce(sql<string>`principals.kind || ':' || principals.name`, 'notice_settings.authorised_by')
        .as('authorised_by'),
    ])
    .where('notice_settings.signing_source_id', '=', sourceId);
  if (key !== undefined) query = query.where('notice_settings.signing_key', '=', key);
  const rows = await query.orderBy('notice_settings.scope_id').execute();
  return rows.map((row) => ({
    kind: 'notices',
    id: row.scope_id,
    name: row.name,
    scopeId: row.scope_id,
    scopeName: row.name,
    pointer: '/webhook/signingSecret',
    field: 'signing secret',
    reference: row.signing_reference ?? '',
    authorisedBy: row.authorised_by,
  }));
}

async function clusterHolders(db: Kysely<Tables>, { sourceId, key }: HeldTarget): Promise<Holder[]> {
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
  const clusters = holders.filter(({ kind }) => kind === 'cluster').length;
  const scopes = holders.length - clusters;
  return [
    ...(clusters === 0 ? [] : [`${clusters} cluster${clusters === 1 ? '' : 's'}`]),
    ...(scopes === 0 ? [] : [`the notices of ${scopes} scope${scopes === 1 ? '' : 's'}`]),
  ].join(' and ');
}
