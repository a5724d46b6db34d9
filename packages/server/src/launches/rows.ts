import type { ScopeRef } from '../access/types.ts';
import { andThen, type MaybePromise } from '../store/maybe-promise.ts';
import { hotStatement, type Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

/** What a launch was made with; how far it came is {@link BindingRow}. */
export type LaunchRow = Pick<
  Tables['launches'],
  'id' | 'scope_id' | 'kind' | 'configuration_id' | 'subject_id' | 'requested' | 'expires_at'
>;

// A workload makes its launch here, reads it and ends it: the row is asked for again and again.
const launchById = hotStatement<LaunchRow>(
  'launches.byId',
  (db) =>
    db
      .selectFrom('launches')
      .select(['id', 'scope_id', 'kind', 'configuration_id', 'subject_id', 'requested', 'expires_at'])
      .where('id', '=', '')
      .compile(),
  { isLasting: true },
);

/** Whether, to which key and since when a launch is delivered. */
export type BindingRow = Pick<Tables['launches'], 'expires_at' | 'jwk_thumbprint' | 'bound_at' | 'ended_at'>;

export const bindingOf = hotStatement<BindingRow>('launches.bindingOf', (db) =>
  db
    .selectFrom('launches')
    .select(['expires_at', 'jwk_thumbprint', 'bound_at', 'ended_at'])
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
