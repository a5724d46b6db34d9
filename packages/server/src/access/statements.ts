import { sql } from 'kysely';
import { hotStatement } from '../store/store.ts';

/** Keyed reads on the way of every request. Each takes its parameters in the order of its text. */

/** Name → the domain. */
export const domainByName = hotStatement<{ readonly id: string; readonly name: string }>('access.domainByName', (db) =>
  sql<{ id: string; name: string }>`
    select id, name from scopes where name = ${''} and kind = 'domain' and deleted_at is null`.compile(db),
);

/** Domain, surface, name → the configuration and its bundle. */
export const configurationByName = hotStatement<{ readonly id: string; readonly bundle_id: string }>(
  'access.configurationByName',
  (db) =>
    sql<{ id: string; bundle_id: string }>`
    select id, bundle_id from configurations where scope_id = ${''} and surface = ${''} and name = ${''} and deleted_at is null`.compile(
      db,
    ),
);

/** Scope, folded name → the integration and its bundle, which it has in domains only. */
export const integrationByName = hotStatement<{
  readonly id: string;
  readonly name: string;
  readonly bundle_id: string | null;
}>('access.integrationByName', (db) =>
  sql<{ id: string; name: string; bundle_id: string | null }>`
    select id, name, bundle_id from integrations where scope_id = ${''} and folded_name = ${''}`.compile(db),
);

/** Domain, secret → how many domains the Global secret is assigned to, and whether this is one of them. */
export const assignmentsOf = hotStatement<{ readonly assigned: number; readonly mine: number }>(
  'access.assignmentsOf',
  (db) =>
    sql<{ assigned: number; mine: number }>`
    select count(*) as assigned, coalesce(sum(case when scope_id = ${''} then 1 else 0 end), 0) as mine
    from secret_assignments where secret_id = ${''}`.compile(db),
);

/** Scope, folded key → the secret of its managed store, also when deleted. */
export const secretByKey = hotStatement<{
  readonly id: string;
  readonly key: string;
  readonly deleted_at: number | null;
}>('access.secretByKey', (db) =>
  sql<{ id: string; key: string; deleted_at: number | null }>`
      select secrets.id, secrets.key, secrets.deleted_at from secrets inner join sources on sources.id = secrets.source_id
      where secrets.scope_id = ${''} and secrets.folded_key = ${''} and sources.name = 'managed'`.compile(db),
);

/** Scope, name → the source. */
export const sourceByName = hotStatement<{ readonly id: string; readonly type: string }>('access.sourceByName', (db) =>
  sql<{ id: string; type: string }>`select id, type from sources where scope_id = ${''} and name = ${''}`.compile(db),
);
