import { closeSync, fsyncSync, openSync, rmSync } from 'node:fs';
import type { Kysely } from 'kysely';
import { type DataFiles, syncDirectory } from './data-directory.ts';
import { migrate, readSchemaVersion } from './migrate.ts';
import { type Migration, migrations } from './migrations/index.ts';
import { SqliteConnection, sqliteStorageFailure } from './sqlite-connection.ts';

/**
 * Migrates the database file. One that already has a schema is copied beside itself first, as `strongroom.db.schema-N`.
 *
 * @throws StrongroomError `state_conflict` for a newer schema; `storage_full` and `storage_unavailable`; the old schema stays
 */
export async function migrateSqlite(files: DataFiles, known: readonly Migration[] = migrations): Promise<void> {
  const connection = new SqliteConnection(files.database, 'write');
  try {
    const db = connection.db as unknown as Kysely<unknown>;
    const version = await readSchemaVersion(db, known);
    if (version === known.length) return;
    if (version > 0) copyBefore(connection, `${files.database}.schema-${version}`, files.directory);
    connection.database.exec('begin immediate');
    await migrate(db, 'sqlite', Date.now(), known);
    connection.database.exec('commit');
  } catch (error) {
    throw sqliteStorageFailure(error) ?? error;
  } finally {
    // Closing rolls back a transaction that is still open.
    connection.close();
  }
}

function copyBefore(connection: SqliteConnection, copy: string, directory: string): void {
  // One left by a migration that failed is of the same schema and older.
  rmSync(copy, { force: true });
  // For its owner alone, whatever the process's umask is: SQLite fills the empty file that is there.
  closeSync(openSync(copy, 'wx', 0o600));
  connection.database.prepare('vacuum into ?').run(copy);
  const descriptor = openSync(copy, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  syncDirectory(directory);
}
