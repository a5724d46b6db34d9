import type { AssetPermission } from '@strongroom/contract';
import type { ScopeRef } from '../access/types.ts';
import type { Store } from '../store/store.ts';
import type { Aside } from './gather.ts';
import { maxRows } from './reads.ts';

/**
 * What somebody has in a domain beside its preset, which stays when that goes. Whoever manages access sees all of it in the
 * domain's lists; at most 2,000 of each.
 */
export async function remainsOf(
  { db }: Pick<Store, 'db'>,
  domain: ScopeRef,
  principalId: string,
): Promise<Pick<Aside, 'remains'>> {
  const [grants, onBundles, owned] = await Promise.all([
    db
      .selectFrom('grants')
      .select(['id', 'permission'])
      .where('scope_id', '=', domain.id)
      .where('principal_id', '=', principalId)
      .orderBy('permission')
      .limit(maxRows)
      .execute(),
    db
      .selectFrom('bundle_grants')
      .innerJoin('bundles', 'bundles.id', 'bundle_grants.bundle_id')
      .select(['bundle_grants.id', 'bundles.name as bundle', 'bundle_grants.asset_type', 'bundle_grants.permissions'])
      .where('bundle_grants.scope_id', '=', domain.id)
      .where('bundle_grants.principal_id', '=', principalId)
      .orderBy('bundles.name')
      .orderBy('bundle_grants.asset_type')
      .limit(maxRows)
      .execute(),
    db
      .selectFrom('bundles')
      .select('name')
      .where('scope_id', '=', domain.id)
      .where('owner_id', '=', principalId)
      .orderBy('name')
      .limit(maxRows)
      .execute(),
  ]);
  if (grants.length + onBundles.length + owned.length === 0) return {};
  return {
    remains: {
      grants,
      bundleGrants: onBundles.map(({ id, bundle, asset_type: assetType, permissions }) => ({
        id,
        bundle,
        assetType,
        permissions: JSON.parse(permissions) as AssetPermission[],
      })),
      bundles: owned.map(({ name }) => name),
    },
  };
}
