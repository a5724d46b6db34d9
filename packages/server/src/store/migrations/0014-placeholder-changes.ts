import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, type TableSpec } from './table-spec.ts';

const changesTable: TableSpec = {
  name: 'placeholder_changes',
  columns: {
    configuration_id: 'text',
    member: 'text',
    name: 'text',
    property: 'text',
    kind: 'text',
    text: 'text?',
    reference: 'text',
    changed_at: 'integer',
    changed_by: 'text',
  },
  primaryKey: ['configuration_id', 'member', 'name'],
  isKeyed: true,
  references: { configuration_id: 'configurations' },
};

/** Fields of configurations that were made references, and what was there before. */
export const placeholderChanges: Migration = {
  name: 'placeholder-changes',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await createTable(db, types, changesTable);
  },
};
