import { sql } from 'kysely';
import type { QueryContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { ConfigurationRow } from './rows.ts';

export interface ConfigurationFilter {
  readonly scopeId: string;
  readonly surface: ConfigurationRow['surface'];
  /** Only configurations of these bundles: those the caller may see. */
  readonly bundleIds: readonly string[];
  readonly q?: string;
  readonly after?: string;
  readonly limit: number;
}

export type ListedConfiguration = ConfigurationRow & { readonly references: number; readonly bundle_name: string };

/** One page by name; the caller asks for one more than it shows. */
async function list({ db }: QueryContext, args: ConfigurationFilter): Promise<ListedConfiguration[]> {
  if (args.bundleIds.length === 0) return [];
  let query = db
    .selectFrom('configurations')
    .innerJoin('bundles', 'bundles.id', 'configurations.bundle_id')
    .selectAll('configurations')
    .select('bundles.name as bundle_name')
    .select((column) =>
      column
        .selectFrom('uses')
        .select((inner) => inner.fn.countAll<number>().as('count'))
        .whereRef('uses.configuration_id', '=', 'configurations.id')
        .as('references'),
    )
    .where('configurations.scope_id', '=', args.scopeId)
    .where('configurations.surface', '=', args.surface)
    .where('configurations.deleted_at', 'is', null)
    .where('configurations.bundle_id', 'in', args.bundleIds);
  if (args.after !== undefined) query = query.where('configurations.name', '>', args.after);
  if (args.q !== undefined && args.q !== '')
    query = query.where(sql<boolean>`configurations.name like ${`%${escapeLike(args.q.toLowerCase())}%`} escape '!'`);
  const rows = await query.orderBy('configurations.name').limit(args.limit).execute();
  return rows.map((row) => ({ ...row, references: Number(row.references) }));
}

function escapeLike(text: string): string {
  return text.replaceAll(/[!%_]/g, (character) => `!${character}`);
}

/** The bundles of a domain; few. */
async function bundles(
  { db }: QueryContext,
  args: { readonly scopeId: string },
): Promise<{ readonly id: string; readonly name: string }[]> {
  return db.selectFrom('bundles').select(['id', 'name']).where('scope_id', '=', args.scopeId).orderBy('name').execute();
}

/** A secret of a configuration that does not refer to it. */
export interface AbandonedSecret {
  readonly id: string;
  readonly key: string;
  readonly scope_id: string;
  readonly source_id: string;
  readonly source_type: Tables['sources']['type'];
  readonly owned_by: string;
}

/** Owned secrets that their configuration does not refer to, last changed before; of one configuration, or of all. */
async function abandonedSecrets(
  { db }: QueryContext,
  args: { readonly configurationId?: string; readonly before: number; readonly limit: number },
): Promise<AbandonedSecret[]> {
  let query = db
    .selectFrom('secrets')
    .innerJoin('sources', 'sources.id', 'secrets.source_id')
    .select([
      'secrets.id',
      'secrets.key',
      'secrets.scope_id',
      'secrets.source_id',
      'sources.type as source_type',
      sql<string>`secrets.owned_by`.as('owned_by'),
    ])
    .where('secrets.owned_by', 'is not', null)
    .where('secrets.deleted_at', 'is', null)
    .where('secrets.updated_at', '<', args.before)
    .where((column) =>
      column.not(
        column.exists(
          column
            .selectFrom('uses')
            .select('uses.secret_id')
            .whereRef('uses.secret_id', '=', 'secrets.id')
            .whereRef('uses.configuration_id', '=', 'secrets.owned_by'),
        ),
      ),
    );
  if (args.configurationId !== undefined) query = query.where('secrets.owned_by', '=', args.configurationId);
  return query.orderBy('secrets.owned_by').orderBy('secrets.id').limit(args.limit).execute();
}

/** Live configurations that use one, by name. */
async function consumersOf(
  { db }: QueryContext,
  args: { readonly consumedId: string; readonly limit: number },
): Promise<Pick<ConfigurationRow, 'id' | 'surface' | 'name' | 'bundle_id'>[]> {
  return db
    .selectFrom('consumptions')
    .innerJoin('configurations', 'configurations.id', 'consumptions.configuration_id')
    .select(['configurations.id', 'configurations.surface', 'configurations.name', 'configurations.bundle_id'])
    .where('consumptions.consumed_id', '=', args.consumedId)
    .orderBy('configurations.name')
    .limit(args.limit)
    .execute();
}

export const surfaceQueries = {
  'surfaces.abandonedSecrets': abandonedSecrets,
  'surfaces.consumersOf': consumersOf,
  'surfaces.list': list,
  'surfaces.bundles': bundles,
};
