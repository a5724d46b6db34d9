import { StrongroomError } from '@strongroom/contract';
import type { Kek } from '@strongroom/crypto';
import type { KekSettings, VaultKekLocation } from '../config/kek-settings.ts';
import type { LoadedConfiguration } from '../config/load.ts';
import { lazyEgress } from '../integrations/lazy-egress.ts';
import { readCredential } from '../managed-stores/open-managed-store.ts';
import { readInstallation } from './installation.ts';
import { putKeyFile } from './kek-file.ts';
import type { KekSource } from './kek-source.ts';
import { orDestroyed, rotateKek } from './rotation.ts';

/** For reading the key, with signing in. */
const readMilliseconds = 20_000;

/** Where a rotation finds the new key: whoever may write there puts it in, and moves it afterwards. */
function nextField(field: string): string {
  return `${field}_next`;
}

/**
 * A field of a KV version 2 secret, which is only read: a key that a recovery gives back goes into a file, to be taken to Vault
 * from there.
 */
export function vaultKekSource(
  configuration: LoadedConfiguration,
  { vault: location, file }: Extract<KekSettings, { readonly kind: 'vault' }>,
): KekSource {
  const { path, field } = location;
  const find = (kekId: string | undefined) => findInVault(configuration, location, kekId);
  return {
    kind: 'vault',
    place: `Vault, ${path}, field ${field}`,
    makesKey: () => false,
    open: async (store) => ({ kek: await find((await readInstallation(store))?.kek_id) }),
    read: () => readField(configuration, location, field),
    find,
    rotate: async (store, keyring, audit) => {
      const next = await readField(configuration, location, nextField(field));
      await orDestroyed(next, () => rotateKek(store, keyring, next, audit));
    },
    put: (kek) => putKeyFile(file, kek),
  };
}

/** @throws StrongroomError `key_unavailable` when the field isn't there or holds no key; what reading Vault throws */
async function readField(
  configuration: LoadedConfiguration,
  { path, credentialFile, ...access }: VaultKekLocation,
  field: string,
): Promise<Kek> {
  const { readVaultKek } = await import('@strongroom/backends/vault');
  const egress = lazyEgress(configuration);
  try {
    const parts = { egress: await egress.open(), credential: readCredential(credentialFile), now: Date.now };
    return await readVaultKek({ ...access, path, field }, parts, AbortSignal.timeout(readMilliseconds));
  } finally {
    await egress.close();
  }
}

/** A rotation that was committed may not have been followed in Vault yet: then the new key is in the other field. */
async function findInVault(
  configuration: LoadedConfiguration,
  location: VaultKekLocation,
  kekId: string | undefined,
): Promise<Kek> {
  const current = await readField(configuration, location, location.field);
  if (kekId === undefined || current.id === kekId) return current;
  const next = await orDestroyed(current, () =>
    readField(configuration, location, nextField(location.field)).catch((error: unknown) => {
      if (error instanceof StrongroomError && error.code === 'key_unavailable') return null;
      throw error;
    }),
  );
  if (next?.id === kekId) {
    current.destroy();
    return next;
  }
  const found = current.id;
  for (const kek of [current, next]) kek?.destroy();
  throw new StrongroomError('key_unavailable', {
    detail: `The key-encryption key in Vault is ${found}; this installation’s is ${kekId}. Nothing was changed.`,
    hint: `Put the right key into the field ${location.field} (older versions of the secret may have it), or recover it with strongroom recovery restore.`,
  });
}
