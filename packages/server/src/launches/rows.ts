import type { ScopeRef } from '../access/types.ts';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import { hotStatement, type Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

/** What a request needs of a launch: each column read costs. */
export type LaunchRow = Pick<
  Tables['launches'],
  | 'id'
  | 'scope_id'
  | 'kind'
  | 'configuration_id'
  | 'subject_id'
  | 'requested'
  | 'expires_at'
  | 'jwk_thumbprint'
  | 'bound_at'
  | 'ended_at'
>;

const launchById = hotStatement<LaunchRow>('launches.byId', (db) =>
  db
    .selectFrom('launches')
    .select([
      'id',
      'scope_id',
      'kind',
      'configuration_id',
      'subject_id',
      'requested',
      'expires_at',
      'jwk_thumbprint',
      'bound_at',
      'ended_at',
    ])
    .where('id', '=', '')
    .compile(),
);

type ScopeRow = Pick<Tables['scopes'], 'id' | 'kind' | 'name' | 'deleted_at'>;

const scopeById = hotStatement<ScopeRow>(
  'launches.scopeById',
  (db) => db.selectFrom('scopes').select(['id', 'kind', 'name', 'deleted_at']).where('id', '=', '').compile(),
  { isRemembered: true },
);

export function findLaunch(store: Store, id: string): MaybePromise<LaunchRow | undefined> {
  return store.first(launchById, [id]);
}

/** Where a launch is; `undefined` when the domain was deleted. */
export function findLaunchScope(store: Store, scopeId: string): MaybePromise<ScopeRef | undefined> {
  return andThen(store.first(scopeById, [scopeId]), (row) =>
    row === undefined || row.deleted_at !== null ? undefined : row,
  );
}
