import { StrongroomError } from '@strongroom/contract';
import type { Store } from '../store/store.ts';
import { isDomainOwner } from './decide.ts';
import { defaultBundleIdOf } from './default-bundle.ts';
import type { Caller, ScopeRef } from './types.ts';

/**
 * The bundle that an asset of a domain is saved into: the one it is in, else the default one, or another that the caller
 * owns beside the one it is in.
 *
 * @param name as the caller names it; undefined: unchanged
 * @throws StrongroomError `validation_failed`
 */
export async function chooseBundle(
  store: Store,
  caller: Caller,
  domain: ScopeRef,
  name: string | undefined,
  currentId: string | undefined,
): Promise<string> {
  const unnamed = currentId ?? defaultBundleIdOf(domain.id);
  if (name === undefined) return unnamed;
  const rows = await store.query('surfaces.bundles', { scopeId: domain.id });
  const wanted = rows.find((row) => row.name === name)?.id;
  if (wanted === unnamed) return wanted;
  const owns = (id: string): boolean =>
    isDomainOwner(caller.snapshot, domain.id) ||
    (caller.snapshot.domains.get(domain.id)?.ownedBundleIds.has(id) ?? false);
  if (wanted !== undefined && owns(wanted) && (currentId === undefined || owns(currentId))) return wanted;
  throw new StrongroomError('validation_failed', {
    errors: [
      {
        pointer: '/bundle',
        message: 'There is no bundle with this name that you own, or you do not own the one it is in.',
      },
    ],
  });
}
