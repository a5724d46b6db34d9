import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, type TableSpec } from './table-spec.ts';

const observed: TableSpec = {
  name: 'source_versions',
  columns: {
    source_id: 'text',
    key: 'text',
    version: 'text?',
    is_absent: 'integer',
    observed_at: 'integer?',
    failure: 'text?',
    asked_at: 'integer',
  },
  primaryKey: ['source_id', 'key'],
  isKeyed: true,
  references: { source_id: 'integrations' },
  checks: { absent: 'is_absent in (0, 1)' },
};

/** What backends of integrations had when they were last asked for the keys that running workloads hold. */
export const sourceVersions: Migration = {
  name: 'source-versions',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await createTable(db, types, observed);
  },
};
