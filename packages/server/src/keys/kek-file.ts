import { existsSync } from 'node:fs';
import { link, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import { CryptoError, type Kek, loadKekFile } from '@strongroom/crypto';
import type { Store } from '../store/store.ts';

/**
 * Opens the key-encryption key's file, and finishes a rotation that a crash interrupted: a rotation writes the new key
 * to `<path>.next`, commits, then renames. Whichever of the two files the installation was committed with is the key.
 *
 * A missing file is created only when there is no installation yet.
 *
 * @throws StrongroomError `key_unavailable`; nothing was changed.
 */
export async function openKekFile(store: Store, path: string): Promise<Kek> {
  const installation = await store.db.selectFrom('installation').select('kek_id').executeTakeFirst();
  try {
    if (installation === undefined) return await loadKekFile(path, { create: true });
    const current = existsSync(path) ? await loadKekFile(path, { create: false }) : undefined;
    if (current?.id === installation.kek_id) return current;
    const next = existsSync(nextPath(path)) ? await loadKekFile(nextPath(path), { create: false }) : undefined;
    if (next?.id === installation.kek_id) {
      await promote(path);
      return next;
    }
    if (current !== undefined) return current; // the keyring says which key it expected
    throw new StrongroomError('key_unavailable', {
      detail: `The key-encryption key file ${path} does not exist.`,
      hint: 'Put the file back, or recover it with strongroom recovery restore. Nothing was changed.',
    });
  } catch (cause) {
    if (cause instanceof CryptoError)
      throw new StrongroomError('key_unavailable', { detail: `${cause.message}. Nothing was changed.`, cause });
    throw cause;
  }
}

/** Where a rotation keeps the new key until it is committed. */
export function nextPath(path: string): string {
  return `${path}.next`;
}

/**
 * The new key takes the place of the old one, which stays beside it as `<path>.<id>.old`: backups made before the
 * rotation open with it alone.
 */
export async function promote(path: string): Promise<void> {
  if (existsSync(path)) {
    const old = await loadKekFile(path, { create: false });
    const kept = `${path}.${old.id.slice(0, 8)}.old`;
    old.destroy();
    if (!existsSync(kept)) await link(path, kept);
  }
  await rename(nextPath(path), path);
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
}
