import { StrongroomError } from '@strongroom/contract';
import type { Backend, Entry } from '@strongroom/backends';
import type { Keys } from '../keys/keys.ts';
import { fingerprintInScope } from '../keys/seal-in-scope.ts';
import { listedPages, type PageStart } from '../listed-pages.ts';
import { minComparableBytes } from '../secrets/values.ts';
import { asStrongroomError } from '../store/errors.ts';
import { newId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import type { FoundEntry } from './found-commands.ts';
import type { KnownEntries } from './known-entries.ts';
import type { ManagedStores } from './opened-stores.ts';
import type { WriteSettler } from './settler.ts';

export interface FoundLimits {
  readonly keysPerScope: number;
  readonly keptVersions: number;
}

export interface FinderParts {
  readonly store: Store;
  readonly stores: ManagedStores;
  readonly known: KnownEntries;
  readonly settler: WriteSettler;
  readonly keys: Pick<Keys, 'fingerprint'>;
  readonly limits: FoundLimits;
}

/** A scope whose values are outside the database. */
export interface LookedAt {
  readonly sourceId: string;
  readonly scopeId: string;
}

export interface Findings {
  /** Keys that are in the catalogue since. */
  readonly found: readonly string[];
  /** Secrets that are ours since. */
  readonly adopted: number;
}

const namesAtOnce = 500;
const valuesAtOnce = 100;

/**
 * Brings what another program left in managed stores into the catalogue, where it is listed and resolved under its exact name
 * and only read, until it is marked as ours. It may stop anywhere, and any number of servers may look at once: a row that is
 * there stays, an entry is told by its key.
 */
export class EntryFinder {
  readonly #parts: FinderParts;

  constructor(parts: FinderParts) {
    this.#parts = parts;
  }

  /** Looks at all scopes. @throws StrongroomError of the first store that could not be asked; the others were */
  async round(signal: AbortSignal): Promise<void> {
    const sources = await this.#parts.store.db
      .selectFrom('sources')
      .innerJoin('scopes', 'scopes.id', 'sources.scope_id')
      .select(['sources.id as sourceId', 'scopes.id as scopeId'])
      .where('sources.name', '=', 'managed')
      .where('sources.type', '!=', 'DATABASE')
      .where('scopes.deleted_at', 'is', null)
      .execute();
    let failure: StrongroomError | undefined;
    for (const source of sources) {
      if (signal.aborted) return;
      try {
        await this.look(source, signal);
      } catch (error) {
        failure ??= asStrongroomError(error);
      }
    }
    if (failure !== undefined) throw failure;
  }

  /**
   * @param named keys to look for where a store can't be listed
   * @throws StrongroomError of the store; `limit_exceeded` when the scope holds as many secrets as it may
   */
  async look(place: LookedAt, signal: AbortSignal, named: readonly string[] = []): Promise<Findings> {
    const { store, stores } = this.#parts;
    const backend = await stores.of(place.sourceId);
    const found: string[] = [];
    for await (const keys of names(backend, named, signal)) {
      const known = new Set(await store.query('managed.known', { sourceId: place.sourceId, keys }));
      const unknown = keys.filter((key) => !known.has(key));
      for (let start = 0; start < unknown.length; start += valuesAtOnce)
        found.push(...(await this.#take(place, backend, unknown.slice(start, start + valuesAtOnce), signal)));
    }
    return { found, adopted: await this.#lookAgain(place, backend, signal) };
  }

  async #take(
    { sourceId, scopeId }: LookedAt,
    backend: Backend,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const answers = await backend.getMany(keys, { signal });
    try {
      const entries: FoundEntry[] = [];
      for (const [key, answer] of answers) {
        // What a write of ours left is the settling's matter, and never another secret.
        if (isEntry(answer) && answer.found !== undefined) entries.push(await this.#entry(scopeId, key, answer));
      }
      if (entries.length === 0) return [];
      const { ids } = await this.#parts.store.execute('managed.find', { sourceId, scopeId, entries });
      return entries.filter(({ id }) => ids.includes(id)).map(({ key }) => key);
    } finally {
      destroyAll(answers);
    }
  }

  async #entry(scopeId: string, key: string, { value, shape, fieldNames, version, found }: Entry): Promise<FoundEntry> {
    const { store, keys, limits } = this.#parts;
    return {
      id: newId('secret'),
      key,
      folder: '',
      description: '',
      owner: '',
      tags: [],
      destinations: null,
      expiresAt: null,
      rotateEveryDays: null,
      keepVersions: limits.keptVersions,
      maxKeysPerScope: limits.keysPerScope,
      by: 'outside',
      isUnmarked: found?.isMarked === false,
      sealed: {
        ...(await fingerprintInScope(store, keys, scopeId, value)),
        envelope: null,
        termId: null,
        shape,
        fieldNames: fieldNames === null ? null : JSON.stringify(fieldNames),
        isComparable: value.byteLength >= minComparableBytes,
        copiedFrom: null,
        kept: { backendVersion: version, intentId: null },
      },
    };
  }

  /** What became of entries that were not ours. */
  async #lookAgain({ sourceId }: LookedAt, backend: Backend, signal: AbortSignal): Promise<number> {
    const { store } = this.#parts;
    let adopted = 0;
    let after: string | undefined = '';
    while (after !== undefined && !signal.aborted) {
      const rows: readonly { id: string; key: string }[] = await store.query('managed.unmarked', {
        sourceId,
        after,
        limit: valuesAtOnce,
      });
      after = rows.length < valuesAtOnce ? undefined : rows.at(-1)?.id;
      if (rows.length === 0) break;
      const answers = await backend.getMany(
        rows.map(({ key }) => key),
        { signal },
      );
      try {
        const marked = rows.filter(({ key }) => {
          const answer = answers.get(key);
          return isEntry(answer) && answer.found?.isMarked !== false;
        });
        if (marked.length > 0)
          adopted += (await store.execute('managed.adopt', { ids: marked.map(({ id }) => id) })).adopted;
        for (const { id, key } of rows) await this.#note({ secretId: id, sourceId, key }, answers.get(key));
      } finally {
        destroyAll(answers);
      }
    }
    return adopted;
  }

  async #note(
    place: { readonly secretId: string; readonly sourceId: string; readonly key: string },
    answer: Entry | StrongroomError | null | undefined,
  ): Promise<void> {
    const { known, settler } = this.#parts;
    const isGone = answer === null || (answer instanceof StrongroomError && answer.code === 'backend_deleted');
    if (!isGone && !isEntry(answer)) return;
    const entry = isEntry(answer) ? answer : null;
    const version = await known.current(place.secretId);
    if (version === undefined) return;
    const isBack = version.storeState === 'missing' && entry !== null;
    if (entry !== null && !isBack && (await known.isCurrent(version, entry))) return;
    if (isBack) await known.note(version, entry);
    else await settler.explain(place, entry);
  }
}

/** Pages of names, where the store can be listed. */
async function* names(
  backend: Backend,
  named: readonly string[],
  signal: AbortSignal,
): AsyncGenerator<readonly string[]> {
  if (!backend.capabilities.list) {
    if (named.length > 0) yield named;
    return;
  }
  const list = (start: PageStart) => backend.list({ signal, limit: namesAtOnce, includesFound: true, ...start });
  for await (const { items } of listedPages(list)) yield items.map(({ key }) => key);
}

function isEntry(answer: Entry | StrongroomError | null | undefined): answer is Entry {
  return answer !== null && answer !== undefined && !(answer instanceof StrongroomError);
}

function destroyAll(answers: ReadonlyMap<string, Entry | StrongroomError | null>): void {
  for (const answer of answers.values()) if (isEntry(answer)) answer.value.destroy();
}
