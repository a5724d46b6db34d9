import { StrongroomError } from '@strongroom/contract';
import { CryptoError, type Kek, loadKekFile } from '@strongroom/crypto';
import type { LoadedConfiguration } from '../config/load.ts';
import type { VaultKekLocation } from '../config/managed-settings.ts';
import { lazyEgress } from '../integrations/lazy-egress.ts';
import { readCredential } from '../managed-stores/open-managed-store.ts';
import type { Store } from '../store/store.ts';
import { findKekFile, openKekFile } from './kek-file.ts';

/** For reading the key from Vault, with signing in. */
const readMilliseconds = 20_000;

/** In Vault, where a rotation finds the new key: whoever may write there puts it in, and moves it afterwards. */
export function nextField(field: string): string {
  return `${field}_next`;
}

/**
 * The key-encryption key that the installation was committed with, from the file or from Vault. A new installation takes the
 * one that is there; a file is made for it, in Vault nothing is ever written.
 *
 * @throws StrongroomError `key_unavailable` when it isn't there, or another one is; what reading Vault throws. Nothing was
 * changed.
 */
export async function openConfiguredKek(configuration: LoadedConfiguration, store: Store): Promise<Kek> {
  const { kek } = configuration.settings;
  if (kek.vault === null) return openKekFile(store, kek.file);
  const installation = await store.db.selectFrom('installation').select('kek_id').executeTakeFirst();
  return findInVault(configuration, kek.vault, installation?.kek_id);
}

/**
 * The same without a store to ask: for a restore, and for the recovery kit.
 * @throws StrongroomError as {@link openConfiguredKek}
 */
export async function readConfiguredKek(configuration: LoadedConfiguration): Promise<Kek> {
  const { kek } = configuration.settings;
  if (kek.vault !== null) return readFromVault(configuration, kek.vault, kek.vault.field);
  try {
    return await loadKekFile(kek.file, { create: false });
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new StrongroomError('key_unavailable', { detail: `${cause.message}.`, cause });
  }
}

/**
 * The key with this id, also where a rotation that is under way, or a past one, has left it. Changes nothing.
 * @throws StrongroomError as {@link openConfiguredKek}
 */
export async function findConfiguredKek(configuration: LoadedConfiguration, kekId: string): Promise<Kek> {
  const { kek } = configuration.settings;
  return kek.vault === null ? findKekFile(kek.file, kekId) : findInVault(configuration, kek.vault, kekId);
}

/** @throws StrongroomError `key_unavailable` when the field isn't there or holds no key; what reading Vault throws */
export async function readFromVault(
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
  const current = await readFromVault(configuration, location, location.field);
  if (kekId === undefined || current.id === kekId) return current;
  const next = await readFromVault(configuration, location, nextField(location.field)).catch((error: unknown) => {
    if (error instanceof StrongroomError && error.code === 'key_unavailable') return null;
    throw error;
  });
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
