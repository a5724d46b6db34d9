import { type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createTable } from './table-spec.ts';

/**
 * The text a secret is found by, under a trigram index, and the number of secrets per scope.
 *
 * The documents are a table of their own with an explicit integer key: SQLite's FTS5 refers to rows by that number, and
 * only an explicit one survives VACUUM.
 */
export const secretSearch: Migration = {
  name: 'secret-search',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await sql`create table secret_documents (
      document_id ${types.countedKey},
      secret_id ${types.text} not null references secrets (id),
      scope_id ${types.text} not null,
      text ${types.text} not null
    ) ${types.tableOptions}`.execute(db);
    await sql`create unique index secret_documents_secret on secret_documents (secret_id)`.execute(db);
    for (const statement of types.trigramIndex('secret_documents', 'document_id', 'text')) await statement.execute(db);
    await createTable(db, types, {
      name: 'secret_counts',
      columns: { scope_id: 'text', secrets: 'integer' },
      primaryKey: ['scope_id'],
      isKeyed: true,
      references: { scope_id: 'scopes' },
    });
  },
};
