import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { anchorFiles } from '../audit/anchor.ts';
import { publicKeyFile } from '../audit/public-key-file.ts';
import { type DataFiles, syncDirectory } from './data-directory.ts';

/** Where a restore is prepared; worthless until it is renamed to `restored`. */
export const preparing = 'restoring';
/** In `restored`: the name of the directory that takes the old files. */
const oldName = 'replaces';
/** In `restored`: every old file is out of the way. */
const cleared = 'cleared';

/** Files of the store that are in the data directory, by name. */
export function storeFilesIn(files: DataFiles): readonly string[] {
  if (!existsSync(files.directory)) return [];
  const { database } = files;
  const own = [database, `${database}-wal`, `${database}-shm`, publicKeyFile(files.anchor)];
  return [...own.filter((path) => existsSync(path)), ...anchorFiles(files.anchor)].map((path) => basename(path));
}

/**
 * The one step that makes a prepared restore the store: a rename. What is left to do afterwards is done by `finishRestore`,
 * now or at the next start.
 */
export function publishRestore(files: DataFiles): void {
  const stage = join(files.directory, preparing);
  const old = `replaced-${new Date().toISOString().replaceAll(/[-:.]/g, '')}`;
  writeFileSync(join(stage, oldName), old, { flag: 'wx', flush: true });
  syncDirectory(stage);
  renameSync(stage, files.restored);
  syncDirectory(files.directory);
}

/**
 * Moves the old files aside and the restored ones in, from wherever an interruption left it. Called under the directory's
 * lock, before anything opens the database.
 */
export function finishRestore(files: DataFiles): void {
  const { directory, restored } = files;
  rmSync(join(directory, preparing), { recursive: true, force: true });
  if (!existsSync(restored)) return;
  if (!existsSync(join(restored, cleared))) {
    const old = join(directory, readFileSync(join(restored, oldName), 'utf8'));
    for (const name of storeFilesIn(files)) {
      mkdirSync(old, { recursive: true, mode: 0o700 });
      renameSync(join(directory, name), join(old, name));
    }
    if (existsSync(old)) syncDirectory(old);
    syncDirectory(directory);
    writeFileSync(join(restored, cleared), '', { flush: true });
    syncDirectory(restored);
  }
  for (const name of readdirSync(restored)) {
    if (name !== cleared && name !== oldName) renameSync(join(restored, name), join(directory, name));
  }
  syncDirectory(directory);
  rmSync(restored, { recursive: true });
  syncDirectory(directory);
}
