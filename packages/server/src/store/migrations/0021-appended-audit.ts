import { type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createIndexes, createTable, type IndexSpec, oneOf, type TableSpec } from './table-spec.ts';

const records: TableSpec = {
  name: 'audit_records',
  columns: {
    chain_id: 'text',
    sequence: 'integer',
    at: 'integer',
    record: 'bytes',
    hash: 'bytes',
    mac: 'bytes',
    scope_id: 'text?',
    principal_id: 'text?',
    action: 'text',
    outcome: 'text',
  },
  primaryKey: ['chain_id', 'sequence'],
  checks: { outcome: oneOf('outcome', 'allowed', 'denied', 'failed') },
};

const indexes: Readonly<Record<string, IndexSpec>> = {
  time: { columns: ['at', 'chain_id', 'sequence'] },
  scope: { columns: ['scope_id', 'at'], where: 'scope_id is not null' },
  principal: { columns: ['principal_id', 'at'], where: 'principal_id is not null' },
  action: { columns: ['action', 'at'] },
};

/**
 * Audit records one behind the other. In an index of their primary key, where SQLite had them, there are four whole records to a
 * page at every level of the tree: 300,000 of them lay eight levels deep instead of three, and each commit wrote several again.
 *
 * Indexes of what is filtered by end with the time: records of one millisecond are put in order as they are read, which writes
 * three copies less of a chain's name with every record. Without a filter SQLite would sort the whole log for that.
 */
export const appendedAudit: Migration = {
  name: 'appended-audit',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    if (!types.areKeyedTablesIndexes) return;
    await sql`alter table audit_records rename to audit_records_before`.execute(db);
    for (const name of Object.keys(indexes)) await sql`drop index ${sql.id(`audit_records_${name}`)}`.execute(db);
    await createTable(db, types, records);
    const columns = sql.join(Object.keys(records.columns).map((name) => sql.ref(name)));
    await sql`insert into audit_records (${columns})
      select ${columns} from audit_records_before order by at, chain_id, sequence`.execute(db);
    await sql`drop table audit_records_before`.execute(db);
    await createIndexes(db, records.name, indexes);
  },
};
