import { type Expression, type SelectQueryBuilder, sql, type SqlBool } from 'kysely';
import { everyHolder, heldFields, type Holder, type SeenHolders } from '../impact/holders.ts';
import type { QueryContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { countUsedBy, usedBy } from './used-by.ts';
import { prefixEnd, searchCondition, secretSearches } from './search.ts';

export type SecretState = 'stale' | 'due-soon' | 'expired' | 'expiring' | 'unused' | 'shared-value' | 'deleted';

export interface SecretFilter {
  readonly scopeId: string;
  /** Only Global secrets assigned to all domains or to one of these; null: all. */
  readonly assignedTo: readonly string[] | null;
  /** Count uses in these domains only; null: everywhere. */
  readonly usesIn: readonly string[] | null;
  /** Which kinds of what is no configuration count as well. */
  readonly holderKinds: readonly Holder['kind'][];
  readonly q?: string;
  readonly folder?: string;
  readonly tag?: string;
  readonly state?: SecretState;
  /** What counts as expiring and as due soon; 30 when absent. */
  readonly withinDays?: number;
  /** For how long what is unused was neither made nor launched; 90 when absent. */
  readonly unusedForDays?: number;
  readonly now: number;
  readonly limit: number;
}

export type SecretRow = Tables['secrets'];
export type ListedSecret = SecretRow & { readonly uses: number; readonly source_type: Tables['sources']['type'] };

/** A value counts as shared only some time after it was set, so that setting one is no way to test a guess. */
export const sharedAfterMilliseconds = 60 * 60 * 1000;
const dayMilliseconds = 86_400_000;

type SecretQuery = SelectQueryBuilder<Tables, 'secrets', object>;

/**
 * One page by folded key, which is unique in a scope; the caller asks for one more than it shows.
 * @param start where it begins; from the first when absent
 */
export async function listSecrets(
  context: QueryContext,
  args: SecretFilter,
  start?: Expression<SqlBool>,
): Promise<ListedSecret[]> {
  let query: SecretQuery = context.db.selectFrom('secrets').where('secrets.scope_id', '=', args.scopeId);
  query =
    args.state === 'deleted'
      ? query.where('secrets.deleted_at', 'is not', null)
      : query.where('secrets.deleted_at', 'is', null);
  if (args.folder !== undefined) query = inFolder(query, args.folder);
  if (args.tag !== undefined) query = withTag(query, args.scopeId, args.tag);
  if (args.assignedTo !== null) query = assignedTo(query, args.assignedTo);
  if (args.state !== undefined && args.state !== 'deleted') query = inState(query, args.state, args);
  if (args.state === 'unused') {
    const held = await heldKeys(context, args.scopeId);
    if (held.length > 0) query = query.where('secrets.key', 'not in', held);
  }
  if (args.q !== undefined && args.q !== '') {
    const found = await searchCondition(context, secretSearches, args.q.toLowerCase(), args.scopeId);
    if (found === null) return [];
    query = query.where(found);
  }
  if (start !== undefined) query = query.where(start);
  const rows = await query
    .innerJoin('sources', 'sources.id', 'secrets.source_id')
    .selectAll('secrets')
    .select('sources.type as source_type')
    .orderBy('secrets.folded_key')
    .orderBy('secrets.id')
    .limit(args.limit)
    .execute();
  return decorate(context, rows, { kinds: args.holderKinds, usesIn: args.usesIn });
}

function inFolder(query: SecretQuery, folder: string): SecretQuery {
  if (folder === '') return query;
  return query.where((column) =>
    column.or([
      column('secrets.folder', '=', folder),
      column.and([column('secrets.folder', '>', `${folder}/`), column('secrets.folder', '<', prefixEnd(`${folder}/`))]),
    ]),
  );
}

function withTag(query: SecretQuery, scopeId: string, tag: string): SecretQuery {
  return query.where('secrets.id', 'in', (column) =>
    column.selectFrom('secret_tags').select('secret_id').where('scope_id', '=', scopeId).where('tag', '=', tag),
  );
}

/** Global secrets that are assigned to all domains or to one of these. */
export function assignedTo(query: SecretQuery, domains: readonly string[]): SecretQuery {
  return query.where((column) => {
    const any = column
      .selectFrom('secret_assignments')
      .select('secret_id')
      .whereRef('secret_assignments.secret_id', '=', 'secrets.id');
    const unassigned = column.not(column.exists(any));
    return domains.length === 0
      ? unassigned
      : column.or([unassigned, column.exists(any.where('secret_assignments.scope_id', 'in', domains))]);
  });
}

function inState(
  query: SecretQuery,
  state: Exclude<SecretState, 'deleted'>,
  args: Pick<SecretFilter, 'now' | 'withinDays' | 'unusedForDays'>,
): SecretQuery {
  const { now } = args;
  const until = now + (args.withinDays ?? 30) * dayMilliseconds;
  const dueAt = sql<number>`secrets.rotated_at + secrets.rotate_every_days * ${dayMilliseconds}`;
  switch (state) {
    case 'stale':
      return query.where('secrets.rotate_every_days', 'is not', null).where(sql<boolean>`${dueAt} < ${now}`);
    case 'due-soon':
      return query
        .where('secrets.rotate_every_days', 'is not', null)
        .where(sql<boolean>`${dueAt} >= ${now} and ${dueAt} <= ${until}`);
    case 'expired':
      return query.where('secrets.expires_at', '<=', now);
    case 'expiring':
      return query.where('secrets.expires_at', '>', now).where('secrets.expires_at', '<=', until);
    case 'unused':
      return query
        .where((column) =>
          // What was made since then could not be used for so long.
          column(
            column.fn.coalesce('secrets.last_launched_at', 'secrets.created_at'),
            '<',
            now - (args.unusedForDays ?? 90) * dayMilliseconds,
          ),
        )
        .where((column) =>
          column.not(
            column.exists(column.selectFrom('uses').select('secret_id').whereRef('uses.secret_id', '=', 'secrets.id')),
          ),
        );
    case 'shared-value':
      return query.where((column) =>
        column.exists(
          column
            .selectFrom('secret_versions as mine')
            .innerJoin('secret_versions as other', (join) =>
              join
                .onRef('other.fingerprint_term_id', '=', 'mine.fingerprint_term_id')
                .onRef('other.fingerprint', '=', 'mine.fingerprint'),
            )
            .innerJoin('secrets as holder', (join) =>
              join
                .onRef('holder.id', '=', 'other.secret_id')
                .onRef('holder.current_epoch', '=', 'other.epoch')
                .onRef('holder.current_version', '=', 'other.version'),
            )
            .select('mine.secret_id')
            .whereRef('mine.secret_id', '=', 'secrets.id')
            .whereRef('mine.epoch', '=', 'secrets.current_epoch')
            .whereRef('mine.version', '=', 'secrets.current_version')
            .where('mine.is_comparable', '=', 1)
            .where('other.is_comparable', '=', 1)
            .where('mine.created_at', '<', now - sharedAfterMilliseconds)
            .where('other.created_at', '<', now - sharedAfterMilliseconds)
            .where('holder.deleted_at', 'is', null)
            .whereRef('holder.scope_id', '=', 'secrets.scope_id')
            .whereRef('holder.id', '!=', 'secrets.id'),
        ),
      );
  }
}

/** Keys of the scope that something holds that is no configuration. */
async function heldKeys(context: QueryContext, scopeId: string): Promise<string[]> {
  const source = await context.db
    .selectFrom('sources')
    .select('id')
    .where('scope_id', '=', scopeId)
    .where('name', '=', 'managed')
    .executeTakeFirst();
  if (source === undefined) return [];
  return [...((await heldFields(context, [source.id], everyHolder)).get(source.id)?.keys() ?? [])];
}

async function decorate(
  context: QueryContext,
  rows: readonly Omit<ListedSecret, 'uses'>[],
  seen: SeenHolders,
): Promise<ListedSecret[]> {
  if (rows.length === 0) return [];
  const { usesIn } = seen;
  const ids = rows.map((row) => row.id);
  let counting = context.db
    .selectFrom('uses')
    .innerJoin('configurations', 'configurations.id', 'uses.configuration_id')
    .select((column) => ['uses.secret_id', column.fn.countAll<number>().as('count')])
    .where('uses.secret_id', 'in', ids)
    .where('configurations.deleted_at', 'is', null)
    .groupBy('uses.secret_id');
  if (usesIn !== null) counting = counting.where('uses.scope_id', 'in', usesIn.length === 0 ? [''] : usesIn);
  const counts = new Map((await counting.execute()).map((row) => [row.secret_id, row.count]));
  const held = await heldFields(context, [...new Set(rows.map((row) => row.source_id))], seen);
  return rows.map((row) => ({
    ...row,
    uses: (counts.get(row.id) ?? 0) + (held.get(row.source_id)?.get(row.key) ?? 0),
  }));
}

async function folders(
  context: QueryContext,
  args: {
    readonly scopeId: string;
    /** Only of secrets that are assigned to these domains, or to all; null: of every secret. */
    readonly assigned: readonly string[] | null;
    readonly after: string | null;
    readonly limit: number;
  },
): Promise<{ readonly folder: string; readonly secrets: number }[]> {
  const { assigned } = args;
  const all = context.db.selectFrom('secrets');
  let query = (assigned === null ? all : assignedTo(all, assigned))
    .select((column) => ['folder', column.fn.countAll<number>().as('count')])
    .where('scope_id', '=', args.scopeId)
    .where('deleted_at', 'is', null)
    .groupBy('folder')
    .orderBy('folder')
    .limit(args.limit);
  if (args.after !== null) query = query.where('folder', '>', args.after);
  const rows = await query.execute();
  return rows.map((row) => ({ folder: row.folder, secrets: row.count }));
}

/** A deleted secret whose retention is over. */
export interface PurgeableSecret {
  readonly id: string;
  readonly key: string;
  readonly scope_id: string;
  readonly source_id: string;
  readonly source_type: Tables['sources']['type'];
}

/**
 * Deleted secrets whose retention is over; by an index of those alone, so cheap enough for the main thread. What was edited
 * outside stays.
 */
export async function purgeable(
  context: QueryContext,
  args: { readonly now: number; readonly limit: number },
): Promise<PurgeableSecret[]> {
  return context.db
    .selectFrom('secrets')
    .innerJoin('sources', 'sources.id', 'secrets.source_id')
    .select(['secrets.id', 'secrets.key', 'secrets.scope_id', 'secrets.source_id', 'sources.type as source_type'])
    .where('secrets.purge_after', '<=', args.now)
    .where((column) => column.or([column('store_state', 'is', null), column('store_state', '=', 'missing')]))
    .orderBy('secrets.purge_after')
    .orderBy('secrets.id')
    .limit(args.limit)
    .execute();
}

export const secretQueries = {
  'secret.usedBy': usedBy,
  'secret.countUsedBy': countUsedBy,
  'secret.folders': folders,
};
