import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, oneOf, type TableSpec } from './table-spec.ts';

const workloadsTable: TableSpec = {
  name: 'run_workloads',
  columns: {
    run_id: 'text',
    cluster_id: 'text',
    namespace: 'text',
    form: 'text',
    name: 'text',
    filled_at: 'integer?',
    removed_at: 'integer?',
  },
  primaryKey: ['run_id'],
  isKeyed: true,
  references: { run_id: 'runs' },
  indexes: { left: { columns: ['cluster_id', 'namespace'], where: 'removed_at is null' } },
  checks: { form: oneOf('form', 'job', 'pod', 'spark-application') },
};

/** What runs are in Kubernetes clusters. */
export const runWorkloads: Migration = {
  name: 'run-workloads',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await createTable(db, types, workloadsTable);
  },
};
