import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { StrongroomError } from '@strongroom/contract';
import { anchorFiles } from '../audit/anchor.ts';
import { publicKeyFile } from '../audit/public-key-file.ts';
import { type BackupManifest, digestFile, manifestName } from './backup-manifest.ts';
import { type DataFiles, dataFiles, syncDirectory } from './data-directory.ts';
import { Thread } from './thread.ts';

/** What the backup thread reads from the copy. */
export type BackupFacts = Pick<BackupManifest, 'installationId' | 'epoch' | 'schemaVersion' | 'kekId' | 'auditHeads'>;

/**
 * Backs up the embedded store into a new directory, while a server runs or not: a consistent, compacted copy of the database,
 * the audit anchor with its public keys, and a manifest. It holds ciphertext and wrapped keys; the key-encryption key is not
 * in it. Everything is flushed and checked before the directory gets its name, so a directory of that name is whole.
 *
 * @param directory the data directory
 * @param target must not exist; its parent must
 * @throws StrongroomError `already_exists`; `state_conflict` when there is no store; `storage_full`, `storage_unavailable`
 */
export async function backupSqlite(directory: string, target: string): Promise<BackupManifest> {
  const files = dataFiles(directory);
  const final = resolve(target);
  if (existsSync(final)) {
    throw new StrongroomError('already_exists', { detail: 'The directory for the backup already exists.' });
  }
  if (!existsSync(files.database)) {
    throw new StrongroomError('state_conflict', { detail: 'There is no store in this data directory.' });
  }
  const partial = join(dirname(final), `.${basename(final)}.partial-${randomBytes(4).toString('hex')}`);
  try {
    await mkdir(partial, { mode: 0o700 });
    // The anchor first: lines of commits made meanwhile are missing from it, and never the other way round.
    const names = await copyAnchor(files, partial);
    const facts = await copyDatabase(files, partial);
    names.push(basename(files.database));
    const manifest: BackupManifest = {
      format: 'strongroom-backup/v1',
      createdAt: new Date().toISOString(),
      ...facts,
      files: await Promise.all(names.map(async (name) => ({ name, ...(await digestFile(join(partial, name))) }))),
    };
    await writeDurably(join(partial, manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
    syncDirectory(partial);
    await rename(partial, final);
    syncDirectory(dirname(final));
    return manifest;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw fileFailure(error);
  }
}

/** Copies the anchor's files and the public keys; a line that is being written is left out. */
async function copyAnchor(files: DataFiles, partial: string): Promise<string[]> {
  const names: string[] = [];
  for (const path of anchorFiles(files.anchor)) {
    const bytes = await readFile(path);
    await writeDurably(join(partial, basename(path)), bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1));
    names.push(basename(path));
  }
  const publicKeys = publicKeyFile(files.anchor);
  if (existsSync(publicKeys)) {
    await writeDurably(join(partial, basename(publicKeys)), await readFile(publicKeys));
    names.push(basename(publicKeys));
  }
  return names;
}

/** On a thread of its own: copying is synchronous and takes as long as the database is large. */
async function copyDatabase(files: DataFiles, partial: string): Promise<BackupFacts> {
  const copy = join(partial, basename(files.database));
  await writeDurably(copy, '');
  const thread = new Thread('backup-thread', null, () => undefined);
  try {
    const facts = (await thread.call('copy', { database: files.database, copy })) as BackupFacts;
    await flush(copy);
    return facts;
  } finally {
    await thread.end();
  }
}

/** A new file of mode 0600, on disk. */
async function writeDurably(path: string, content: string | Uint8Array): Promise<void> {
  await writeFile(path, content, { mode: 0o600, flag: 'wx', flush: true });
}

export async function flush(path: string): Promise<void> {
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Failures of the file system in the words of the store. */
export function fileFailure(error: unknown): unknown {
  if (error instanceof StrongroomError || !(error instanceof Error) || !('code' in error)) return error;
  const isFull = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return new StrongroomError(isFull ? 'storage_full' : 'storage_unavailable', {
    detail: `A file could not be read or written (${String(error.code)}).`,
    cause: error,
  });
}
