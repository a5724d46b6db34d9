import { type Kysely, sql } from 'kysely';
import type { ColumnTypes } from './column-types.ts';
import type { Migration } from './index.ts';
import { createIndexes } from './table-spec.ts';

/**
 * Which receipts are of launches that are not over, so that what they hold is found from the secrets that changed, whatever
 * else runs or ever ran.
 */
export const heldReceipts: Migration = {
  name: 'held-receipts',
  async up(db: Kysely<unknown>, types: ColumnTypes): Promise<void> {
    await sql`alter table receipts add column held ${types.integer} not null default 0 check (held in (0, 1, 2))`.execute(
      db,
    );
    await sql`update receipts set held =
      case when secret_id is null or exists (select 1 from secrets where secrets.id = receipts.secret_id) then 1 else 2 end
      where delivered_at is not null and version is not null
      and exists (select 1 from launches where launches.id = receipts.launch_id and launches.ended_at is null)`.execute(
      db,
    );
    await sql`drop index receipts_target`.execute(db);
    await createIndexes(db, 'receipts', {
      held: { columns: ['secret_id', 'version', 'launch_id'], where: 'held = 1 and secret_id is not null' },
      target: { columns: ['source_id', 'target_key', 'version', 'launch_id'], where: 'held = 1 and secret_id is null' },
      gone: { columns: ['scope_id', 'launch_id'], where: 'held = 2' },
    });
    // A heartbeat, which every delivery is, moves no entry of it.
    await sql`drop index launches_live`.execute(db);
    await createIndexes(db, 'launches', {
      open: { columns: ['scope_id', 'created_at', 'id'], where: 'ended_at is null' },
    });
    await createIndexes(db, 'secrets', { updated: { columns: ['scope_id', 'updated_at'] } });
  },
};
