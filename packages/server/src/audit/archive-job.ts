import type { PeriodicJob } from '../operation/scheduler.ts';
import { archiveJobName, type ArchiveParts, archiveRecords } from './archive.ts';

const hour = 60 * 60_000;
const day = 24 * hour;

/** How long records stay, and where they go then. */
export interface Retention {
  readonly directory: string;
  readonly days: number;
}

/** Archives what is older than the retention, about a day's records at a time. */
export function archiveJob(parts: ArchiveParts, { directory, days }: Retention): PeriodicJob {
  return {
    name: archiveJobName,
    everyMilliseconds: hour,
    run: async (lease) => {
      const before = Date.now() - days * day;
      const oldest = await parts.store.db
        .selectFrom('audit_checkpoints')
        .select('at')
        .orderBy('at')
        .limit(1)
        .executeTakeFirst();
      // Not a small segment every hour.
      if (oldest === undefined || oldest.at >= before - day) return;
      await archiveRecords(parts, { directory, before, lease, principalName: 'system' });
    },
  };
}
