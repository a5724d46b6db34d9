import { StrongroomError } from '@strongroom/contract';
import { type KeyEncryptionKey, loadKekFile, rewrapTerm } from '@strongroom/crypto';
import type { AuditEvent } from '../audit/event.ts';
import type { Store } from '../store/store.ts';
import type { ResealedVersion } from './commands.ts';
import { nextPath, promote } from './kek-file.ts';
import { type Keyring, sealKekCheck, termFromRow } from './keyring.ts';

/** Values sealed anew per commit. */
const resealBatch = 100;
const attempts = 5;

/**
 * Puts every term under another KEK: read, rewrap, one commit. Values are untouched, so the time it takes grows with the
 * number of scopes, not of secrets. Interrupted before the commit it has changed nothing; after it the new KEK is in force.
 */
export async function rotateKek(
  store: Store,
  keyring: Keyring,
  newKek: KeyEncryptionKey,
  audit: AuditEvent,
): Promise<{ readonly terms: number }> {
  const oldKek = keyring.kek;
  if (oldKek.id === newKek.id)
    throw new StrongroomError('state_conflict', { detail: 'This key-encryption key is the current one.' });
  for (let attempt = 1; ; attempt += 1) {
    const rows = await store.db.selectFrom('key_terms').selectAll().where('state', '!=', 'destroyed').execute();
    const terms = await Promise.all(
      rows.map((row) => rewrapTerm(oldKek, newKek, keyring.installationId, termFromRow(row))),
    );
    try {
      await store.execute(
        'keys.replaceKek',
        {
          oldKekId: oldKek.id,
          newKekId: newKek.id,
          kekCheck: await sealKekCheck(newKek, keyring.installationId),
          terms,
        },
        { audit: [audit] },
      );
      keyring.useKek(newKek);
      return { terms: terms.length };
    } catch (error) {
      // A scope got its first key between the reading and the commit: read again.
      if (!(error instanceof StrongroomError) || error.code !== 'version_conflict' || attempt === attempts) throw error;
    }
  }
}

/** {@link rotateKek} for a KEK kept in a file; the recovery kit has to be made again afterwards. */
export async function rotateKekFile(
  store: Store,
  keyring: Keyring,
  path: string,
  audit: AuditEvent,
): Promise<{ readonly terms: number; readonly kekId: string }> {
  const newKek = await loadKekFile(nextPath(path), { create: true });
  const { terms } = await rotateKek(store, keyring, newKek, audit);
  await promote(path);
  return { terms, kekId: newKek.id };
}

/**
 * Seals values that are still under a retired term anew, a batch a commit. Stops after `batches`; whatever is left is
 * found again by the next call, in this process or another, so it resumes after a crash by itself.
 *
 * @returns how many were sealed anew, and whether any is left.
 */
export async function resealRetired(
  store: Store,
  keyring: Keyring,
  options: { readonly batches: number; readonly signal?: AbortSignal },
): Promise<{ readonly resealed: number; readonly isDone: boolean }> {
  let resealed = 0;
  for (let batch = 0; batch < options.batches; batch += 1) {
    if (options.signal?.aborted === true) return { resealed, isDone: false };
    const rows = await store.query('keys.retiredVersions', { limit: resealBatch });
    if (rows.length === 0) return { resealed, isDone: true };
    const versions: ResealedVersion[] = [];
    for (const row of rows) {
      const place = { scopeId: row.scope_id, secretId: row.secret_id, epoch: row.epoch, version: row.version };
      const value = await keyring.open(place, row.envelope);
      try {
        const sealed = await keyring.seal(place, value);
        versions.push({
          secretId: row.secret_id,
          epoch: row.epoch,
          version: row.version,
          oldTermId: row.term_id,
          termId: sealed.termId,
          envelope: sealed.envelope,
        });
      } finally {
        value.destroy();
      }
    }
    const { changed } = await store.execute('keys.resealVersions', { versions });
    resealed += changed;
  }
  return { resealed, isDone: false };
}
