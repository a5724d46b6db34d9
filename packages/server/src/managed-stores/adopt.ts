import { StrongroomError } from '@strongroom/contract';
import type { LoadedConfiguration } from '../config/load.ts';
import { lazyEgress } from '../integrations/lazy-egress.ts';
import { readCredential } from './open-managed-store.ts';

export interface AdoptionRequest {
  readonly store: 'kubernetes' | 'vault';
  readonly scope: { readonly kind: 'admin' | 'global' } | { readonly kind: 'domain'; readonly name: string };
  /** Names in the store; none for a Secret that has all keys of the scope. */
  readonly keys: readonly string[];
  /** Changes nothing. */
  readonly isTrial: boolean;
}

export interface AdoptedThing {
  /** The Secret's name in Kubernetes, the key in Vault. */
  readonly object: string;
  /** `false`: it was ours before. */
  readonly isAdopted: boolean;
  readonly keys: readonly string[];
}

const milliseconds = 60_000;

/**
 * Marks what another program left in a managed store as ours, so that it may be written: the store is the one that the settings
 * name, the marking is all that changes. Needs no server, and none has to be stopped.
 *
 * @throws StrongroomError `not_found`, `key_clash`, `validation_failed`, `not_supported`, and what the store says
 */
export async function adoptStore(
  configuration: LoadedConfiguration,
  { store, scope, keys, isTrial }: AdoptionRequest,
): Promise<readonly AdoptedThing[]> {
  const signal = AbortSignal.timeout(milliseconds);
  const managedScope = scope.kind === 'domain' ? { kind: scope.kind, name: scope.name } : { kind: scope.kind };
  if (store === 'vault') return adoptInVault(configuration, managedScope, keys, isTrial, signal);
  const { adoptInKubernetes } = await import('@strongroom/backends/kubernetes');
  const settings = { ...configuration.settings.managed.kubernetes, scope: managedScope };
  return adoptInKubernetes(settings, { now: Date.now }, keys, { signal, isTrial });
}

async function adoptInVault(
  configuration: LoadedConfiguration,
  scope: AdoptionRequest['scope'],
  keys: readonly string[],
  isTrial: boolean,
  signal: AbortSignal,
): Promise<readonly AdoptedThing[]> {
  const { vault } = configuration.settings.managed;
  if (vault === null)
    throw new StrongroomError('not_supported', {
      detail: 'This server is not configured for a managed store in Vault.',
      hint: 'Set STRONGROOM_VAULT_ADDRESS and STRONGROOM_VAULT_PATH.',
    });
  if (keys.length === 0) throw new StrongroomError('validation_failed', { detail: 'Name the keys to adopt.' });
  const { openManagedVault } = await import('@strongroom/backends/vault-managed');
  const { credentialFile, ...access } = vault;
  const egress = lazyEgress(configuration);
  const backend = openManagedVault(
    { ...access, scope },
    { egress: await egress.open(), credential: readCredential(credentialFile), now: Date.now },
  );
  try {
    const adopted: AdoptedThing[] = [];
    for (const key of keys) {
      const isAdopted = isTrial
        ? await isForeign(key, (options) => backend.listUnmarked(options), signal)
        : await backend.adopt(key, { signal });
      adopted.push({ object: key, isAdopted, keys: [key] });
    }
    return adopted;
  } finally {
    await backend.close();
    await egress.close();
  }
}

async function isForeign(
  key: string,
  list: (options: { signal: AbortSignal; limit: number; cursor?: string }) => Promise<{
    readonly items: readonly { readonly key: string }[];
    readonly nextCursor: string | null;
  }>,
  signal: AbortSignal,
): Promise<boolean> {
  let cursor: string | null = null;
  do {
    const page = await list({ signal, limit: 100, ...(cursor === null ? {} : { cursor }) });
    if (page.items.some((item) => item.key === key)) return true;
    cursor = page.nextCursor;
  } while (cursor !== null);
  return false;
}
