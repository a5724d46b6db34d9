import { labelColumn } from '../identities/label-column.ts';
import type { QueryContext } from '../store/store.ts';

/** One use, with the names that people know it by. */
export interface UseRow {
  readonly configuration_id: string;
  readonly surface: string;
  readonly configuration: string;
  /** Null of what is no configuration. */
  readonly bundle_id: string | null;
  readonly is_suspended: number;
  readonly domain: string;
  readonly scope_id: string;
  readonly pointer: string;
  readonly name: string;
  readonly reference: string;
  readonly kind: 'reference' | 'placeholder';
  readonly authorised_by: string;
}

/** Uses by live configurations. */
export function useRows(context: Pick<QueryContext, 'db'>) {
  return context.db
    .selectFrom('uses')
    .innerJoin('configurations', 'configurations.id', 'uses.configuration_id')
    .innerJoin('scopes', 'scopes.id', 'uses.scope_id')
    .leftJoin('principals', 'principals.id', 'uses.authorised_by')
    .select((column) => [
      'uses.configuration_id',
      'configurations.surface',
      'configurations.name as configuration',
      'configurations.bundle_id',
      'configurations.is_suspended',
      'scopes.name as domain',
      'uses.scope_id',
      'uses.pointer',
      'uses.name',
      'uses.reference',
      'uses.kind',
      column.fn.coalesce(labelColumn, 'uses.authorised_by').as('authorised_by'),
    ])
    .where('configurations.deleted_at', 'is', null)
    .where('scopes.deleted_at', 'is', null);
}
