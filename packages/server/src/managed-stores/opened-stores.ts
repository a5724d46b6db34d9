import { StrongroomError } from '@strongroom/contract';
import type { Backend } from '@strongroom/backends';
import { hotStatement, type Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';

/** Kinds of managed stores outside the database. */
export type OutsideType = 'KUBERNETES' | 'VAULT';

export interface StoreScope {
  readonly id: string;
  readonly kind: Tables['scopes']['kind'];
  /** Of the domain; `admin` and `global` otherwise. */
  readonly name: string;
}

/** Opens the backend that has a scope's values. @throws StrongroomError `not_supported` when this server has none of the kind */
export type OpenManagedStore = (type: OutsideType, scope: StoreScope) => Promise<Backend>;

interface SourceRow extends StoreScope {
  readonly type: Tables['sources']['type'];
}

const sourceById = hotStatement<SourceRow>('managedStores.sourceById', (db) =>
  db
    .selectFrom('sources')
    .innerJoin('scopes', 'scopes.id', 'sources.scope_id')
    .select(['sources.type', 'scopes.id', 'scopes.kind', 'scopes.name'])
    .where('sources.id', '=', '')
    .where('sources.name', '=', '')
    .compile(),
);

/** Backends of scopes whose values are outside the database: each is opened at its first use and kept. */
export class ManagedStores {
  readonly #store: Pick<Store, 'first'>;
  readonly #open: OpenManagedStore;
  readonly #opened = new Map<string, Promise<Backend>>();
  #isClosed = false;

  constructor(store: Pick<Store, 'first'>, open: OpenManagedStore) {
    this.#store = store;
    this.#open = open;
  }

  /** Of a deleted domain, too: what it left is purged. @throws StrongroomError `not_found`, `not_supported`, `shutting_down` */
  async of(sourceId: string): Promise<Backend> {
    if (this.#isClosed) throw new StrongroomError('shutting_down');
    const row = await this.#store.first(sourceById, [sourceId, 'managed']);
    if (row === undefined) throw new StrongroomError('not_found');
    const { type } = row;
    if (type !== 'KUBERNETES' && type !== 'VAULT')
      throw new StrongroomError('internal', { detail: 'The values of this scope are in the database.' });
    const name = `${sourceId} ${type}`;
    let opened = this.#opened.get(name);
    if (opened === undefined) {
      opened = this.#open(type, { id: row.id, kind: row.kind, name: row.name });
      this.#opened.set(name, opened);
      opened.catch(() => this.#opened.delete(name));
    }
    return opened;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    const opened = await Promise.allSettled(this.#opened.values());
    this.#opened.clear();
    await Promise.all(opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value.close()] : [])));
  }
}
