import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, type TableSpec } from './table-spec.ts';

const consumptionsTable: TableSpec = {
  name: 'consumptions',
  columns: {
    configuration_id: 'text',
    consumed_id: 'text',
    scope_id: 'text',
    authorised_by: 'text',
    authorised_at: 'integer',
  },
  primaryKey: ['configuration_id', 'consumed_id'],
  isKeyed: true,
  references: { configuration_id: 'configurations', consumed_id: 'configurations' },
  indexes: { consumed: { columns: ['consumed_id', 'configuration_id'] } },
};

/** Configurations that use others, what only one of a kind may have, and secrets that belong to a configuration. */
export const consumptions: Migration = {
  name: 'consumptions',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await createTable(db, types, consumptionsTable);
    await db.schema.alterTable('configurations').addColumn('unique_key', types.text).execute();
    await sql`create unique index configurations_unique_key on configurations (scope_id, surface, unique_key)
      where deleted_at is null and unique_key is not null`.execute(db);
    await db.schema.alterTable('secrets').addColumn('owned_by', types.text).execute();
    await sql`create index secrets_owned_by on secrets (owned_by, id) where owned_by is not null`.execute(db);
  },
};
