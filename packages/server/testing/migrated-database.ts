import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dataFiles, prepareDataDirectory } from '../src/store/data-directory.ts';
import { migrateSqlite } from '../src/store/sqlite-migrate.ts';

let empty: Promise<Uint8Array> | undefined;

/**
 * Puts an empty database of the newest schema into a data directory, as the store's first start leaves it: making the tables
 * takes a fifth of the time a test server needs, and the same tables are made each time. Tests of migrations and the
 * processes that tests start go without it.
 */
export async function putMigratedDatabase(directory: string): Promise<void> {
  empty ??= makeEmptyDatabase();
  const bytes = await empty;
  const files = dataFiles(directory);
  prepareDataDirectory(files);
  writeFileSync(files.database, bytes);
}

async function makeEmptyDatabase(): Promise<Uint8Array> {
  const directory = mkdtempSync(join(tmpdir(), 'strongroom-test-'));
  try {
    const files = dataFiles(directory);
    prepareDataDirectory(files);
    await migrateSqlite(files);
    return readFileSync(files.database);
  } finally {
    rmSync(directory, { recursive: true });
  }
}
