import { exactKey, foldKey, reservedSourceName } from '@strongroom/contract/core';
import { sql } from 'kysely';
import type { QueryContext } from '../store/store.ts';
import type { ConfigurationRow } from '../surfaces/rows.ts';

export interface ConfigurationPosition {
  readonly surface: string;
  readonly name: string;
}

export interface SelectedConfigurations {
  readonly scopeId: string;
  /** Only those in which something was made a reference. */
  readonly isChanged: boolean;
  readonly after?: ConfigurationPosition;
  readonly limit: number;
}

/** Live configurations of a scope, of all kinds, by kind and name. */
async function configurations({ db }: QueryContext, args: SelectedConfigurations): Promise<ConfigurationRow[]> {
  let query = db
    .selectFrom('configurations')
    .selectAll()
    .where('scope_id', '=', args.scopeId)
    .where('deleted_at', 'is', null);
  const { after, isChanged } = args;
  if (isChanged)
    query = query.where((column) =>
      column.exists(
        column
          .selectFrom('placeholder_changes')
          .select('placeholder_changes.name')
          .whereRef('placeholder_changes.configuration_id', '=', 'configurations.id'),
      ),
    );
  if (after !== undefined) query = query.where(sql<boolean>`(surface, name) > (${after.surface}, ${after.name})`);
  return query.orderBy('surface').orderBy('name').limit(args.limit).execute();
}

/** Whether a key is taken in a scope's managed store, by whatever secret folds to it or is deleted and can be restored. */
async function isKeyTaken({ db }: QueryContext, { scopeId, key }: { readonly scopeId: string; readonly key: string }) {
  const taken = await db
    .selectFrom('secrets')
    .innerJoin('sources', 'sources.id', 'secrets.source_id')
    .select('secrets.id')
    .where('secrets.scope_id', '=', scopeId)
    .where('sources.name', '=', reservedSourceName)
    .where('folded_key', 'in', [foldKey(key), exactKey(key)])
    .executeTakeFirst();
  return taken !== undefined;
}

export const placeholderQueries = {
  'placeholders.configurations': configurations,
  'placeholders.isKeyTaken': isKeyTaken,
};
