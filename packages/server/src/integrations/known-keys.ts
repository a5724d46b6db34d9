import type { Reference } from '@strongroom/contract';
import { hotStatement, type Store } from '../store/store.ts';
import type { UsedIntegration } from './use-asset.ts';

/** What a save says about a key that only the backend knows; it stops nothing. */
export interface KeyDoubt {
  readonly code: 'unknown-key' | 'source-unavailable';
  readonly message: string;
}

/** An older index says nothing about what is missing from it. */
const freshMilliseconds = 60 * 60_000;

const indexedKey = hotStatement<{ readonly generation: number; readonly field_names: string | null }>(
  'integrations.indexedKey',
  (db) =>
    db
      .selectFrom('integration_keys')
      .select(['generation', 'field_names'])
      .where('source_id', '=', '')
      .where('folded_key', '=', '')
      .where('key', '=', '')
      .compile(),
);

/** Whether what is known of an integration makes one doubt that a launch will find the key. Asks no backend. */
export async function doubtAbout(
  store: Pick<Store, 'first'>,
  { row }: UsedIntegration,
  { key, field }: Reference,
): Promise<KeyDoubt | null> {
  const ageMilliseconds = row.indexed_at === null ? Infinity : Date.now() - row.indexed_at;
  if (row.index_is_cut === 0 && ageMilliseconds <= freshMilliseconds) {
    const found = await store.first(indexedKey, [row.id, key.toLowerCase(), key]);
    const minutes = Math.max(0, Math.floor(ageMilliseconds / 60_000));
    const when = `listed ${minutes} minute${minutes === 1 ? '' : 's'} ago`;
    if (found === undefined || found.generation <= row.index_from)
      return {
        code: 'unknown-key',
        message: `The keys of ${row.name}, ${when}, do not have ${key}; a launch will fail until it is there.`,
      };
    const fields = found.field_names === null ? null : (JSON.parse(found.field_names) as readonly string[]);
    if (field !== undefined && fields !== null && !fields.includes(field))
      return {
        code: 'unknown-key',
        message: `${key} of ${row.name}, ${when}, has no field ${field}; a launch will fail until it is there.`,
      };
  }
  if (row.health !== 'unhealthy') return null;
  return {
    code: 'source-unavailable',
    message: `${row.name} did not answer as it should when it was last asked (${row.health_code ?? 'unknown'}); whether it has ${key} is not known.`,
  };
}
