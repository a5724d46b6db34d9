import type { AssetPermission, AssetType, DomainPermission, Preset } from '@strongroom/contract';
import { sql, type RawBuilder } from 'kysely';
import { principalLabel, type PrincipalName } from '../identities/actor.ts';
import type { QueryContext } from '../store/store.ts';
import type { BundleGrantRecord, BundleRecord } from './bundle-commands.ts';
import type { GrantRecord, MemberRecord } from './member-commands.ts';
import { containing, type ListArgs, type Position } from './pages.ts';
import type { NamedPrincipal } from './principal-names.ts';

/** The columns of a principal and of who added the row, as {@link holderOf} and {@link addedOf} read them. */
const holderColumns = sql`
  holder.id as holder_id, holder.kind as holder_kind, holder.name as holder_name, holder.display_name as holder_display_name,
  home.name as holder_domain,
  held.created_at, held.created_by, creator.kind as creator_kind, creator.name as creator_name, creator_home.name as creator_domain`;
const holderJoins = sql`
  inner join principals as holder on holder.id = held.principal_id
  left join scopes as home on home.id = holder.scope_id
  left join principals as creator on creator.id = held.created_by
  left join scopes as creator_home on creator_home.id = creator.scope_id`;

interface HolderRow {
  readonly holder_id: string;
  readonly holder_kind: PrincipalName['kind'];
  readonly holder_name: string;
  readonly holder_display_name: string;
  readonly holder_domain: string | null;
  readonly created_at: number;
  readonly created_by: string;
  readonly creator_kind: PrincipalName['kind'] | null;
  readonly creator_name: string | null;
  readonly creator_domain: string | null;
}

function holderOf(row: HolderRow): NamedPrincipal {
  const { holder_id: id, holder_kind: kind, holder_name: name, holder_domain: domain } = row;
  return { id, kind, label: principalLabel({ kind, name, domain }), displayName: row.holder_display_name };
}

function addedOf(row: HolderRow): { readonly createdAt: number; readonly createdBy: string } {
  const { creator_kind: kind, creator_name: name } = row;
  const createdBy =
    kind === null || name === null ? row.created_by : principalLabel({ kind, name, domain: row.creator_domain });
  return { createdAt: row.created_at, createdBy };
}

const always = sql`true`;

function nameContains(column: RawBuilder<unknown>, q: string | null): RawBuilder<unknown> {
  return q === null ? always : sql`lower(${column}) like ${containing(q)} escape '\\'`;
}

function isAfter(columns: readonly RawBuilder<unknown>[], after: Position | null): RawBuilder<unknown> {
  return after === null ? always : sql`(${sql.join(columns)}) > (${sql.join(after)})`;
}

const holderName = sql`holder.name`;

/** Members of a domain, ordered by kind, name, id. */
async function listMembers(
  { db }: QueryContext,
  args: ListArgs & { readonly scopeId: string },
): Promise<readonly MemberRecord[]> {
  const order = [sql`holder.kind`, holderName, sql`holder.id`];
  const { rows } = await sql<HolderRow & { readonly preset: Preset; readonly managed_by: string | null }>`
    select held.preset, held.managed_by, ${holderColumns} from members as held ${holderJoins}
    where held.scope_id = ${args.scopeId} and ${nameContains(holderName, args.q)} and ${isAfter(order, args.after)}
    order by ${sql.join(order)} limit ${args.limit}`.execute(db);
  return rows.map((row) => ({
    principal: holderOf(row),
    preset: row.preset,
    managedBy: row.managed_by,
    ...addedOf(row),
  }));
}

/** Single permissions in a domain, oldest first. */
async function listGrants(
  { db }: QueryContext,
  args: ListArgs & { readonly scopeId: string },
): Promise<readonly GrantRecord[]> {
  const { rows } = await sql<
    HolderRow & { readonly id: string; readonly permission: DomainPermission; readonly managed_by: string | null }
  >`
    select held.id, held.permission, held.managed_by, ${holderColumns} from grants as held ${holderJoins}
    where held.scope_id = ${args.scopeId} and ${nameContains(holderName, args.q)} and ${isAfter([sql`held.id`], args.after)}
    order by held.id limit ${args.limit}`.execute(db);
  return rows.map((row) => ({
    id: row.id,
    principal: holderOf(row),
    permission: row.permission,
    managedBy: row.managed_by,
    ...addedOf(row),
  }));
}

/** What is granted on a bundle, oldest first. */
async function listBundleGrants(
  { db }: QueryContext,
  args: ListArgs & { readonly bundleId: string },
): Promise<readonly BundleGrantRecord[]> {
  const { rows } = await sql<
    HolderRow & { readonly id: string; readonly asset_type: AssetType; readonly permissions: string }
  >`
    select held.id, held.asset_type, held.permissions, ${holderColumns} from bundle_grants as held ${holderJoins}
    where held.bundle_id = ${args.bundleId} and ${nameContains(holderName, args.q)} and ${isAfter([sql`held.id`], args.after)}
    order by held.id limit ${args.limit}`.execute(db);
  return rows.map((row) => ({
    id: row.id,
    principal: holderOf(row),
    assetType: row.asset_type,
    permissions: JSON.parse(row.permissions) as AssetPermission[],
    ...addedOf(row),
  }));
}

interface BundleRow {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly is_default: number;
  readonly managed_by: string | null;
  readonly revision: number;
  readonly created_at: number;
  readonly updated_at: number;
  readonly owner_id: string | null;
  readonly owner_kind: PrincipalName['kind'] | null;
  readonly owner_name: string | null;
  readonly owner_display_name: string | null;
  readonly owner_domain: string | null;
}

/** Bundles of a domain by name; `name` asks for one. */
async function listBundles(
  { db }: QueryContext,
  args: ListArgs & { readonly scopeId: string; readonly name?: string },
): Promise<readonly BundleRecord[]> {
  const named = args.name === undefined ? always : sql`bundles.name = ${args.name}`;
  const { rows } = await sql<BundleRow>`
    select bundles.id, bundles.name, bundles.description, bundles.is_default, bundles.managed_by, bundles.revision, bundles.created_at, bundles.updated_at,
      bundles.owner_id, owner.kind as owner_kind, owner.name as owner_name, owner.display_name as owner_display_name, home.name as owner_domain
    from bundles left join principals as owner on owner.id = bundles.owner_id and owner.deleted_at is null left join scopes as home on home.id = owner.scope_id
    where bundles.scope_id = ${args.scopeId} and ${named} and ${nameContains(sql`bundles.name`, args.q)} and ${isAfter([sql`bundles.name`], args.after)}
    order by bundles.name limit ${args.limit}`.execute(db);
  return rows.map((row) => ({
    id: row.id,
    name: row.name,
    description: row.description,
    owner: ownerOf(row),
    isDefault: row.is_default === 1,
    managedBy: row.managed_by,
    revision: row.revision,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  }));
}

function ownerOf(row: BundleRow): NamedPrincipal | null {
  const { owner_id: id, owner_kind: kind, owner_name: name } = row;
  if (id === null || kind === null || name === null) return null;
  return {
    id,
    kind,
    label: principalLabel({ kind, name, domain: row.owner_domain }),
    displayName: row.owner_display_name ?? '',
  };
}

/** An asset named in a bundle: a selector of secrets, a configuration or an integration. */
export interface AssetRecord {
  readonly id: string;
  readonly type: AssetType;
  /** The key, the prefix, or the name of the configuration or integration. */
  readonly name: string;
  readonly selectorScope: 'domain' | 'global' | null;
  readonly isPrefix: boolean;
}

/** Assets of these types named in a bundle, ordered by type, name, id; `id` asks for one. */
async function listBundleAssets(
  { db }: QueryContext,
  args: ListArgs & { readonly bundleId: string; readonly types: readonly AssetType[]; readonly id?: string },
): Promise<readonly AssetRecord[]> {
  if (args.types.length === 0) return [];
  const order = [sql`type`, sql`name`, sql`id`];
  const named = args.id === undefined ? always : sql`id = ${args.id}`;
  const { rows } = await sql<{
    id: string;
    type: AssetType;
    name: string;
    selector_scope: 'domain' | 'global' | '';
    is_prefix: number;
  }>`
    select id, type, name, selector_scope, is_prefix from (
      select id, asset_type as type, selector as name, selector_scope, is_prefix from bundle_assets where bundle_id = ${args.bundleId}
      union all
      select id, surface, name, '', 0 from configurations where bundle_id = ${args.bundleId} and deleted_at is null
      union all
      select id, 'integration', name, '', 0 from integrations where bundle_id = ${args.bundleId}
    ) as assets
    where type in (${sql.join(args.types)}) and ${named} and ${nameContains(sql`name`, args.q)} and ${isAfter(order, args.after)}
    order by ${sql.join(order)} limit ${args.limit}`.execute(db);
  return rows.map((row) => ({
    id: row.id,
    type: row.type,
    name: row.name,
    selectorScope: row.selector_scope === '' ? null : row.selector_scope,
    isPrefix: row.is_prefix === 1,
  }));
}

/** Somebody who stands in a domain, or has a platform role. */
export interface Candidate extends NamedPrincipal {
  readonly name: string;
}

/** Principals that may have rights in a domain: by rows there, or by a platform role. Ordered by kind, name, id. */
async function listCandidates(
  { db }: QueryContext,
  args: { readonly scopeId: string; readonly after: Position | null; readonly limit: number },
): Promise<readonly Candidate[]> {
  const [kind = '', name = '', id = ''] = args.after ?? [];
  const { rows } = await sql<{
    id: string;
    kind: PrincipalName['kind'];
    name: string;
    display_name: string;
    domain: string | null;
  }>`
    select principals.id, principals.kind, principals.name, principals.display_name, home.name as domain
    from principals left join scopes as home on home.id = principals.scope_id
    where principals.deleted_at is null and principals.disabled_at is null and (
      principals.roles <> '[]'
      or principals.id in (select principal_id from members where scope_id = ${args.scopeId})
      or principals.id in (select principal_id from grants where scope_id = ${args.scopeId})
      or principals.id in (select principal_id from bundle_grants where scope_id = ${args.scopeId})
      or principals.id in (select owner_id from bundles where scope_id = ${args.scopeId} and owner_id is not null))
    and (principals.kind, principals.name, principals.id) > (${kind}, ${name}, ${id})
    order by principals.kind, principals.name, principals.id limit ${args.limit}`.execute(db);
  return rows.map((row) => ({
    id: row.id,
    kind: row.kind,
    name: row.name,
    label: principalLabel(row),
    displayName: row.display_name,
  }));
}

export const accessListQueries = {
  'access.listMembers': listMembers,
  'access.listGrants': listGrants,
  'access.listBundles': listBundles,
  'access.listBundleGrants': listBundleGrants,
  'access.listBundleAssets': listBundleAssets,
  'access.listCandidates': listCandidates,
};
