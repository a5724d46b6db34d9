import { StrongroomError } from '@strongroom/contract';
import type { Backend, Entry } from '@strongroom/backends';
import type { Keys } from '../keys/keys.ts';
import { minComparableBytes } from '../secrets/values.ts';
import { hotStatement, type Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { Finding, IntentRow } from './commands.ts';
import { isSame, type KeptPlace } from './plan.ts';

/** The current version of a secret, live or deleted, as the catalogue knows it. */
export interface KnownVersion extends KeptPlace {
  readonly secretId: string;
  readonly scopeId: string;
  readonly epoch: number;
  readonly version: number;
  readonly fingerprint: Uint8Array;
  readonly fingerprintTermId: string;
  readonly storeState: Tables['secrets']['store_state'];
}

const currentVersion = hotStatement<KnownVersion>('managedStores.currentVersion', (db) =>
  db
    .selectFrom('secrets')
    .innerJoin('secret_versions', (join) =>
      join
        .onRef('secret_versions.secret_id', '=', 'secrets.id')
        .onRef('secret_versions.epoch', '=', 'secrets.current_epoch')
        .onRef('secret_versions.version', '=', 'secrets.current_version'),
    )
    .select([
      'secrets.id as secretId',
      'secrets.scope_id as scopeId',
      'secrets.current_epoch as epoch',
      'secrets.current_version as version',
      'secrets.store_state as storeState',
      'secret_versions.fingerprint',
      'secret_versions.fingerprint_term_id as fingerprintTermId',
      'secret_versions.backend_version as backendVersion',
      'secret_versions.intent_id as intentId',
    ])
    .where('secrets.id', '=', '')
    .compile(),
);

const intentById = hotStatement<IntentRow>('managedStores.intentById', (db) =>
  db.selectFrom('write_intents').selectAll().where('id', '=', '').compile(),
);

/** What the catalogue knows of entries, and what it is told of them. */
export class KnownEntries {
  readonly #store: Store;
  readonly #keys: Pick<Keys, 'fingerprint'>;

  constructor(store: Store, keys: Pick<Keys, 'fingerprint'>) {
    this.#store = store;
    this.#keys = keys;
  }

  async current(secretId: string): Promise<KnownVersion | undefined> {
    return this.#store.first(currentVersion, [secretId]);
  }

  async intent(id: string): Promise<IntentRow | undefined> {
    return this.#store.first(intentById, [id]);
  }

  /** The write of a key that is under way. */
  pending(sourceId: string, foldedKey: string): Promise<IntentRow | undefined> {
    return this.#store.db
      .selectFrom('write_intents')
      .selectAll()
      .where('source_id', '=', sourceId)
      .where('folded_key', '=', foldedKey)
      .where('state', '=', 'pending')
      .executeTakeFirst();
  }

  /**
   * Whether an entry is the one that is known. One that another program left, in a store without versions of single keys, is
   * told by its fingerprint, as long as that is of the same term.
   */
  async isCurrent(known: KnownVersion, entry: Entry): Promise<boolean> {
    if (!isSame(known, entry)) return false;
    if (known.intentId !== null || known.backendVersion !== null) return true;
    const found = await this.#fingerprint(known.scopeId, entry);
    return (
      found === null ||
      found.fingerprintTermId !== known.fingerprintTermId ||
      Buffer.compare(found.fingerprint, known.fingerprint) === 0
    );
  }

  /**
   * Notes how the entry differs from what is known, if it does. Deletes and undoes nothing.
   * @returns whether it was noted; not when the secret got another version meanwhile, or is being written
   */
  async note(known: KnownVersion, entry: Entry | null): Promise<boolean> {
    const found = await this.#finding(known, entry);
    if (found === null) return true;
    const { secretId, epoch, version } = known;
    return (await this.#store.execute('managed.mark', { secretId, epoch, version, found })).isMarked;
  }

  async #finding(known: KnownVersion, entry: Entry | null): Promise<Finding['found'] | null> {
    if (entry === null) return known.storeState === 'missing' ? null : { kind: 'missing' };
    if (await this.isCurrent(known, entry)) return known.storeState === 'missing' ? { kind: 'as-left' } : null;
    const fingerprint = await this.#fingerprint(known.scopeId, entry);
    if (fingerprint === null) return { kind: 'foreign-edit', edited: null };
    return {
      kind: 'foreign-edit',
      edited: {
        ...fingerprint,
        shape: entry.shape,
        fieldNames: entry.fieldNames === null ? null : JSON.stringify(entry.fieldNames),
        isComparable: entry.value.byteLength >= minComparableBytes,
        kept: { backendVersion: entry.version, intentId: entry.intentId ?? null },
      },
    };
  }

  /** Null in a scope whose keys were destroyed. */
  async #fingerprint(scopeId: string, entry: Entry) {
    try {
      const { fingerprint, termId } = await this.#keys.fingerprint(scopeId, entry.value);
      return { fingerprint, fingerprintTermId: termId };
    } catch (error) {
      if (error instanceof StrongroomError && error.code === 'key_unavailable') return null;
      throw error;
    }
  }
}

/** The entry under a key; what is deleted there and may come back counts as absent. The caller destroys the value. */
export async function readEntry(backend: Backend, key: string, signal: AbortSignal): Promise<Entry | null> {
  try {
    return await backend.get(key, { signal });
  } catch (error) {
    if (error instanceof StrongroomError && error.code === 'backend_deleted') return null;
    throw error;
  }
}
