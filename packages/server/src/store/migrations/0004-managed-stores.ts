import { type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable, oneOf, type TableSpec } from './table-spec.ts';

const versions: TableSpec = {
  name: 'kept_versions',
  columns: {
    secret_id: 'text',
    epoch: 'integer',
    version: 'integer',
    envelope: 'bytes?',
    term_id: 'text?',
    shape: 'text',
    field_names: 'text?',
    fingerprint: 'bytes',
    fingerprint_term_id: 'text',
    is_comparable: 'integer',
    created_at: 'integer',
    created_by: 'text',
    copied_from: 'integer?',
    backend_version: 'text?',
    intent_id: 'text?',
  },
  primaryKey: ['secret_id', 'epoch', 'version'],
  references: { secret_id: 'secrets' },
  checks: {
    shape: oneOf('shape', 'text', 'binary', 'fields'),
    comparable: 'is_comparable in (0, 1)',
    sealed: '(envelope is null) = (term_id is null)',
  },
};

const carried = Object.keys(versions.columns).filter((name) => !['backend_version', 'intent_id'].includes(name));

const intents: TableSpec = {
  name: 'write_intents',
  columns: {
    id: 'text',
    scope_id: 'text',
    source_id: 'text',
    secret_id: 'text',
    key: 'text',
    folded_key: 'text',
    kind: 'text',
    plan: 'text',
    idempotency: 'text?',
    state: 'text',
    expires_at: 'integer',
    created_at: 'integer',
    ended_at: 'integer?',
  },
  primaryKey: ['id'],
  references: { scope_id: 'scopes', source_id: 'sources' },
  indexes: {
    // One writer of a key at a time.
    key: { columns: ['source_id', 'folded_key'], isUnique: true, where: "state = 'pending'" },
    pending: { columns: ['expires_at', 'id'], where: "state = 'pending'" },
    ended: { columns: ['ended_at', 'id'], where: 'ended_at is not null' },
  },
  checks: {
    kind: oneOf('kind', 'create', 'set', 'purge'),
    state: oneOf('state', 'pending', 'committed', 'abandoned'),
    ended: "(state = 'pending') = (ended_at is null)",
  },
};

/** Values that are kept elsewhere: versions without an envelope, and what is being written there. */
export const managedStores: Migration = {
  name: 'managed-stores',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await sql`alter table secrets add column store_state ${types.text} check (store_state in ('foreign-edit', 'missing'))`.execute(
      db,
    );
    // SQLite can't let a column be null afterwards, so the table is made anew, on both databases in the same way.
    await sql`alter table secret_versions rename to sealed_versions`.execute(db);
    for (const index of ['term', 'fingerprint'])
      await sql`drop index ${sql.id(`secret_versions_${index}`)}`.execute(db);
    await createTable(db, types, versions);
    const columns = sql.join(carried.map((name) => sql.id(name)));
    await sql`insert into kept_versions (${columns}) select ${columns} from sealed_versions`.execute(db);
    await sql`drop table sealed_versions`.execute(db);
    await sql`alter table kept_versions rename to secret_versions`.execute(db);
    await sql`create index secret_versions_term on secret_versions (term_id)`.execute(db);
    await sql`create index secret_versions_fingerprint on secret_versions (fingerprint_term_id, fingerprint) where is_comparable = 1`.execute(
      db,
    );
    await createTable(db, types, intents);
  },
};
