import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, type TableSpec } from './table-spec.ts';

const workloadsTable: TableSpec = {
  name: 'workloads',
  columns: {
    id: 'text',
    principal_id: 'text',
    cluster_id: 'text',
    namespace: 'text',
    service_account: 'text',
    uid: 'text',
    created_at: 'integer',
    created_by: 'text',
  },
  primaryKey: ['id'],
  references: { principal_id: 'principals', cluster_id: 'clusters' },
  indexes: {
    subject: { columns: ['cluster_id', 'namespace', 'service_account', 'uid'], isUnique: true },
    principal: { columns: ['principal_id', 'id'] },
  },
};

/** Pods of Kubernetes that act as a service account. */
export const workloads: Migration = {
  name: 'workloads',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await createTable(db, types, workloadsTable);
  },
};
