import { StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { Store } from '../store/store.ts';
import type { ListedIntegration } from './queries.ts';
import { assetOfIntegration } from './views.ts';

/** @throws StrongroomError `not_found` */
export async function listedRow(store: Store, scope: ScopeRef, id: string): Promise<ListedIntegration> {
  const args = { scopeId: scope.id, id, bundleIds: null, q: null, after: null, limit: 1 };
  const [row] = await store.query('integration.list', args);
  if (row === undefined) throw new StrongroomError('not_found');
  return row;
}

/**
 * The row as it is now, still the caller's to change.
 *
 * @param current the caller as its change is decided
 * @throws StrongroomError `not_found`, `permission_missing`, `revision_mismatch`
 */
export async function changeableRow(
  store: Store,
  access: AccessService,
  current: Caller,
  asset: AssetRef,
  ifMatch?: number,
): Promise<ListedIntegration> {
  const row = await listedRow(store, asset.scope, asset.id);
  const resource = { kind: 'asset', asset: assetOfIntegration(asset.scope, row) } as const;
  await access.require(current, 'integration.update', resource);
  if (ifMatch !== undefined && ifMatch !== row.revision)
    throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
  return row;
}
