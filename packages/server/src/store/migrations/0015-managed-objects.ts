import type { Kysely } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';

/** What applied a domain, a member, a grant, a bundle or an integration, when a manifest made it. */
export const managedObjects: Migration = {
  name: 'managed-objects',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    for (const table of ['scopes', 'members', 'grants', 'bundles', 'integrations'])
      await db.schema.alterTable(table).addColumn('managed_by', types.text).execute();
  },
};
