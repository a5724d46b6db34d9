import { type Kysely, sql } from 'kysely';
import type { Migration } from './index.ts';
import { createIndexes } from './table-spec.ts';

/**
 * What changed in a scope since, with all that drift asks of it. SQLite guesses that a quarter of a scope changed, and where one
 * domain has most of the secrets it reads the table from end to end rather than an index that leads back to it.
 */
export const changedSecrets: Migration = {
  name: 'changed-secrets',
  async up(db: Kysely<unknown>): Promise<void> {
    await sql`drop index secrets_updated`.execute(db);
    await createIndexes(db, 'secrets', {
      updated: { columns: ['scope_id', 'updated_at', 'id', 'deleted_at', 'current_epoch', 'current_version'] },
    });
  },
};
