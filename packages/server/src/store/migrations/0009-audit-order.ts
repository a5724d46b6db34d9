import { type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createIndexes, type IndexSpec } from './table-spec.ts';

const indexes: Readonly<Record<string, IndexSpec>> = {
  time: { columns: ['at', 'chain_id', 'sequence'] },
  scope: { columns: ['scope_id', 'at', 'chain_id', 'sequence'], where: 'scope_id is not null' },
  principal: { columns: ['principal_id', 'at', 'chain_id', 'sequence'], where: 'principal_id is not null' },
  action: { columns: ['action', 'at', 'chain_id', 'sequence'] },
};

/**
 * The indexes of the audit log in the order in which records come. In the other one each record was put before all others,
 * which splits pages in the middle; they are read backwards as well as forwards.
 */
export const auditOrder: Migration = {
  name: 'audit-order',
  async up(db: Kysely<unknown>, _types: ColumnTypes): Promise<void> {
    for (const name of Object.keys(indexes)) await sql`drop index ${sql.id(`audit_records_${name}`)}`.execute(db);
    await createIndexes(db, 'audit_records', indexes);
  },
};
