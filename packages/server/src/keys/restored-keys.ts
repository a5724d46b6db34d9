import type { KeyEncryptionKey } from '@strongroom/crypto';
import type { Store } from '../store/store.ts';
import { type AuditKeyMaterial, openKeyring } from './keyring.ts';

/**
 * Proves the key-encryption key against a restored store, starts a new value term in every scope, since the stored counts of
 * uses are of the time of the backup, and gives the audit keys.
 *
 * @throws StrongroomError `key_unavailable`: wrong KEK; nothing was changed
 */
export async function openRestoredKeys(store: Store, kek: KeyEncryptionKey): Promise<AuditKeyMaterial> {
  const keyring = await openKeyring(store, kek);
  try {
    const scopes = await store.db
      .selectFrom('key_terms')
      .select('scope_id')
      .where('purpose', '=', 'value')
      .where('state', '=', 'active')
      .execute();
    for (const { scope_id } of scopes) await keyring.rotateValueTerm(scope_id);
    return await keyring.auditKeys();
  } finally {
    keyring.close();
  }
}
