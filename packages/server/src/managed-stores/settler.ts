import { StrongroomError } from '@strongroom/contract';
import type { Entry } from '@strongroom/backends';
import { asStrongroomError } from '../store/errors.ts';
import type { Store } from '../store/store.ts';
import type { IntentRow } from './commands.ts';
import { type KnownEntries, readEntry } from './known-entries.ts';
import type { ManagedStores } from './opened-stores.ts';

export interface SettlerParts {
  readonly store: Store;
  readonly stores: ManagedStores;
  readonly known: KnownEntries;
}

/** Where an entry is, and whose it should be. */
export interface EntryPlace {
  readonly secretId: string;
  readonly sourceId: string;
  readonly key: string;
}

/** For what it asks the backend, in milliseconds. */
const askMilliseconds = 10_000;
const intentsAtOnce = 100;

/** Codes of a commit whose outcome isn't known: the next look will tell. */
const unknownOutcomes: ReadonlySet<string> = new Set([
  'audit_unavailable',
  'storage_unavailable',
  'storage_full',
  'shutting_down',
  'deadline_exceeded',
  'internal',
]);

/** Brings writes to their end by what the backend has. Any number of servers may do it at once, any number of times. */
export class WriteSettler {
  readonly #store: Store;
  readonly #stores: ManagedStores;
  readonly #known: KnownEntries;

  constructor({ store, stores, known }: SettlerParts) {
    this.#store = store;
    this.#stores = stores;
    this.#known = known;
  }

  /**
   * All whose writer had his time. One that can't be settled holds up no other.
   * @throws StrongroomError of the first that could not be settled
   */
  async settleDue(signal: AbortSignal): Promise<void> {
    const due = await this.#store.db
      .selectFrom('write_intents')
      .select('id')
      .where('state', '=', 'pending')
      .where('expires_at', '<=', this.#store.now())
      .orderBy('expires_at')
      .limit(intentsAtOnce)
      .execute();
    let failure: StrongroomError | undefined;
    for (const { id } of due) {
      if (signal.aborted) return;
      try {
        await this.settle(id, signal);
      } catch (error) {
        failure ??= asStrongroomError(error);
      }
    }
    if (failure !== undefined) throw failure;
  }

  /** @throws StrongroomError when the backend or the store can't be asked: nothing was decided */
  async settle(id: string, signal?: AbortSignal): Promise<'committed' | 'abandoned'> {
    const row = await this.#known.intent(id);
    if (row === undefined) return 'abandoned';
    if (row.state !== 'pending') return row.state;
    const timeout = AbortSignal.timeout(askMilliseconds);
    const ends = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    const backend = await this.#stores.of(row.source_id);
    const entry = await readEntry(backend, row.key, ends);
    try {
      if (row.kind === 'purge') return await this.#settlePurge(row, entry, ends);
      if (entry?.intentId === id) return await this.commit(row, entry.version, true);
      const outcome = await this.abandon(id, entry === null ? 'absent' : 'not-written');
      if (outcome === 'abandoned' && row.kind === 'set') await this.explain(placeOf(row), entry);
      return outcome;
    } finally {
      entry?.value.destroy();
    }
  }

  /**
   * The backend has done its part. When the catalogue refuses all the same, what was made is taken away again.
   * @throws StrongroomError why it was refused, or that it isn't known
   */
  async commit(
    row: Pick<IntentRow, 'id' | 'kind' | 'source_id' | 'key'>,
    backendVersion: string | null,
    isSettled: boolean,
  ): Promise<'committed'> {
    try {
      await this.#store.execute('managed.commit', { id: row.id, backendVersion, isSettled });
      return 'committed';
    } catch (error) {
      if (!(error instanceof StrongroomError) || unknownOutcomes.has(error.code)) throw error;
      if (row.kind === 'create') await this.#takeAway(row);
      await this.abandon(row.id, error.code);
      throw error;
    }
  }

  async abandon(id: string, result: string): Promise<'committed' | 'abandoned'> {
    const { isAbandoned } = await this.#store.execute('managed.abandon', { id, result });
    return isAbandoned ? 'abandoned' : 'committed';
  }

  /** Deletes what this very write made and nobody was told of. */
  async #takeAway(row: Pick<IntentRow, 'id' | 'source_id' | 'key'>): Promise<void> {
    const backend = await this.#stores.of(row.source_id);
    await backend.delete(row.key, {
      expect: { kind: 'intent', intentId: row.id },
      signal: AbortSignal.timeout(askMilliseconds),
    });
  }

  /**
   * What an entry is that a write of ours met and didn't expect.
   *
   * - `late`: an own write that had been given up and arrived all the same; the catalogue has it now, or it is taken away.
   * - `noted`: somebody else's edit, or its absence; the catalogue says so now.
   * - `as-known`: it is what the catalogue knows.
   */
  async explain(place: EntryPlace, entry: Entry | null): Promise<'late' | 'noted' | 'as-known'> {
    if (entry !== null && (await this.#isTakenUp(place, entry))) return 'late';
    const known = await this.#known.current(place.secretId);
    if (known !== undefined && entry !== null && (await this.#known.isCurrent(known, entry))) return 'as-known';
    if (known !== undefined) await this.#known.note(known, entry);
    return 'noted';
  }

  /** Whether it was left by a write of ours that had been given up. */
  async #isTakenUp({ sourceId, key }: EntryPlace, { intentId, version }: Entry): Promise<boolean> {
    const writer = intentId === undefined ? undefined : await this.#known.intent(intentId);
    const isLate = writer?.state === 'abandoned' && writer.source_id === sourceId && writer.key === key;
    if (writer === undefined || !isLate) return false;
    if (writer.kind === 'create') {
      await this.#takeAway(writer);
      return true;
    }
    try {
      await this.commit(writer, version, true);
      return true;
    } catch (error) {
      // The secret was deleted since, or has another value: then it is an edit like others.
      if (!(error instanceof StrongroomError) || unknownOutcomes.has(error.code)) throw error;
      return false;
    }
  }

  async #settlePurge(row: IntentRow, entry: Entry | null, signal: AbortSignal): Promise<'committed' | 'abandoned'> {
    if (entry === null) return this.commit(row, null, true);
    const known = await this.#known.current(row.secret_id);
    if (known === undefined || !(await this.#known.isCurrent(known, entry))) {
      const outcome = await this.abandon(row.id, 'not-deleted');
      if (known !== undefined) await this.#known.note(known, entry);
      return outcome;
    }
    const backend = await this.#stores.of(row.source_id);
    await backend.delete(row.key, { expect: deletionOf(known, entry), signal });
    return this.commit(row, null, true);
  }
}

function placeOf(row: IntentRow): EntryPlace {
  return { secretId: row.secret_id, sourceId: row.source_id, key: row.key };
}

/** With the version that was just read, where there is one: nothing that came in between is deleted. */
function deletionOf(known: { readonly intentId: string | null }, entry: Entry) {
  if (entry.version !== null) return { kind: 'version', version: entry.version } as const;
  return known.intentId === null ? ({ kind: 'any' } as const) : ({ kind: 'intent', intentId: known.intentId } as const);
}
