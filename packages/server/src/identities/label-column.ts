import { sql } from 'kysely';

/**
 * `user:ann`, and of a domain's service account `service-account:finance/etl`, as `principalLabel` writes it; null where the row of
 * `principals` was joined and is not there.
 */
export const labelColumn = sql<
  string | null
>`principals.kind || ':' || coalesce((select home.name || '/' from scopes as home where home.id = principals.scope_id), '') || principals.name`;
