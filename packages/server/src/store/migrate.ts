import { StrongroomError } from '@strongroom/contract';
import { type Kysely, sql } from 'kysely';
import { columnTypes } from './migrations/column-types.ts';
import { type Migration, migrations } from './migrations/index.ts';

/** The schema this program writes. */
export const schemaVersion = migrations.length;

interface MigrationTables {
  schema_migrations: { number: number; name: string; applied_at: number };
}

/**
 * The version a database has; 0 before its first migration.
 *
 * @throws StrongroomError `state_conflict` when it is newer than this program, or was made by another one
 */
export async function readSchemaVersion(
  db: Kysely<unknown>,
  known: readonly Migration[] = migrations,
): Promise<number> {
  const tables = await db.introspection.getTables();
  if (!tables.some((table) => table.name === 'schema_migrations')) return 0;
  const rows = await (db as Kysely<MigrationTables>)
    .selectFrom('schema_migrations')
    .select(['number', 'name'])
    .orderBy('number')
    .execute();
  if (rows.length > known.length) {
    throw new StrongroomError('state_conflict', {
      detail: `The database has schema version ${rows.length}; this program knows versions up to ${known.length}.`,
      hint: 'Start the release that wrote this database, or a newer one; or restore a backup made by this release.',
    });
  }
  for (const [index, row] of rows.entries()) {
    if (row.number === index + 1 && row.name === known[index]?.name) continue;
    throw new StrongroomError('state_conflict', {
      detail: `Migration ${row.number} of the database is "${row.name}", which this program does not know.`,
      hint: 'Start the release that wrote this database.',
    });
  }
  return rows.length;
}

/**
 * Brings the schema up to date. Runs inside the transaction that `db` has open, which also holds the lock against other
 * processes: DDL is transactional on both databases, so a crash leaves the old schema.
 */
export async function migrate(
  db: Kysely<unknown>,
  dialect: 'sqlite' | 'postgres',
  now: number,
  known: readonly Migration[] = migrations,
): Promise<void> {
  const types = columnTypes[dialect];
  await db.schema
    .createTable('schema_migrations')
    .ifNotExists()
    .addColumn('number', types.integer, (column) => column.notNull().primaryKey())
    .addColumn('name', types.text, (column) => column.notNull())
    .addColumn('applied_at', types.integer, (column) => column.notNull())
    .modifyEnd(types.tableOptions)
    .execute();
  const version = await readSchemaVersion(db, known);
  for (const [index, migration] of known.entries()) {
    if (index < version) continue;
    await migration.up(db, types, now);
    await sql`insert into schema_migrations (number, name, applied_at)
      values (${index + 1}, ${migration.name}, ${now})`.execute(db);
  }
}
