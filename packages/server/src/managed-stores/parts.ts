import type { Keys } from '../keys/keys.ts';
import { createManagedSource } from '../launches/sources/managed-source.ts';
import type { RemoteSource } from '../launches/sources/source.ts';
import type { Store } from '../store/store.ts';
import { SecretWrites } from '../secrets/secret-writes.ts';
import { EntryFinder, type FoundLimits } from './finder.ts';
import { KnownEntries } from './known-entries.ts';
import { ManagedStores, type OpenManagedStore } from './opened-stores.ts';
import { WriteSettler } from './settler.ts';
import { StoreWatcher } from './watcher.ts';
import { ManagedWrites, type ManagedWritesParts } from './writes.ts';

/** Everything about stores outside the database, put together. */
export interface ManagedStoreParts {
  readonly stores: ManagedStores;
  readonly known: KnownEntries;
  readonly settler: WriteSettler;
  /** For the catalogue. */
  readonly writes: SecretWrites;
  /** For launches. */
  readonly source: RemoteSource;
  readonly watcher: StoreWatcher;
  readonly finder: EntryFinder;
}

const defaultLimits: FoundLimits = { keysPerScope: 1_000_000, keptVersions: 10 };

export function createManagedStores(
  store: Store,
  keys: Pick<Keys, 'fingerprint'>,
  open: OpenManagedStore,
  options: Pick<ManagedWritesParts, 'reached' | 'lifetimeMilliseconds'> & { readonly limits?: FoundLimits } = {},
): ManagedStoreParts {
  const stores = new ManagedStores(store, open);
  const known = new KnownEntries(store, keys);
  const settler = new WriteSettler({ store, stores, known });
  const outside = new ManagedWrites({ store, stores, known, settler, ...options });
  const source = createManagedSource({ stores, known, settler });
  const watcher = new StoreWatcher({ store, stores, known, settler });
  const finder = new EntryFinder({ store, stores, known, settler, keys, limits: options.limits ?? defaultLimits });
  return { stores, known, settler, writes: new SecretWrites(outside), source, watcher, finder };
}
