import { StrongroomError, type AssetPermission, type AssetType } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import {
  accessEvent,
  principalObject,
  requireDomain,
  requireLive,
  type Added,
  type DomainChange,
} from './command-parts.ts';
import { requireRoom } from './limits.ts';
import type { NamedPrincipal } from './principal-names.ts';

export interface BundleRecord {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly owner: NamedPrincipal | null;
  readonly isDefault: boolean;
  readonly managedBy: string | null;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface BundleChange extends DomainChange {
  readonly bundleId: string;
}

export interface CreateBundleArgs extends DomainChange {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly owner: NamedPrincipal;
  readonly managedBy?: string;
  /** Bundles of the domain. */
  readonly max: number;
}

export function bundleExists(name: string): StrongroomError {
  return new StrongroomError('already_exists', { detail: `There is a bundle ${name} in this domain.` });
}

/** @throws StrongroomError `not_found`, `already_exists`, `limit_exceeded` */
async function createBundle(context: CommandContext, args: CreateBundleArgs): Promise<BundleRecord> {
  await requireDomain(context, args.scope.id);
  await requireLive(context, args.owner);
  await requireRoom(context, 'bundles', args.scope.id, args.max);
  const inserted = await context.db
    .insertInto('bundles')
    .values({
      id: args.id,
      scope_id: args.scope.id,
      name: args.name,
      description: args.description,
      owner_id: args.owner.id,
      is_default: 0,
      managed_by: args.managedBy ?? null,
      revision: 1,
      created_at: context.now,
      created_by: args.actor.principal,
      updated_at: context.now,
    })
    .onConflict((conflict) => conflict.columns(['scope_id', 'name']).doNothing())
    .executeTakeFirst();
  if (Number(inserted.numInsertedOrUpdatedRows ?? 0) !== 1) {
    throw bundleExists(args.name);
  }
  await context.bumpAuthorisation();
  context.audit(accessEvent(args, bundleObject(args), ['create-bundle', `owner:${args.owner.label}`]));
  return {
    id: args.id,
    name: args.name,
    description: args.description,
    owner: args.owner,
    isDefault: false,
    managedBy: args.managedBy ?? null,
    revision: 1,
    createdAt: context.now,
    updatedAt: context.now,
  };
}

export interface UpdateBundleArgs extends BundleChange {
  readonly description?: string;
  readonly owner?: NamedPrincipal;
  readonly expectedRevision?: number;
}

/** @throws StrongroomError `not_found`, `revision_mismatch`, `state_conflict` for another owner of `default` */
async function updateBundle(context: CommandContext, args: UpdateBundleArgs): Promise<{ readonly revision: number }> {
  const bundle = await requireBundle(context, args);
  requireRevision(bundle, args.expectedRevision);
  if (args.owner !== undefined) {
    requireOwnable({ isDefault: bundle.is_default === 1 });
    await requireLive(context, args.owner);
  }
  await context.db
    .updateTable('bundles')
    .set({
      ...(args.description === undefined ? {} : { description: args.description }),
      ...(args.owner === undefined ? {} : { owner_id: args.owner.id }),
      revision: bundle.revision + 1,
      updated_at: context.now,
    })
    .where('id', '=', bundle.id)
    .execute();
  if (args.owner !== undefined) await context.bumpAuthorisation();
  const changed = [
    ...(args.description === undefined ? [] : ['description']),
    ...(args.owner === undefined ? [] : [`owner:${args.owner.label}`]),
  ];
  context.audit(accessEvent(args, bundleObject(bundle), ['update-bundle', ...changed]));
  return { revision: bundle.revision + 1 };
}

export interface DeleteBundleArgs extends BundleChange {
  readonly force: boolean;
  readonly defaultBundleId: string;
  readonly expectedRevision?: number;
}

/**
 * Its configurations and integrations go to the default bundle, its selectors and grants go.
 * @throws StrongroomError `not_found`, `revision_mismatch`, `state_conflict` for `default`, `in_use` with assets unless forced
 */
async function deleteBundle(context: CommandContext, args: DeleteBundleArgs): Promise<void> {
  const bundle = await requireBundle(context, args);
  requireRevision(bundle, args.expectedRevision);
  requireOther({ isDefault: bundle.is_default === 1 });
  const selectors = await context.db
    .selectFrom('bundle_assets')
    .select('id')
    .where('bundle_id', '=', bundle.id)
    .limit(1)
    .execute();
  const configurations = await context.db
    .selectFrom('configurations')
    .select('id')
    .where('bundle_id', '=', bundle.id)
    .where('deleted_at', 'is', null)
    .limit(1)
    .execute();
  const integrations = await context.db
    .selectFrom('integrations')
    .select('id')
    .where('bundle_id', '=', bundle.id)
    .limit(1)
    .execute();
  if (!args.force && selectors.length + configurations.length + integrations.length > 0) {
    throw new StrongroomError('in_use', {
      detail: `Bundle ${bundle.name} has assets. They would fall back to the default bundle, which more people may use.`,
    });
  }
  await context.db
    .updateTable('configurations')
    .set({ bundle_id: args.defaultBundleId })
    .where('bundle_id', '=', bundle.id)
    .execute();
  await context.db
    .updateTable('integrations')
    .set({ bundle_id: args.defaultBundleId })
    .where('bundle_id', '=', bundle.id)
    .execute();
  await context.db.deleteFrom('bundle_assets').where('bundle_id', '=', bundle.id).execute();
  await context.db.deleteFrom('bundle_grants').where('bundle_id', '=', bundle.id).execute();
  await context.db.deleteFrom('bundles').where('id', '=', bundle.id).execute();
  await context.bumpAuthorisation();
  context.audit(accessEvent(args, bundleObject(bundle), ['delete-bundle', ...(args.force ? ['forced'] : [])]));
}

/** @throws StrongroomError `state_conflict` for `default` */
export function requireOwnable({ isDefault }: { readonly isDefault: boolean }): void {
  if (isDefault)
    throw new StrongroomError('state_conflict', { detail: 'The default bundle belongs to the owners of the domain.' });
}

/** @throws StrongroomError `state_conflict` for `default` */
export function requireOther({ isDefault }: { readonly isDefault: boolean }): void {
  if (isDefault) throw new StrongroomError('state_conflict', { detail: 'The default bundle stays with its domain.' });
}

export interface BundleGrantRecord extends Added {
  readonly id: string;
  readonly principal: NamedPrincipal;
  readonly assetType: AssetType;
  readonly permissions: readonly AssetPermission[];
}

export interface PutBundleGrantArgs extends BundleChange {
  readonly id: string;
  readonly principal: NamedPrincipal;
  readonly assetType: AssetType;
  readonly permissions: readonly AssetPermission[];
  /** Grants on the bundles of the domain. */
  readonly max: number;
}

/** Takes the place of what the principal had on this asset type. @throws StrongroomError `not_found`, `limit_exceeded` */
async function putBundleGrant(context: CommandContext, args: PutBundleGrantArgs): Promise<BundleGrantRecord> {
  const bundle = await requireBundle(context, args);
  await requireLive(context, args.principal);
  const held = await context.db
    .selectFrom('bundle_grants')
    .select('id')
    .where('bundle_id', '=', bundle.id)
    .where('principal_id', '=', args.principal.id)
    .where('asset_type', '=', args.assetType)
    .executeTakeFirst();
  if (held === undefined) await requireRoom(context, 'bundle_grants', bundle.scope_id, args.max);
  const values = {
    permissions: JSON.stringify(args.permissions),
    created_at: context.now,
    created_by: args.actor.principal,
  };
  const { id } = await context.db
    .insertInto('bundle_grants')
    .values({
      id: args.id,
      bundle_id: bundle.id,
      scope_id: bundle.scope_id,
      principal_id: args.principal.id,
      asset_type: args.assetType,
      ...values,
    })
    .onConflict((conflict) => conflict.columns(['bundle_id', 'principal_id', 'asset_type']).doUpdateSet(values))
    .returning('id')
    .executeTakeFirstOrThrow();
  await context.bumpAuthorisation();
  const because = [
    'put-bundle-grant',
    `bundle:${bundle.name}`,
    `type:${args.assetType}`,
    ...args.permissions.map((permission) => `grant:${permission}`),
  ];
  context.audit(accessEvent(args, principalObject(args.principal), because));
  return {
    id,
    principal: args.principal,
    assetType: args.assetType,
    permissions: args.permissions,
    createdAt: context.now,
    createdBy: args.actor.principalName,
  };
}

/** @throws StrongroomError `not_found` */
async function deleteBundleGrant(context: CommandContext, args: BundleChange & { readonly id: string }): Promise<void> {
  const bundle = await requireBundle(context, args);
  const removed = await context.db
    .deleteFrom('bundle_grants')
    .where('id', '=', args.id)
    .where('bundle_id', '=', bundle.id)
    .returning(['principal_id', 'asset_type'])
    .executeTakeFirst();
  if (removed === undefined) throw new StrongroomError('not_found');
  await context.bumpAuthorisation();
  const object = { type: 'bundle-grant', id: args.id, name: removed.principal_id };
  context.audit(
    accessEvent(args, object, ['delete-bundle-grant', `bundle:${bundle.name}`, `type:${removed.asset_type}`]),
  );
}

/** @throws StrongroomError `not_found` */
export async function requireBundle(context: CommandContext, args: BundleChange): Promise<Tables['bundles']> {
  await requireDomain(context, args.scope.id);
  const bundle = await context.db
    .selectFrom('bundles')
    .selectAll()
    .where('id', '=', args.bundleId)
    .where('scope_id', '=', args.scope.id)
    .executeTakeFirst();
  if (bundle === undefined) throw new StrongroomError('not_found');
  return bundle;
}

export function bundleObject(bundle: { readonly id: string; readonly name: string }): {
  readonly type: string;
  readonly id: string;
  readonly name: string;
} {
  return { type: 'bundle', id: bundle.id, name: bundle.name };
}

/** @throws StrongroomError `revision_mismatch` */
export function requireRevision(bundle: Pick<BundleRecord, 'revision'>, expected: number | undefined): void {
  if (expected !== undefined && bundle.revision !== expected) throw new StrongroomError('revision_mismatch');
}

export const bundleCommands = {
  'access.createBundle': createBundle,
  'access.updateBundle': updateBundle,
  'access.deleteBundle': deleteBundle,
  'access.putBundleGrant': putBundleGrant,
  'access.deleteBundleGrant': deleteBundleGrant,
};
