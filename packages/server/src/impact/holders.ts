import { formatReference, parseReference } from '@strongroom/contract/core';
import { expressionBuilder, type Kysely, sql } from 'kysely';
import type { Access, AccessSnapshot } from '../access/types.ts';
import { labelColumn } from '../identities/label-column.ts';
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
  /** Of what it refers to. */
  readonly sourceId: string;
  /** `user:ann`, or the id of somebody deleted. */
  readonly authorisedBy: string;
  readonly authorisedById: string;
}

/** A source, and of it one key or all. */
export interface HeldTarget {
  readonly sourceId: string;
  readonly key?: string;
}

/** Which of them are looked for: those that refer to something, or that stand on somebody's USE. */
type Wanted =
  | { readonly sourceIds: readonly string[]; readonly key?: string }
  | { readonly principalIds: readonly string[] | null; readonly scopeId: string | null };

/**
 * Who else refers to a secret or to an integration, by id. What they hold is in their own rows and nowhere else; there are
 * few of them.
 */
export async function holdersOf({ db }: Database, target: HeldTarget): Promise<Holder[]> {
  const { sourceId, ...rest } = target;
  return find(db, { sourceIds: [sourceId], ...rest });
}

/**
 * Of a row of `secrets`, in a statement: 1 where {@link holdersOf} may find something, 0 where it finds nothing. Which key of
 * its source a cluster has stands in its JSON.
 */
export function mayBeHeld() {
  const is = expressionBuilder<Tables, 'secrets'>();
  const notices = is.selectFrom('notice_settings').select('notice_settings.scope_id');
  const held = [
    notices
      .whereRef('notice_settings.signing_source_id', '=', 'secrets.source_id')
      .whereRef('notice_settings.signing_key', '=', 'secrets.key'),
    notices
      .whereRef('notice_settings.url_source_id', '=', 'secrets.source_id')
      .whereRef('notice_settings.url_key', '=', 'secrets.key'),
    is.selectFrom('clusters').select('clusters.id').whereRef('clusters.source_id', '=', 'secrets.source_id'),
  ];
  return is
    .case()
    .when(is.or(held.map((each) => is.exists(each))))
    .then(is.lit(1))
    .else(is.lit(0))
    .end();
}

/** Who else refers to anything by the USE of one of these; `null`: of anybody. @param scopeId in which scope; `null`: in all */
export async function holdersBy(
  { db }: Database,
  principalIds: readonly string[] | null,
  scopeId: string | null,
): Promise<Holder[]> {
  return find(db, { principalIds, scopeId });
}

interface Database {
  readonly db: Kysely<Tables>;
}

const authoriser = (column: 'notice_settings.authorised_by' | 'clusters.authorised_by') =>
  sql<string>`coalesce(${labelColumn}, ${sql.ref(column)})`.as('authoriser');

async function noticeHolders(db: Kysely<Tables>, wanted: Wanted): Promise<Holder[]> {
  let query = db
    .selectFrom('notice_settings')
    .innerJoin('scopes', 'scopes.id', 'notice_settings.scope_id')
    .leftJoin('principals', 'principals.id', 'notice_settings.authorised_by')
    .select([
      'notice_settings.scope_id',
      'scopes.name',
      'notice_settings.signing_reference',
      'notice_settings.signing_source_id',
      'notice_settings.signing_key',
      'notice_settings.url_reference',
      'notice_settings.url_source_id',
      'notice_settings.url_key',
      'notice_settings.authorised_by',
      authoriser('notice_settings.authorised_by'),
    ])
    .where('notice_settings.signing_reference', 'is not', null);
  if ('sourceIds' in wanted) {
    const { sourceIds } = wanted;
    query = query.where((settings) =>
      settings.or([
        settings('notice_settings.signing_source_id', 'in', sourceIds),
        settings('notice_settings.url_source_id', 'in', sourceIds),
      ]),
    );
  } else {
    const { principalIds, scopeId } = wanted;
    if (principalIds !== null) query = query.where('notice_settings.authorised_by', 'in', ['', ...principalIds]);
    if (scopeId !== null) query = query.where('notice_settings.scope_id', '=', scopeId);
  }
  const rows = await query.orderBy('notice_settings.scope_id').execute();
  return rows.flatMap((row) => {
    const { signing_reference, signing_source_id, signing_key, url_reference, url_source_id, url_key } = row;
    const held = [
      ['/webhook/signingSecret', 'signing secret', signing_reference, signing_source_id, signing_key],
      ['/webhook/urlSecret', 'address of the webhook', url_reference, url_source_id, url_key],
    ] as const;
    return held.flatMap(([pointer, field, reference, sourceId, key]): Holder[] => {
      const isMeant =
        !('sourceIds' in wanted) ||
        (sourceId !== null && wanted.sourceIds.includes(sourceId) && (wanted.key === undefined || key === wanted.key));
      if (reference === null || sourceId === null || !isMeant) return [];
      const place = { id: row.scope_id, name: row.name, scopeId: row.scope_id, scopeName: row.name };
      const by = { authorisedBy: row.authoriser, authorisedById: row.authorised_by };
      return [{ kind: 'notices', ...place, pointer, field, reference, sourceId, ...by }];
    });
  });
}

async function clusterHolders(db: Kysely<Tables>, wanted: Wanted): Promise<Holder[]> {
  let query = db
    .selectFrom('clusters')
    .leftJoin('principals', 'principals.id', 'clusters.authorised_by')
    .select([
      'clusters.id',
      'clusters.name',
      'clusters.access',
      'clusters.source_id',
      'clusters.authorised_by',
      authoriser('clusters.authorised_by'),
    ]);
  if ('sourceIds' in wanted) query = query.where('clusters.source_id', 'in', wanted.sourceIds);
  else if (wanted.scopeId !== null && wanted.scopeId !== adminScopeId) return [];
  else if (wanted.principalIds !== null)
    query = query.where('clusters.authorised_by', 'in', ['', ...wanted.principalIds]);
  const clusters = await query.orderBy('clusters.id').execute();
  const key = 'sourceIds' in wanted ? wanted.key : undefined;
  return clusters.flatMap((row): Holder[] => {
    const { secret, kind } = JSON.parse(row.access) as { readonly secret?: string; readonly kind: string };
    if (secret === undefined || row.source_id === null) return [];
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
        sourceId: row.source_id,
        authorisedBy: row.authoriser,
        authorisedById: row.authorised_by,
      },
    ];
  });
}

async function find(db: Kysely<Tables>, wanted: Wanted): Promise<Holder[]> {
  if ('sourceIds' in wanted && wanted.sourceIds.length === 0) return [];
  return [...(await clusterHolders(db, wanted)), ...(await noticeHolders(db, wanted))];
}

/** Of what holds references and is no configuration, the kinds that somebody may see. */
export function kindsSeen(access: Pick<Access, 'decide'>, snapshot: AccessSnapshot): readonly Holder['kind'][] {
  return access.decide(snapshot, 'cluster.view', { kind: 'platform' }).allow ? ['cluster', 'notices'] : ['notices'];
}

/** What of holders somebody may know of. */
export interface SeenHolders {
  readonly kinds: readonly Holder['kind'][];
  /** Only in these scopes; null: everywhere. */
  readonly usesIn: readonly string[] | null;
}

export const everyHolder: SeenHolders = { kinds: ['cluster', 'notices'], usesIn: null };

export function isSeenHolder({ kind, scopeId }: Holder, { kinds, usesIn }: SeenHolders): boolean {
  return kinds.includes(kind) && (usesIn?.includes(scopeId) ?? true);
}

/** Of each source how many fields of theirs hold each of its keys; a key that none holds is not there. */
export async function heldFields(
  { db }: Database,
  sourceIds: readonly string[],
  seen: SeenHolders,
): Promise<ReadonlyMap<string, ReadonlyMap<string, number>>> {
  const counts = new Map(sourceIds.map((sourceId) => [sourceId, new Map<string, number>()]));
  for (const holder of await find(db, { sourceIds })) {
    if (!isSeenHolder(holder, seen)) continue;
    const ofSource = counts.get(holder.sourceId);
    const { key } = parseReference(holder.reference);
    ofSource?.set(key, (ofSource.get(key) ?? 0) + 1);
  }
  return counts;
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
