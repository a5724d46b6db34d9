import { StrongroomError } from '@strongroom/contract';
import type { Entry } from '@strongroom/backends';
import { asStrongroomError } from '../store/errors.ts';
import type { Store } from '../store/store.ts';
import type { KnownEntries } from './known-entries.ts';
import type { ManagedStores } from './opened-stores.ts';
import type { WatchedSecret } from './queries.ts';
import type { WriteSettler } from './settler.ts';

/** Keys that are asked for in one round. */
const keysAtOnce = 200;

export interface WatcherParts {
  readonly store: Store;
  readonly stores: ManagedStores;
  readonly known: KnownEntries;
  readonly settler: WriteSettler;
}

/**
 * Looks for edits from outside where they matter: at what workloads hold, so many keys a round, one after the other. What is
 * found becomes a version, and so shows as drift.
 */
export class StoreWatcher {
  readonly #parts: WatcherParts;
  #after = '';

  constructor(parts: WatcherParts) {
    this.#parts = parts;
  }

  /** @throws StrongroomError of the first store that could not be asked; the others were */
  async round(signal: AbortSignal): Promise<void> {
    const { store } = this.#parts;
    if (!(await this.#hasOutside())) return;
    const secrets = await store.query('managed.watched', { after: this.#after, limit: keysAtOnce });
    this.#after = secrets.length < keysAtOnce ? '' : (secrets.at(-1)?.id ?? '');
    let failure: StrongroomError | undefined;
    for (const [sourceId, group] of Map.groupBy(secrets, ({ source_id }) => source_id)) {
      try {
        await this.#look(sourceId, group, signal);
      } catch (error) {
        failure ??= asStrongroomError(error);
      }
    }
    if (failure !== undefined) throw failure;
  }

  /** By key, on this thread: where all values are in the database nothing more is asked. */
  async #hasOutside(): Promise<boolean> {
    const source = await this.#parts.store.db
      .selectFrom('sources')
      .select('id')
      .where('name', '=', 'managed')
      .where('type', '!=', 'DATABASE')
      .limit(1)
      .executeTakeFirst();
    return source !== undefined;
  }

  async #look(sourceId: string, secrets: readonly WatchedSecret[], signal: AbortSignal): Promise<void> {
    const { stores } = this.#parts;
    const backend = await stores.of(sourceId);
    const answers = await backend.getMany(
      secrets.map(({ key }) => key),
      { signal },
    );
    for (const { id, key } of secrets) {
      const answer = answers.get(key);
      const isGone = answer instanceof StrongroomError && answer.code === 'backend_deleted';
      if (answer === undefined || (answer instanceof StrongroomError && !isGone)) continue;
      const entry = answer instanceof StrongroomError ? null : answer;
      try {
        await this.#compare({ secretId: id, sourceId, key }, entry);
      } finally {
        entry?.value.destroy();
      }
    }
  }

  async #compare(
    place: { readonly secretId: string; readonly sourceId: string; readonly key: string },
    entry: Entry | null,
  ): Promise<void> {
    const { known, settler } = this.#parts;
    const version = await known.current(place.secretId);
    if (version === undefined || (entry !== null && (await known.isCurrent(version, entry)))) return;
    // Being written at this moment, it is nobody else's edit.
    const writer = entry?.intentId === undefined ? undefined : await known.intent(entry.intentId);
    if (writer?.state !== 'pending') await settler.explain(place, entry);
  }
}
