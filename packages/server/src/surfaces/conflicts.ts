import { StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { Store } from '../store/store.ts';
import type { SurfaceDefinition } from './definition.ts';
import { maySee } from './registry.ts';
import type { ConfigurationRow } from './rows.ts';
import { assetOf } from './views.ts';

/** What other configurations have against a change of one; who it is, is said to who may see it. */

interface Parts {
  readonly store: Store;
  readonly access: AccessService;
}

/** @throws StrongroomError `already_exists` when another one has what only one may have */
export async function requireUnique<Document>(
  { store, access }: Parts,
  surface: SurfaceDefinition<never, Document>,
  current: Caller,
  scope: ScopeRef,
  { document, id }: { readonly document: Document; readonly id: string },
): Promise<void> {
  const uniqueKey = surface.uniqueAs?.(document) ?? null;
  if (uniqueKey === null) return;
  const other = await store.db
    .selectFrom('configurations')
    .selectAll()
    .where('scope_id', '=', scope.id)
    .where('surface', '=', surface.type)
    .where('unique_key', '=', uniqueKey)
    .where('deleted_at', 'is', null)
    .where('id', '!=', id)
    .executeTakeFirst();
  if (other === undefined) return;
  const isSeen = maySee(access, current.snapshot, assetOf(other, scope));
  throw new StrongroomError('already_exists', {
    detail: `${isSeen ? other.name : `Another ${surface.title}`} is for the same place.`,
    hint: 'Use that one, or choose another place.',
  });
}

/** Users named in one refusal. */
const namedConsumers = 100;

/** @throws StrongroomError `in_use` */
export async function requireUnused(
  { store, access }: Parts,
  current: Caller,
  scope: ScopeRef,
  row: ConfigurationRow,
): Promise<void> {
  const consumers = await store.query('surfaces.consumersOf', { consumedId: row.id, limit: namedConsumers });
  if (consumers.length === 0) return;
  const seen = consumers.filter((each) => maySee(access, current.snapshot, assetOf(each, scope)));
  throw new StrongroomError('in_use', {
    detail: `${row.name} is used by ${consumers.length === namedConsumers ? `${namedConsumers} other configurations or more` : `${consumers.length} other configuration${consumers.length === 1 ? '' : 's'}`}.`,
    errors: seen.map((each) => ({ pointer: '/storageConfigs', message: `${each.surface} ${each.name} uses it` })),
  });
}
