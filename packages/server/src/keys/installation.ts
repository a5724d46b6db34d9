import { StrongroomError } from '@strongroom/contract';
import { createSigningKey, createTerm, CryptoError, type KeyEncryptionKey, type KeyTerm } from '@strongroom/crypto';
import { newId } from '../store/ids.ts';
import type { Store } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import { installationScopeId } from './terms.ts';

const kekCheckPlaintext = new TextEncoder().encode('strongroom installation key check');
const termPurposes = ['token', 'cursor', 'idempotency', 'audit-mac'] as const;
/** What every installation has one active term of, from its first transaction on. */
export const installationPurposes = [...termPurposes, 'audit-sign'] as const;

export type InstallationRow = Pick<Tables['installation'], 'id' | 'kek_id' | 'kek_check'>;

export async function readInstallation(store: Store): Promise<InstallationRow | undefined> {
  return store.db.selectFrom('installation').select(['id', 'kek_id', 'kek_check']).executeTakeFirst();
}

/**
 * The very first start: the installation and its terms, in one transaction.
 * @param installationId where the key was bound to it before
 */
export async function createInstallation(
  store: Store,
  kek: KeyEncryptionKey,
  installationId: string = newId('installation'),
): Promise<InstallationRow> {
  const terms: KeyTerm[] = [];
  for (const purpose of termPurposes) {
    const { term, key } = await createTerm(kek, { installationId, scopeId: installationScopeId, purpose, number: 1 });
    key.destroy();
    terms.push(term);
  }
  const signingKey = createSigningKey();
  terms.push(await signingKey.wrap(kek, { installationId, scopeId: installationScopeId, number: 1 }));
  signingKey.destroy();
  await store.execute('keys.createInstallation', {
    id: installationId,
    kekId: kek.id,
    kekCheck: await sealKekCheck(kek, installationId),
    terms,
  });
  // Another process may have been first; its installation is the one.
  const row = await readInstallation(store);
  if (row === undefined)
    throw new StrongroomError('storage_unavailable', { detail: 'The installation could not be created.' });
  return row;
}

/** The constant under the KEK that proves at the next start that the KEK is the right one. */
export async function sealKekCheck(kek: KeyEncryptionKey, installationId: string): Promise<Uint8Array> {
  return kek.wrap(kekCheckPlaintext, new TextEncoder().encode(`strongroom/kek-check/v1/${installationId}`));
}

/** @throws StrongroomError `key_unavailable` */
export async function proveKek(kek: KeyEncryptionKey, installation: InstallationRow): Promise<void> {
  const wrong = (cause?: unknown): StrongroomError =>
    new StrongroomError('key_unavailable', {
      detail: `The key-encryption key ${kek.id} is not the one this installation was made with (${installation.kek_id}).`,
      hint: 'Point STRONGROOM_KEK_FILE at the right key, or recover it with strongroom recovery restore. Nothing was changed.',
      cause,
    });
  if (kek.id !== installation.kek_id) throw wrong();
  try {
    await kek.unwrap(installation.kek_check, new TextEncoder().encode(`strongroom/kek-check/v1/${installation.id}`));
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw wrong(cause);
  }
}
