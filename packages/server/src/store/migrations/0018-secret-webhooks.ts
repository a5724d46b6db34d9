import { type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';

/** Addresses of webhooks that are secrets. */
export const secretWebhooks: Migration = {
  name: 'secret-webhooks',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    for (const column of ['url_reference', 'url_source_id', 'url_key'])
      await db.schema.alterTable('notice_settings').addColumn(column, types.text).execute();
    await sql`create index notice_settings_address on notice_settings (url_source_id, url_key)
      where url_source_id is not null`.execute(db);
  },
};
