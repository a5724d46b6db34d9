import { StrongroomError } from '@strongroom/contract';
import { CryptoError, type Kek, type KeyEncryptionKey, rewrapTerm } from '@strongroom/crypto';
import type { AuditEvent } from '../audit/event.ts';
import type { Store, Writer } from '../store/store.ts';
import { sealKekCheck } from './installation.ts';
import { type KekFile, nextPath, promote, type PromotionStep } from './kek-file.ts';
import type { Keyring } from './keyring.ts';
import { orUnavailable, termFromRow } from './terms.ts';

const attempts = 5;

/** Where the terms are read, and what commits the rotation. */
export type RotatedStore = Pick<Store, 'db'> & Writer;

/**
 * Puts every term under another KEK: read, rewrap, one commit. Values are untouched, so the time it takes grows with the
 * number of scopes, not of secrets. Interrupted before the commit it has changed nothing; after it the new KEK is in force.
 *
 * @throws StrongroomError `state_conflict` for the KEK in force, or while another rotation runs; `version_conflict` when
 * another process rotated meanwhile; `key_unavailable` for a term that doesn't open. Nothing was changed.
 */
export async function rotateKek(
  store: RotatedStore,
  keyring: Keyring,
  newKek: KeyEncryptionKey,
  audit: AuditEvent,
): Promise<{ readonly terms: number }> {
  return keyring.replacingKek(async (useKek) => {
    const rotated = await replaceKek(store, keyring, newKek, audit);
    useKek(newKek);
    return rotated;
  });
}

async function replaceKek(
  store: RotatedStore,
  keyring: Keyring,
  newKek: KeyEncryptionKey,
  audit: AuditEvent,
): Promise<{ readonly terms: number }> {
  const { kek: oldKek, installationId } = keyring;
  if (oldKek.id === newKek.id)
    throw new StrongroomError('state_conflict', { detail: 'This key-encryption key is the current one.' });
  for (let attempt = 1; ; attempt += 1) {
    const rows = await store.db.selectFrom('key_terms').selectAll().where('state', '!=', 'destroyed').execute();
    if (rows.some((row) => row.kek_id !== oldKek.id)) {
      throw new StrongroomError('version_conflict', {
        detail: 'Another process rotated the key-encryption key.',
        hint: 'Restart this server with the new key-encryption key.',
      });
    }
    const terms = await Promise.all(
      rows.map((row) => orUnavailable(row, () => rewrapTerm(oldKek, newKek, installationId, termFromRow(row)))),
    );
    const kekCheck = await sealKekCheck(newKek, installationId);
    try {
      const args = { oldKekId: oldKek.id, newKekId: newKek.id, kekCheck, terms };
      await store.execute('keys.replaceKek', args, { audit: [audit] });
      return { terms: terms.length };
    } catch (error) {
      // A scope got its first key between the reading and the commit: read again.
      if (!(error instanceof StrongroomError) || error.code !== 'version_conflict' || attempt === attempts) throw error;
    }
  }
}

/** What is on disk when a rotation of the key file has come so far. */
export type RotationStep = 'next-written' | 'committed' | PromotionStep;

/**
 * {@link rotateKek} for a KEK kept in a file; the recovery kit has to be made again afterwards. An interruption anywhere
 * leaves the old key or the new one in force, and `openKekFile` finds it.
 *
 * @param reached told of each step once it is durable, for drills that stop there
 * @throws StrongroomError as `rotateKek`; `key_unavailable` when the new file can't be written; what its form throws.
 * Nothing was changed.
 */
export async function rotateKekFile(
  store: RotatedStore,
  keyring: Keyring,
  file: KekFile,
  audit: AuditEvent,
  reached: (step: RotationStep) => void = () => undefined,
): Promise<{ readonly terms: number; readonly kekId: string }> {
  return keyring.replacingKek(async (useKek) => {
    const newKek = await nextKek(file);
    const { terms } = await orDestroyed(newKek, () => {
      reached('next-written');
      return replaceKek(store, keyring, newKek, audit);
    });
    useKek(newKek);
    reached('committed');
    await promote(file, reached).catch((cause: unknown) => {
      throw notPromoted(file.path, cause);
    });
    return { terms, kekId: newKek.id };
  });
}

/** A key that did not come into force is not left in memory: it is where it was read from. */
export async function orDestroyed<Result>(kek: Kek, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    kek.destroy();
    throw error;
  }
}

/** Committed all the same: the next start puts the file in its place. */
function notPromoted(path: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || !('syscall' in cause)) return cause;
  return new StrongroomError('storage_unavailable', {
    detail: `The key-encryption key was rotated, but its file could not be put in its place; ${nextPath(path)} holds it.`,
    hint: `Keep ${nextPath(path)}, make its directory writable and restart the server.`,
    cause,
  });
}

async function nextKek({ path, form }: KekFile): Promise<Kek> {
  try {
    return await form.create(nextPath(path));
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new StrongroomError('key_unavailable', {
      detail: `${cause.message}. Nothing was changed.`,
      hint: 'A key file is rotated in its own directory, which must be writable. Where something else mounts the file, that rotates it.',
      cause,
    });
  }
}
