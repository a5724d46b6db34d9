import type { Access, AccessSnapshot, AssetRef, ScopeRef } from '../access/types.ts';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import { globalScopeId } from '../store/ids.ts';
import { hotStatement, type Store } from '../store/store.ts';
import type { IntegrationRow } from './required-rows.ts';
import { assetOfIntegration } from './views.ts';

/** An integration as it is used in a scope: what a decision on `integration.use` is about. */
export interface UsedIntegration {
  readonly row: IntegrationRow;
  /** Where it is: in the scope itself, or Global's. */
  readonly scope: ScopeRef['kind'];
  readonly asset: AssetRef;
}

type RowWithAssignment = IntegrationRow & { readonly mine: number };

/** Domain, scope of the integration, folded name → the integration, and whether it is assigned to the domain. */
const integrationByName = hotStatement<RowWithAssignment>(
  'integrations.byName',
  (db) =>
    db
      .selectFrom('integrations')
      .selectAll('integrations')
      .select((column) => [
        column
          .selectFrom('integration_assignments')
          .select((inner) => inner.fn.countAll<number>().as('count'))
          .whereRef('integration_assignments.source_id', '=', 'integrations.id')
          .where('integration_assignments.scope_id', '=', '')
          .$asScalar()
          .$notNull()
          .as('mine'),
      ])
      .where('integrations.scope_id', '=', '')
      .where('integrations.folded_name', '=', '')
      .compile(),
  { isRemembered: true },
);

/**
 * The integration that a reference in `place` means, whatever the caller may do with it; `null` when there is none. Of a Global
 * one the asset says whether it is assigned to the domain.
 */
export async function findUsedIntegration(
  store: Pick<Store, 'first'>,
  place: ScopeRef,
  scope: ScopeRef['kind'],
  name: string,
): Promise<UsedIntegration | null> {
  if (scope !== 'global' && scope !== place.kind) return null;
  const home = scope === 'global' ? globalScopeId : place.id;
  const row = await store.first(integrationByName, [place.id, home, name.toLowerCase()]);
  // Names are unique after folding, yet a reference names one exactly.
  return row === undefined || row.name !== name ? null : usedIn(place, scope, row);
}

/** Integrations of the scope, and of Global those that are assigned to it, on which the caller has USE. */
export async function usableIntegrations(
  store: Pick<Store, 'query'>,
  access: Pick<Access, 'decide'>,
  snapshot: AccessSnapshot,
  place: ScopeRef,
): Promise<readonly UsedIntegration[]> {
  const rows = await store.query('integration.usedIn', { scopeId: place.id, globalScopeId });
  return rows
    .map((row) => usedIn(place, row.scope_id === globalScopeId ? 'global' : place.kind, row))
    .filter(({ asset }) => access.decide(snapshot, 'integration.use', { kind: 'asset', asset }).allow);
}

function usedIn(place: ScopeRef, scope: ScopeRef['kind'], row: RowWithAssignment): UsedIntegration {
  if (scope !== 'global' || place.kind !== 'domain')
    return { row, scope, asset: assetOfIntegration(scope === place.kind ? place : globalScope, row) };
  const isAssigned = row.is_for_all === 1 || row.mine > 0;
  const asset = { type: 'integration', id: row.id, name: row.name, scope: place } as const;
  return { row, scope, asset: { ...asset, bundleIds: [defaultBundleIdOf(place.id)], isAssigned } };
}

const globalScope: ScopeRef = { id: globalScopeId, kind: 'global', name: 'global' };
