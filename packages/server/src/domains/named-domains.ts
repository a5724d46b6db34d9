import { StrongroomError } from '@strongroom/contract';
import type { Store } from '../store/store.ts';

/**
 * The ids of domains that a request names in `domains`; none for none.
 *
 * @throws StrongroomError `validation_failed` naming each that is not there
 */
export async function idsOfDomains(store: Store, names: readonly string[]): Promise<readonly string[]> {
  if (names.length === 0) return [];
  const found = await store.db
    .selectFrom('scopes')
    .select(['id', 'name'])
    .where('kind', '=', 'domain')
    .where('deleted_at', 'is', null)
    .where('name', 'in', names)
    .execute();
  const missing = names.filter((name) => !found.some((domain) => domain.name === name));
  if (missing.length === 0) return found.map(({ id }) => id);
  throw new StrongroomError('validation_failed', {
    errors: missing.map((name) => ({ pointer: `/domains/${names.indexOf(name)}`, message: 'no such domain' })),
  });
}
