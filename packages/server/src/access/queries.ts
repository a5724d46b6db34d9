import { sql } from 'kysely';
import type { QueryContext } from '../store/store.ts';
import { accessListQueries } from './list-queries.ts';
import type { Selector } from './selectors.ts';

/**
 * One row of a snapshot. What the columns hold depends on `tag`:
 *
 * | tag | scope | first | second | third | number |
 * | --- | --- | --- | --- | --- | --- |
 * | revision | | | | | authorisation revision |
 * | actor | | principal or group id | kind | roles (JSON) | 1 when disabled |
 * | member | domain id | preset | | | |
 * | grant | domain id | permission | | | |
 * | bundle-grant | domain id | bundle id | asset type | permissions (JSON) | |
 * | owned-bundle | domain id | bundle id | | | |
 */
export interface SnapshotRow {
  readonly tag: 'revision' | 'actor' | 'member' | 'grant' | 'bundle-grant' | 'owned-bundle';
  readonly scope: string;
  readonly first: string;
  readonly second: string;
  readonly third: string;
  readonly number: number;
}

/**
 * Everything about one principal in one statement: both databases read a statement at one moment, so no membership of
 * before meets a grant of after. A deleted or disabled group gives nothing; deleted domains have no rows.
 */
async function snapshot(
  { db }: QueryContext,
  args: {
    readonly principalId: string;
    /** As if it were not in this group. */
    readonly withoutGroupId?: string;
  },
): Promise<readonly SnapshotRow[]> {
  const { principalId, withoutGroupId = '' } = args;
  const result = await sql<SnapshotRow>`
    with actors as (
      select id, kind, roles, case when disabled_at is null then 0 else 1 end as is_disabled
      from principals where id = ${principalId} and deleted_at is null
      union
      select held.id, held.kind, held.roles, 0
      from group_members inner join principals as held on held.id = group_members.group_id
      where group_members.principal_id = ${principalId} and held.id <> ${withoutGroupId}
        and held.kind = 'group' and held.deleted_at is null and held.disabled_at is null
    ),
    live as (select id from scopes where kind = 'domain' and deleted_at is null)
    select 'revision' as tag, '' as scope, '' as first, '' as second, '' as third, authorisation_revision as number from installation
    union all
    select 'actor', '', id, kind, roles, is_disabled from actors
    union all
    select 'member', members.scope_id, members.preset, '', '', 0
    from members inner join actors on actors.id = members.principal_id inner join live on live.id = members.scope_id
    union all
    select 'grant', grants.scope_id, grants.permission, '', '', 0
    from grants inner join actors on actors.id = grants.principal_id inner join live on live.id = grants.scope_id
    union all
    select 'bundle-grant', bundle_grants.scope_id, bundle_grants.bundle_id, bundle_grants.asset_type, bundle_grants.permissions, 0
    from bundle_grants inner join actors on actors.id = bundle_grants.principal_id inner join live on live.id = bundle_grants.scope_id
    union all
    select 'owned-bundle', bundles.scope_id, bundles.id, '', '', 0
    from bundles inner join actors on actors.id = bundles.owner_id inner join live on live.id = bundles.scope_id
  `.execute(db);
  return result.rows.map((row) => ({ ...row, number: row.number }));
}

/** A domain's selectors of secrets. */
async function selectors({ db }: QueryContext, args: { readonly scopeId: string }): Promise<readonly Selector[]> {
  const rows = await db
    .selectFrom('bundle_assets')
    .select(['bundle_id', 'selector_scope', 'selector', 'is_prefix'])
    .where('scope_id', '=', args.scopeId)
    .where('asset_type', '=', 'secret')
    .execute();
  return rows.map(({ bundle_id, selector_scope, selector, is_prefix }) => ({
    bundleId: bundle_id,
    selectorScope: selector_scope,
    selector,
    isPrefix: is_prefix !== 0,
  }));
}

export const accessQueries = {
  'access.snapshot': snapshot,
  'access.selectors': selectors,
  ...accessListQueries,
};
