import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, type TableSpec } from './table-spec.ts';

const tables: readonly TableSpec[] = [
  {
    name: 'clusters',
    columns: {
      id: 'text',
      name: 'text',
      description: 'text',
      access: 'text',
      source_id: 'text?',
      authorised_by: 'text',
      uid: 'text',
      issuer: 'text',
      audience: 'text',
      revision: 'integer',
      created_at: 'integer',
      created_by: 'text',
      updated_at: 'integer',
      updated_by: 'text',
    },
    primaryKey: ['id'],
    indexes: {
      name: { columns: ['name'], isUnique: true },
      uid: { columns: ['uid'], isUnique: true },
      audience: { columns: ['audience'], isUnique: true },
    },
  },
  {
    name: 'cluster_targets',
    columns: { cluster_id: 'text', namespace: 'text', scope_id: 'text', created_at: 'integer', created_by: 'text' },
    primaryKey: ['cluster_id', 'namespace'],
    isKeyed: true,
    references: { cluster_id: 'clusters', scope_id: 'scopes' },
    indexes: { scope: { columns: ['scope_id', 'cluster_id', 'namespace'] } },
  },
];

/** Kubernetes clusters, and which domain each of their namespaces belongs to. */
export const clusters: Migration = {
  name: 'clusters',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    for (const table of tables) await createTable(db, types, table);
  },
};
