import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, type TableSpec } from './table-spec.ts';

const segments: TableSpec = {
  name: 'audit_segments',
  columns: {
    number: 'integer',
    first_at: 'integer',
    last_at: 'integer',
    document: 'bytes',
    signature: 'bytes',
    key_id: 'text',
  },
  primaryKey: ['number'],
  checks: { number: 'number > 0' },
};

/** Marks of what went from the audit log to an archive. */
export const auditSegments: Migration = {
  name: 'audit-segments',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await createTable(db, types, segments);
  },
};
