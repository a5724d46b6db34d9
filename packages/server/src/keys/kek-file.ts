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
    const old = oldPath(path, installation.kek_id);
    if (existsSync(old)) {
      throw new StrongroomError('key_unavailable', {
        detail: `The data is under the key-encryption key ${installation.kek_id}, which ${old} keeps since a rotation.`,
        hint: `After restoring an older backup point STRONGROOM_KEK_FILE at ${old}, or put it in the place of ${path}. Nothing was changed.`,
      });
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

/**
 * The key an installation was committed with, from the file or from what a rotation keeps beside it. Changes nothing.
 *
 * @throws StrongroomError `key_unavailable`
 */
export async function findKekFile(path: string, kekId: string): Promise<Kek> {
  // The next one first: when a rotation ends meanwhile, it is found at the path.
  for (const candidate of [nextPath(path), path, oldPath(path, kekId)]) {
    const kek = await loadIfThere(candidate);
    if (kek?.id === kekId) return kek;
    kek?.destroy();
  }
  throw new StrongroomError('key_unavailable', {
    detail: `The data is under the key-encryption key ${kekId}, which ${path} does not hold.`,
    hint: 'STRONGROOM_KEK_FILE names the file the server uses.',
  });
}

async function loadIfThere(path: string): Promise<Kek | undefined> {
  if (!existsSync(path)) return undefined;
  try {
    return await loadKekFile(path, { create: false });
  } catch (cause) {
    if (cause instanceof CryptoError) throw new StrongroomError('key_unavailable', { detail: cause.message, cause });
    throw cause;
  }
}

/** Where a rotation keeps the new key until it is committed. */
export function nextPath(path: string): string {
  return `${path}.next`;
}

/** Where a rotation leaves the key it replaced. */
function oldPath(path: string, kekId: string): string {
  return `${path}.${kekId.slice(0, 8)}.old`;
}

export type PromotionStep = 'old-kept' | 'promoted';

/**
 * The new key takes the place of the old one, which stays beside it as `<path>.<id>.old`: backups made before the
 * rotation open with it alone.
 */
export async function promote(path: string, reached: (step: PromotionStep) => void = () => undefined): Promise<void> {
  if (existsSync(path)) {
    const old = await loadKekFile(path, { create: false });
    const kept = oldPath(path, old.id);
    old.destroy();
    if (!existsSync(kept)) await link(path, kept);
  }
  reached('old-kept');
  await rename(nextPath(path), path);
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
  reached('promoted');
}
