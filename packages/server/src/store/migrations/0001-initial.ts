import { type Kysely, sql } from 'kysely';
import { accessTables } from './0001-access.ts';
import { catalogueTables } from './0001-catalogue.ts';
import { launchTables } from './0001-launches.ts';
import { systemTables } from './0001-system.ts';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable } from './table-spec.ts';

/** All tables, and the two scopes that always exist with their managed sources. */
export const initial: Migration = {
  name: 'initial',
  async up(db: Kysely<unknown>, types: ColumnTypes, now: number): Promise<void> {
    for (const table of [...systemTables, ...accessTables, ...catalogueTables, ...launchTables]) {
      await createTable(db, types, table);
    }
    // Exactly one installation, also when two replicas start at once.
    await sql`create unique index installation_single on installation ((id is not null))`.execute(db);
    for (const kind of ['admin', 'global']) {
      const name = kind === 'admin' ? 'Admin' : 'Global';
      await sql`insert into scopes
        (id, kind, name, display_name, description, revision, created_at, created_by, updated_at, deleted_at)
        values (${`dom_${kind}`}, ${kind}, ${kind}, ${name}, '', 1, ${now}, 'system', ${now}, null)`.execute(db);
      await sql`insert into sources (id, scope_id, name, type, created_at)
        values (${`src_${kind}`}, ${`dom_${kind}`}, 'managed', 'DATABASE', ${now})`.execute(db);
    }
  },
};
