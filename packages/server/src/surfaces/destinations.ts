import { formatReference, StrongroomError } from '@strongroom/contract';
import type { ScopeRef } from '../access/types.ts';
import { findTarget } from '../launches/targets.ts';
import type { Wanted } from '../launches/wanted.ts';
import type { Store } from '../store/store.ts';
import type { Destination } from './definition.ts';

/** Where secrets may be sent: those that name destinations, to these alone. */

/**
 * @throws StrongroomError `destination_refused` naming each reference to a managed secret that has destinations, and not this one
 */
export async function requireDestinations(
  store: Store,
  scope: ScopeRef,
  wanted: readonly Wanted[],
  destination: Destination | null,
): Promise<void> {
  const errors = [];
  for (const { reference, pointer, name } of wanted) {
    const { secret } = await findTarget(store, scope, reference);
    if (secret === null) continue;
    const named = await destinationsOf(store, secret.id);
    if (named === null || (destination !== null && named.some((each) => isSame(each, destination)))) continue;
    const text = formatReference(reference);
    errors.push({ pointer, message: `${name}: ${text} is for other hosts.`, reference: text });
  }
  if (errors.length > 0) throw new StrongroomError('destination_refused', { errors });
}

/**
 * Of the wanted secrets of the admin scope those without destinations: their first use fixes them, by who may manage them.
 * @returns ids
 */
export async function unfixedSecrets(store: Store, scope: ScopeRef, wanted: readonly Wanted[]): Promise<string[]> {
  const ids: string[] = [];
  for (const { reference } of wanted) {
    if (reference.scope !== 'admin') continue;
    const { secret } = await findTarget(store, scope, reference);
    if (secret !== null && (await destinationsOf(store, secret.id)) === null) ids.push(secret.id);
  }
  return ids;
}

async function destinationsOf(store: Store, secretId: string): Promise<readonly Destination[] | null> {
  const row = await store.db.selectFrom('secrets').select('destinations').where('id', '=', secretId).executeTakeFirst();
  return typeof row?.destinations === 'string' ? (JSON.parse(row.destinations) as Destination[]) : null;
}

function isSame(one: Destination, other: Destination): boolean {
  return one.scheme === other.scheme && one.host.toLowerCase() === other.host.toLowerCase() && one.port === other.port;
}
