import { type StoreName, StrongroomError } from '@strongroom/contract';
import type { ManagedSettings } from '../config/managed-settings.ts';
import { systemActor } from '../identities/actor.ts';
import { adminScopeId, globalScopeId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import { choiceEvent } from './choice-event.ts';
import { sourceTypeOf, storeNameOf } from './store-names.ts';

/**
 * Gives the admin and the global scope the stores of the configuration, where it names them.
 * @throws StrongroomError `state_conflict` for a scope that holds secrets in another one: then nothing starts
 */
export async function applyConfiguredStores(store: Store, { stores }: ManagedSettings): Promise<void> {
  const scopes = [
    { name: 'admin', id: adminScopeId },
    { name: 'global', id: globalScopeId },
  ] as const;
  for (const { name, id } of scopes) {
    const wanted = stores[name];
    if (wanted === undefined) continue;
    const type = sourceTypeOf(wanted);
    const source = await store.db
      .selectFrom('sources')
      .select('type')
      .where('scope_id', '=', id)
      .where('name', '=', 'managed')
      .executeTakeFirstOrThrow();
    if (source.type === type) continue;
    try {
      await store.execute('managed.choose', {
        scopeId: id,
        type,
        audit: choiceEvent(systemActor, { id, name }, wanted),
      });
    } catch (error) {
      if (!(error instanceof StrongroomError) || error.code !== 'state_conflict') throw error;
      throw new StrongroomError('state_conflict', {
        detail: `The ${name} scope holds secrets in ${storeNameOf(source.type)}, and the configuration names ${wanted}. Nothing was changed.`,
        hint: `Set STRONGROOM_STORES_${name.toUpperCase()}${name === 'global' ? ' (or secretStore.type)' : ''} to ${storeNameOf(source.type)}.`,
        cause: error,
      });
    }
  }
}

/**
 * Whether this server can keep values there.
 * @throws StrongroomError `validation_failed`
 */
export function requireConfigured(store: StoreName, { vault }: Pick<ManagedSettings, 'vault'>, pointer: string): void {
  if (store !== 'vault' || vault !== null) return;
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer, message: 'this server is not configured for it: STRONGROOM_VAULT_ADDRESS is not set' }],
  });
}
