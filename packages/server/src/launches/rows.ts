import { hotStatement, type Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

export type LaunchRow = Tables['launches'] & {
  readonly scope_kind: Tables['scopes']['kind'];
  readonly scope_name: string;
  readonly scope_deleted_at: number | null;
};

const launchById = hotStatement<LaunchRow>('launches.byId', (db) =>
  db
    .selectFrom('launches')
    .innerJoin('scopes', 'scopes.id', 'launches.scope_id')
    .selectAll('launches')
    .select(['scopes.kind as scope_kind', 'scopes.name as scope_name', 'scopes.deleted_at as scope_deleted_at'])
    .where('launches.id', '=', '')
    .compile(),
);

/** A launch with its domain. */
export async function findLaunch(store: Store, id: string): Promise<LaunchRow | undefined> {
  return store.first(launchById, [id]);
}
