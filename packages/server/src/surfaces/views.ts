import type { SurfaceName } from '@strongroom/contract';
import type { AssetRef, ScopeRef } from '../access/types.ts';
import type { ConfigurationRow } from './rows.ts';

/** RFC 3339 in UTC. */
export function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

/** A configuration as a decision needs it. */
export function assetOf(
  row: Pick<ConfigurationRow, 'id' | 'name' | 'bundle_id'> & { readonly surface: SurfaceName },
  domain: ScopeRef,
): AssetRef {
  return { type: row.surface, id: row.id, name: row.name, scope: domain, bundleIds: [row.bundle_id] };
}
