import { existsSync } from 'node:fs';
import { type StoreName, StrongroomError } from '@strongroom/contract';
import type { ManagedVaultBackend } from '@strongroom/backends/vault-managed';
import type { LoadedConfiguration } from '../config/load.ts';
import { lazyEgress } from '../integrations/lazy-egress.ts';
import type { Keyring } from '../keys/keyring.ts';
import { listedPages, type PageStart } from '../listed-pages.ts';
import { withInstallation } from '../operator.ts';
import { DataDirectoryInUse, dataFiles } from '../store/data-directory.ts';
import type { OpenStore } from '../store/store.ts';
import { createOpenManagedStore, vaultCredential } from './open-managed-store.ts';
import { createManagedStores } from './parts.ts';
import { sourceTypeOf } from './store-names.ts';

export interface AdoptionRequest {
  /** The one that the settings choose for the scope, unless it is named. */
  readonly store?: Exclude<StoreName, 'database'>;
  readonly scope: { readonly kind: 'admin' | 'global' } | { readonly kind: 'domain'; readonly name: string };
  /** Names in the store; none for a Secret that has all keys of the scope, and for all that there are in Vault. */
  readonly keys: readonly string[];
  /** In Kubernetes: what the integrations of the scope sign in with, in place of its secrets. */
  readonly isForCredentials?: boolean;
  /** Changes nothing. */
  readonly isTrial: boolean;
  /** Told now and then how many keys of how many are done, where they are asked for one by one. */
  readonly report?: (done: number, all: number) => void;
}

export interface AdoptedThing {
  /** The Secret's name in Kubernetes, the key in Vault. */
  readonly object: string;
  /** `false`: it was ours before. */
  readonly isAdopted: boolean;
  readonly keys: readonly string[];
}

/**
 * What the catalogue knows of it now.
 *
 * - `updated`: the keys are ordinary secrets
 * - `left-to-server`: a server runs over the embedded store, and takes them up within two minutes
 * - `later`: there is no installation, no such domain, or its values are elsewhere; a server takes them up once it has the scope
 */
export type CatalogueState = 'updated' | 'left-to-server' | 'later' | 'unchanged';

export interface AdoptionReport {
  readonly store: Exclude<StoreName, 'database'>;
  readonly items: readonly AdoptedThing[];
  readonly catalogue: CatalogueState;
}

/** For one call to the store, however many there are. */
const callMilliseconds = 60_000;
/** For so many keys at most that are taken up into the catalogue. */
const keysPerMinute = 500;
const namesAtOnce = 500;
/** Keys between two words on how far it is. */
const keysPerReport = 200;

/**
 * Marks what another program left in a managed store as ours, so that it may be written, and brings it into the catalogue: the
 * store is the one that the settings name, the mark is all that changes there. It can be killed anywhere and repeated: what is
 * marked stays so, and the catalogue follows the marks.
 *
 * @throws StrongroomError `not_found`, `key_clash`, `validation_failed`, `not_supported`, and what the store says
 */
export async function adoptStore(
  configuration: LoadedConfiguration,
  request: AdoptionRequest,
): Promise<AdoptionReport> {
  const { scope, isTrial, isForCredentials = false } = request;
  const store = request.store ?? chosenStore(configuration, scope.kind);
  const items =
    store === 'vault' ? await adoptInVault(configuration, request) : await adoptInKubernetes(configuration, request);
  if (isForCredentials) return { store, items, catalogue: 'unchanged' };
  const names = [...new Set(items.flatMap((item) => item.keys))];
  return { store, items, catalogue: isTrial ? 'unchanged' : await takeUp(configuration, store, scope, names) };
}

function chosenStore(
  { settings: { managed } }: LoadedConfiguration,
  kind: AdoptionRequest['scope']['kind'],
): Exclude<StoreName, 'database'> {
  const chosen = managed.stores[kind === 'domain' ? 'domains' : kind];
  return chosen === 'vault' ? 'vault' : 'kubernetes';
}

async function adoptInKubernetes(
  { settings: { managed } }: LoadedConfiguration,
  { scope, keys, isTrial, isForCredentials = false }: AdoptionRequest,
): Promise<readonly AdoptedThing[]> {
  const backend = await import('@strongroom/backends/kubernetes');
  const purpose = isForCredentials ? ('vault-credentials' as const) : ('secret-store' as const);
  const settings = { ...managed.kubernetes, scope, purpose };
  return backend.adoptInKubernetes(settings, { now: Date.now }, keys, { signal: callSignal(), isTrial });
}

async function adoptInVault(
  configuration: LoadedConfiguration,
  { scope, keys, isTrial, report }: AdoptionRequest,
): Promise<readonly AdoptedThing[]> {
  const { vault } = configuration.settings.managed;
  if (vault === null)
    throw new StrongroomError('not_supported', {
      detail: 'This server is not configured for a managed store in Vault.',
      hint: 'Set STRONGROOM_VAULT_ADDRESS and STRONGROOM_VAULT_PATH, or secretStore.vaultSettings.',
    });
  const { openManagedVault } = await import('@strongroom/backends/vault-managed');
  const { credentialFile: _file, legacyToken: _token, ...access } = vault;
  const credential = vaultCredential(configuration.settings.managed, vault, configuration.secrets.legacyVaultToken);
  const egress = lazyEgress(configuration);
  const backend = openManagedVault({ ...access, scope }, { egress: await egress.open(), credential, now: Date.now });
  try {
    const foreign = await listForeign(backend);
    const chosen = keys.length === 0 ? foreign : new Set(keys);
    const adopted: AdoptedThing[] = [];
    for (const key of chosen) {
      const isAdopted = isTrial
        ? await isForeign(backend, foreign, key)
        : await backend.adopt(key, { signal: callSignal() });
      adopted.push({ object: key, isAdopted, keys: [key] });
      if (adopted.length % keysPerReport === 0) report?.(adopted.length, chosen.size);
    }
    return adopted;
  } finally {
    await backend.close();
    await egress.close();
  }
}

function callSignal(): AbortSignal {
  return AbortSignal.timeout(callMilliseconds);
}

async function listForeign(backend: ManagedVaultBackend): Promise<ReadonlySet<string>> {
  const keys = new Set<string>();
  const list = (start: PageStart) => backend.listUnmarked({ signal: callSignal(), limit: namesAtOnce, ...start });
  for await (const { items } of listedPages(list)) for (const { key } of items) keys.add(key);
  return keys;
}

async function isForeign(backend: ManagedVaultBackend, foreign: ReadonlySet<string>, key: string): Promise<boolean> {
  if (foreign.has(key)) return true;
  const entry = await backend.get(key, { signal: callSignal() });
  if (entry === null) throw new StrongroomError('not_found', { detail: 'No secret is there in Vault.' });
  entry.value.destroy();
  return false;
}

async function takeUp(
  configuration: LoadedConfiguration,
  store: Exclude<StoreName, 'database'>,
  scope: AdoptionRequest['scope'],
  keys: readonly string[],
): Promise<CatalogueState> {
  const { settings, secrets } = configuration;
  if (secrets.databaseUrl === undefined && !existsSync(dataFiles(settings.dataDir).database)) return 'later';
  try {
    return await withInstallation(configuration, '', (opened, keyring) =>
      takeUpIn(configuration, opened, keyring, store, scope, keys),
    );
  } catch (error) {
    if (error instanceof StrongroomError && error.cause instanceof DataDirectoryInUse) return 'left-to-server';
    throw error;
  }
}

async function takeUpIn(
  configuration: LoadedConfiguration,
  opened: OpenStore,
  keyring: Keyring,
  store: Exclude<StoreName, 'database'>,
  scope: AdoptionRequest['scope'],
  keys: readonly string[],
): Promise<CatalogueState> {
  const { settings, secrets } = configuration;
  const place = await opened.db
    .selectFrom('sources')
    .innerJoin('scopes', 'scopes.id', 'sources.scope_id')
    .select(['sources.id as sourceId', 'scopes.id as scopeId', 'sources.type'])
    .where('scopes.kind', '=', scope.kind)
    .where('scopes.name', '=', scope.kind === 'domain' ? scope.name : scope.kind)
    .where('scopes.deleted_at', 'is', null)
    .where('sources.name', '=', 'managed')
    .executeTakeFirst();
  if (place?.type !== sourceTypeOf(store)) return 'later';
  const egress = lazyEgress(configuration);
  const open = createOpenManagedStore({
    settings: settings.managed,
    keys: keyring,
    egress: egress.open,
    legacyVaultToken: secrets.legacyVaultToken,
  });
  const { keysPerScope, secretVersions } = settings.limits;
  const managed = createManagedStores(opened, keyring, open, {
    limits: { keysPerScope, keptVersions: secretVersions },
  });
  try {
    const minutes = Math.max(1, Math.ceil(keys.length / keysPerMinute));
    await managed.finder.look(place, AbortSignal.timeout(minutes * 60_000), keys);
    return 'updated';
  } finally {
    await managed.stores.close();
    await egress.close();
  }
}
