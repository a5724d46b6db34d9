import { type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, oneOf, type TableSpec } from './table-spec.ts';

const outside: TableSpec = {
  name: 'outside_credentials',
  columns: {
    entry: 'text',
    scope_id: 'text',
    source_id: 'text',
    name: 'text',
    epoch: 'integer',
    version: 'integer',
    bound_to: 'text',
    state: 'text',
    changed_at: 'integer',
    created_by: 'text',
  },
  primaryKey: ['entry'],
  references: { scope_id: 'scopes' },
  indexes: {
    current: { columns: ['source_id', 'name'], isUnique: true, where: "state = 'current'" },
    swept: { columns: ['changed_at'], where: "state <> 'current'" },
  },
  checks: { state: oneOf('state', 'pending', 'current', 'gone') },
};

/** Entries that another program left in a managed store, and credentials of integrations that are kept in Kubernetes. */
export const foundEntries: Migration = {
  name: 'found-entries',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await sql`alter table secrets add column is_unmarked ${types.integer} not null default 0 check (is_unmarked in (0, 1))`.execute(
      db,
    );
    await sql`create index secrets_unmarked on secrets (source_id, id) where is_unmarked = 1`.execute(db);
    await createTable(db, types, outside);
  },
};
