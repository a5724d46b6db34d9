import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, type TableSpec } from './table-spec.ts';

const syncsTable: TableSpec = {
  name: 'directory_syncs',
  columns: {
    id: 'text',
    started_at: 'integer',
    ended_at: 'integer?',
    outcome: 'text',
    cause: 'text?',
    message: 'text?',
    last_success_at: 'integer?',
    users: 'integer',
    groups: 'integer',
    changed: 'integer',
    conflicts: 'text',
  },
  primaryKey: ['id'],
};

/** Users and groups that come from a directory, and what its last sync came to. */
export const directory: Migration = {
  name: 'directory',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await createTable(db, types, syncsTable);
    await db.schema.alterTable('principals').addColumn('directory_id', types.text).execute();
    await db.schema.alterTable('principals').addColumn('absent_at', types.integer).execute();
    await sql`create unique index principals_directory_id on principals (kind, directory_id)
      where directory_id is not null and deleted_at is null`.execute(db);
  },
};
