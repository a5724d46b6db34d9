import type { SurfaceName } from '@strongroom/contract';
import type { Access, AccessSnapshot, ScopeRef } from '../access/types.ts';
import { scopeOf } from '../impact/gather.ts';
import { maySee } from '../surfaces/registry.ts';
import type { UseRow } from './use-rows.ts';

/** Whether somebody may know which configuration a use is of. That there is one is told to who may see what it uses. */
export type SeesUse = (row: UseRow) => boolean;

/** @param target the scope of what is used */
export function usesSeenBy(access: Pick<Access, 'decide'>, snapshot: AccessSnapshot, target: ScopeRef): SeesUse {
  // Whoever manages Global's secrets has to know what to look after, in every domain.
  const seesAll =
    target.kind === 'global' && access.decide(snapshot, 'secret.manage', { kind: 'scope', scope: target }).allow;
  return ({ surface, configuration_id, configuration, bundle_id, scope_id, domain }) => {
    // What is no configuration is not among the rows of who may not see it.
    if (seesAll || bundle_id === null) return true;
    const asset = { id: configuration_id, name: configuration, scope: scopeOf({ scope_id, domain }) };
    return maySee(access, snapshot, { ...asset, type: surface as SurfaceName, bundleIds: [bundle_id] });
  };
}
