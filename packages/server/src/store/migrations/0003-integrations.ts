import { type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, oneOf, type TableSpec } from './table-spec.ts';

const who = { created_at: 'integer', created_by: 'text', updated_at: 'integer', updated_by: 'text' } as const;

const tables: readonly TableSpec[] = [
  {
    name: 'profiles',
    columns: {
      id: 'text',
      name: 'text',
      type: 'text',
      description: 'text',
      settings: 'text',
      external_id: 'text',
      revision: 'integer',
      ...who,
    },
    primaryKey: ['id'],
    indexes: {
      name: { columns: ['name'], isUnique: true },
      external_id: { columns: ['external_id'], isUnique: true },
    },
    checks: { type: oneOf('type', 'VAULT', 'AWS', 'GOOGLE', 'AZURE') },
  },
  {
    name: 'profile_bindings',
    columns: { profile_id: 'text', scope_id: 'text', prefix: 'text', created_at: 'integer', created_by: 'text' },
    primaryKey: ['profile_id', 'scope_id'],
    isKeyed: true,
    references: { profile_id: 'profiles', scope_id: 'scopes' },
    indexes: { scope: { columns: ['scope_id', 'profile_id'] } },
  },
  {
    name: 'integrations',
    columns: {
      id: 'text',
      scope_id: 'text',
      name: 'text',
      folded_name: 'text',
      type: 'text',
      description: 'text',
      settings: 'text',
      profile_id: 'text?',
      bundle_id: 'text?',
      is_for_all: 'integer',
      revision: 'integer',
      ...who,
      health: 'text',
      health_code: 'text?',
      health_message: 'text?',
      health_at: 'integer?',
      index_generation: 'integer',
      index_from: 'integer',
      index_keys: 'integer',
      index_is_cut: 'integer',
      indexed_at: 'integer?',
      index_due_at: 'integer',
    },
    primaryKey: ['id'],
    references: { id: 'sources', scope_id: 'scopes', bundle_id: 'bundles', profile_id: 'profiles' },
    indexes: {
      name: { columns: ['scope_id', 'folded_name'], isUnique: true },
      bundle: { columns: ['bundle_id'], where: 'bundle_id is not null' },
      profile: { columns: ['profile_id'], where: 'profile_id is not null' },
      due: { columns: ['index_due_at', 'id'] },
    },
    checks: {
      type: oneOf('type', 'VAULT', 'AWS', 'GOOGLE', 'AZURE'),
      health: oneOf('health', 'unknown', 'healthy', 'unhealthy'),
      flags: 'is_for_all in (0, 1) and index_is_cut in (0, 1)',
    },
  },
  {
    name: 'integration_credentials',
    columns: {
      source_id: 'text',
      name: 'text',
      epoch: 'integer',
      version: 'integer',
      bound_to: 'text',
      envelope: 'bytes',
      term_id: 'text',
      created_at: 'integer',
      created_by: 'text',
    },
    primaryKey: ['source_id', 'name'],
    references: { source_id: 'integrations' },
    indexes: { term: { columns: ['term_id'] } },
  },
  {
    name: 'integration_assignments',
    columns: { source_id: 'text', scope_id: 'text', created_at: 'integer', created_by: 'text' },
    primaryKey: ['source_id', 'scope_id'],
    isKeyed: true,
    references: { source_id: 'integrations', scope_id: 'scopes' },
    indexes: { scope: { columns: ['scope_id', 'source_id'] } },
  },
];

/** Integrations with their sealed credentials, the index of their keys, and profiles of ambient identity. */
export const integrations: Migration = {
  name: 'integrations',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    for (const table of tables) await createTable(db, types, table);
    // With an explicit integer key, as `secret_documents` has one and for the same reason.
    await sql`create table integration_keys (
      document_id ${types.countedKey},
      source_id ${types.text} not null references integrations (id),
      folded_key ${types.text} not null,
      key ${types.text} not null,
      field_names ${types.text},
      generation ${types.integer} not null,
      seen_at ${types.integer} not null
    ) ${types.tableOptions}`.execute(db);
    await sql`create unique index integration_keys_key on integration_keys (source_id, folded_key, key)`.execute(db);
    await sql`create index integration_keys_generation on integration_keys (source_id, generation)`.execute(db);
    for (const statement of types.trigramIndex('integration_keys', 'document_id', 'folded_key'))
      await statement.execute(db);
  },
};
