import { existsSync } from 'node:fs';
import { link, open, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import { createKekFile, CryptoError, type Kek, loadKekFile } from '@strongroom/crypto';

/** A key in a file, or what stands for it there, before anybody uses it. */
export interface StoredKek {
  readonly id: string;
  /** Once. @throws StrongroomError when what stands for it doesn't give the key back */
  open(): Promise<Kek>;
  /** In place of {@link open}. */
  discard(): void;
}

/** How a key is written in a file. Files are whole or absent, mode 0600; each throws `CryptoError` or `StrongroomError`. */
export interface KekForm {
  /** `null` when there is no file. */
  read(path: string): Promise<StoredKek | null>;
  /** A new random key in a new, durable file. The key of a file that is there, whoever made it. */
  create(path: string): Promise<Kek>;
}

export interface KekFile {
  readonly path: string;
  readonly form: KekForm;
  /** The variable that names the path, for hints. */
  readonly variable: string;
}

/** The key's text itself. */
const textForm: KekForm = {
  read: async (path) => {
    if (!existsSync(path)) return null;
    const kek = await loadKekFile(path, { create: false });
    return { id: kek.id, open: async () => kek, discard: () => kek.destroy() };
  },
  create: (path) => loadKekFile(path, { create: true }),
};

/** A file that has the key itself. */
export function keyFile(path: string): KekFile {
  return { path, form: textForm, variable: 'STRONGROOM_KEK_FILE' };
}

/** Writes a new file that has the key itself. @returns its path. @throws CryptoError also when there is a file */
export async function putKeyFile(path: string, kek: Kek): Promise<string> {
  const bytes = kek.revealKekBytes();
  try {
    await createKekFile(path, bytes);
    return path;
  } finally {
    bytes.fill(0);
  }
}

/**
 * Opens the key-encryption key's file, and finishes a rotation that a crash interrupted: a rotation writes the new key
 * to `<path>.next`, commits, then renames. Whichever of the two files the installation was committed with is the key.
 *
 * @param kekId the installation's; `undefined` when there is none yet, and only then a missing file is created
 * @throws StrongroomError `key_unavailable`, or what the file's form throws; nothing was changed.
 */
export async function openKekFile(file: KekFile, kekId: string | undefined): Promise<Kek> {
  const { path, form, variable } = file;
  return orUnavailable(async () => {
    if (kekId === undefined) return form.create(path);
    const current = await form.read(path);
    if (current?.id === kekId) return current.open();
    const next = await form.read(nextPath(path)).finally(() => current?.discard());
    if (next?.id === kekId) {
      const kek = await next.open();
      await promote(file);
      return kek;
    }
    next?.discard();
    const old = oldPath(path, kekId);
    if (existsSync(old)) {
      throw new StrongroomError('key_unavailable', {
        detail: `The data is under the key-encryption key ${kekId}, which ${old} keeps since a rotation.`,
        hint: `After restoring an older backup point ${variable} at ${old}, or put it in the place of ${path}. Nothing was changed.`,
      });
    }
    if (current !== null) throw notHeld(file, kekId, current.id);
    throw new StrongroomError('key_unavailable', {
      detail: `The key-encryption key file ${path} does not exist.`,
      hint: 'Put the file back, or recover it with strongroom recovery restore. Nothing was changed.',
    });
  });
}

/** Without an installation to ask. @throws StrongroomError as {@link openKekFile} */
export async function readKekFile({ path, form }: KekFile): Promise<Kek> {
  return orUnavailable(async () => {
    const stored = await form.read(path);
    if (stored === null)
      throw new StrongroomError('key_unavailable', { detail: `The key-encryption key file ${path} does not exist.` });
    return stored.open();
  });
}

/**
 * The key an installation was committed with, from the file or from what a rotation keeps beside it. Changes nothing.
 *
 * @throws StrongroomError `key_unavailable`
 */
export async function findKekFile(file: KekFile, kekId: string): Promise<Kek> {
  const { path, form } = file;
  return orUnavailable(async () => {
    let found: string | undefined;
    // The next one first: when a rotation ends meanwhile, it is found at the path.
    for (const candidate of [nextPath(path), path, oldPath(path, kekId)]) {
      const stored = await form.read(candidate);
      if (stored?.id === kekId) return stored.open();
      stored?.discard();
      if (candidate === path) found = stored?.id;
    }
    throw notHeld(file, kekId, found);
  });
}

function notHeld({ path, variable }: KekFile, kekId: string, found: string | undefined): StrongroomError {
  return new StrongroomError('key_unavailable', {
    detail: `The data is under the key-encryption key ${kekId}, and ${path} holds ${found ?? 'none'}. Nothing was changed.`,
    hint: `Point ${variable} at the file of the right key, or recover it with strongroom recovery restore.`,
  });
}

async function orUnavailable<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (cause) {
    if (!(cause instanceof CryptoError)) throw cause;
    throw new StrongroomError('key_unavailable', { detail: `${cause.message}. Nothing was changed.`, cause });
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
export async function promote(
  { path, form }: KekFile,
  reached: (step: PromotionStep) => void = () => undefined,
): Promise<void> {
  const old = await form.read(path);
  if (old !== null) {
    old.discard();
    const kept = oldPath(path, old.id);
    if (!existsSync(kept)) await link(path, kept);
  }
  reached('old-kept');
  await rename(nextPath(path), path);
  await using directory = await open(dirname(path), 'r');
  await directory.sync();
  reached('promoted');
}
