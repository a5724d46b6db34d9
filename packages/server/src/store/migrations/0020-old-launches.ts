import type { Kysely } from 'kysely';
import type { Migration } from './index.ts';
import { createIndexes } from './table-spec.ts';

/** Launches by their end, so that those whose retention is over are found. */
export const oldLaunches: Migration = {
  name: 'old-launches',
  async up(db: Kysely<unknown>): Promise<void> {
    await createIndexes(db, 'launches', {
      over: { columns: ['ended_at', 'id'], where: 'ended_at is not null' },
    });
  },
};
