import { StrongroomError } from '@strongroom/contract';
import type { SecretValue } from '@strongroom/crypto';
import type { Store } from '../store/store.ts';
import type { Keys, SealedValue, ValuePlace } from './keys.ts';

/**
 * Seals a value for a place of a scope. A domain's keys go with it, so a domain that is just being deleted is not there any
 * more.
 * @throws StrongroomError `not_found`, `key_unavailable`
 */
export async function sealInScope(
  store: Pick<Store, 'db'>,
  keys: Pick<Keys, 'seal'>,
  place: ValuePlace,
  value: SecretValue,
): Promise<SealedValue> {
  return inScope(store, place.scopeId, () => keys.seal(place, value));
}

/** The same for a value that is kept elsewhere: its fingerprint alone. */
export async function fingerprintInScope(
  store: Pick<Store, 'db'>,
  keys: Pick<Keys, 'fingerprint'>,
  scopeId: string,
  value: SecretValue,
): Promise<Pick<SealedValue, 'fingerprint' | 'fingerprintTermId'>> {
  const { fingerprint, termId } = await inScope(store, scopeId, () => keys.fingerprint(scopeId, value));
  return { fingerprint, fingerprintTermId: termId };
}

async function inScope<Result>(
  store: Pick<Store, 'db'>,
  scopeId: string,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StrongroomError) || error.code !== 'key_unavailable') throw error;
    const scope = await store.db.selectFrom('scopes').select('deleted_at').where('id', '=', scopeId).executeTakeFirst();
    throw scope?.deleted_at === null ? error : new StrongroomError('not_found', { cause: error });
  }
}
