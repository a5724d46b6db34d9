import { sql } from 'kysely';
import { type HeldLease, type LeaseToken, requireLease } from '../store/leases.ts';
import type { CommandContext, QueryContext, Store } from '../store/store.ts';

/** What a launch leaves behind, and how much of it was removed. */
export interface Removed {
  readonly launches: number;
  readonly runs: number;
  readonly receipts: number;
}

const lookedAtAtOnce = 1_000;
/** Of one command: it holds up other writes for as long as it takes. */
const launchesAtOnce = 50;
const receiptsAtOnce = 1_000;

/**
 * Removes launches that ended before `before`, with their receipts and runs, the longest ended first, a batch in a transaction
 * of its own: whoever goes on after a kill finds what is left. What stays says {@link isKept}.
 */
export async function removeOldLaunches(
  store: Store,
  { before, lease, onRemoved }: { before: number; lease: HeldLease; onRemoved: (removed: Removed) => void },
): Promise<void> {
  const { name, epoch, signal } = lease;
  let after: OverFilter['after'] = null;
  for (;;) {
    const page: readonly OverRow[] = await store.query('launches.over', { before, after, limit: lookedAtAtOnce });
    for (const ids of batchesOf(page)) {
      if (signal.aborted) return;
      onRemoved(await store.execute('launches.remove', { lease: { name, epoch }, before, ids }));
    }
    const last = page.at(-1);
    if (last === undefined || page.length < lookedAtAtOnce) return;
    after = { endedAt: last.ended_at, id: last.id };
  }
}

function batchesOf(rows: readonly OverRow[]): readonly (readonly string[])[] {
  const batches: string[][] = [];
  let [batch, receipts]: [string[], number] = [[], 0];
  for (const row of rows) {
    if (row.is_kept === 1) continue;
    const isFull = batch.length === launchesAtOnce || receipts + row.receipts > receiptsAtOnce;
    if (batch.length === 0 || isFull) {
      [batch, receipts] = [[], 0];
      batches.push(batch);
    }
    batch.push(row.id);
    receipts += row.receipts;
  }
  return batches;
}

/**
 * Of a configuration that is there, what it was launched with last, and its last run: drift and the pages of runs show them
 * however long ago that was. And a run that has a log still, or something in a cluster.
 */
const isKept = sql<0 | 1>`case when
  exists (select 1 from configurations where configurations.id = launches.configuration_id and configurations.deleted_at is null)
  and (
    launches.id = (select latest.id from launches as latest where latest.configuration_id = launches.configuration_id
      order by latest.created_at desc, latest.id desc limit 1)
    or launches.id = (select latest.id from runs as latest where latest.configuration_id = launches.configuration_id
      order by latest.created_at desc, latest.id desc limit 1)
  )
  or exists (select 1 from runs where runs.id = launches.id and (runs.ended_at is null or runs.log_bytes > 0))
  or exists (select 1 from run_workloads where run_workloads.run_id = launches.id and run_workloads.removed_at is null)
  then 1 else 0 end`;

interface OverFilter {
  readonly before: number;
  /** Where the page before ended. */
  readonly after: { readonly endedAt: number; readonly id: string } | null;
  readonly limit: number;
}

interface OverRow {
  readonly id: string;
  readonly ended_at: number;
  readonly receipts: number;
  readonly is_kept: 0 | 1;
}

/** Launches that ended before, kept or not, the longest ended first. */
export async function findOver({ db }: QueryContext, { before, after, limit }: OverFilter): Promise<OverRow[]> {
  let query = db
    .selectFrom('launches')
    .select([
      'launches.id',
      sql<number>`launches.ended_at`.as('ended_at'),
      sql<number>`(select count(*) from receipts where receipts.launch_id = launches.id)`.as('receipts'),
      isKept.as('is_kept'),
    ])
    .where('launches.ended_at', '<', before);
  if (after !== null)
    query = query.where(sql<boolean>`(launches.ended_at, launches.id) > (${after.endedAt}, ${after.id})`);
  return query.orderBy('launches.ended_at').orderBy('launches.id').limit(limit).execute();
}

/** Those of them that are to go still: a log or a configuration may have come back since. */
export async function remove(
  context: CommandContext,
  { lease, before, ids }: { readonly lease: LeaseToken; readonly before: number; readonly ids: readonly string[] },
): Promise<Removed> {
  await requireLease(context, lease);
  const { db } = context;
  const rows = await db
    .selectFrom('launches')
    .select('launches.id')
    .where('launches.id', 'in', ids)
    .where('launches.ended_at', '<', before)
    .where(isKept, '=', 0)
    .execute();
  if (rows.length === 0) return { launches: 0, runs: 0, receipts: 0 };
  const gone = rows.map(({ id }) => id);
  const receipts = await db.deleteFrom('receipts').where('launch_id', 'in', gone).executeTakeFirst();
  await db.deleteFrom('run_workloads').where('run_id', 'in', gone).execute();
  const runs = await db.deleteFrom('runs').where('id', 'in', gone).executeTakeFirst();
  await db.deleteFrom('launches').where('id', 'in', gone).execute();
  const removed = {
    launches: gone.length,
    runs: Number(runs.numDeletedRows),
    receipts: Number(receipts.numDeletedRows),
  };
  context.audit({
    principal: 'system',
    principalName: 'system',
    action: 'launch.remove',
    outcome: 'allowed',
    because: ['retention-over'],
    detail: removed,
  });
  return removed;
}
