import type { CommandContext, QueryContext, Store } from '../store/store.ts';
import { endLaunch } from './receipts.ts';

/** Milliseconds after its last heartbeat from which a workload is taken for gone. */
const silenceMilliseconds = 30 * 24 * 60 * 60_000;
const launchesAtOnce = 200;

/**
 * Ends launches of workloads that nothing was heard of for 30 days, and those that nobody came for: what was killed, or never
 * said that it ended, would stand on the worklist of every later rotation.
 */
export async function endSilentLaunches(store: Store, now: number, signal: AbortSignal): Promise<void> {
  const before = now - silenceMilliseconds;
  for (let ids: readonly string[] = []; !signal.aborted;) {
    ids = await store.query('launches.silent', { before, limit: launchesAtOnce });
    if (ids.length > 0) await store.execute('launches.endSilent', { before, ids });
    if (ids.length < launchesAtOnce) return;
  }
}

function silent(db: QueryContext['db'], before: number) {
  return db
    .selectFrom('launches')
    .where('ended_at', 'is', null)
    .where('kind', '=', 'workload')
    .where((row) => row.fn.coalesce('heartbeat_until', 'expires_at'), '<', before);
}

/** @returns ids, the oldest first */
export async function findSilent(
  { db }: QueryContext,
  { before, limit }: { readonly before: number; readonly limit: number },
): Promise<readonly string[]> {
  const rows = await silent(db, before).select('id').orderBy('created_at').orderBy('id').limit(limit).execute();
  return rows.map(({ id }) => id);
}

/** Those of them that are silent still: a heartbeat may have come since. */
export async function endSilent(
  context: CommandContext,
  { before, ids }: { readonly before: number; readonly ids: readonly string[] },
): Promise<void> {
  const launches = await silent(context.db, before)
    .select(['id', 'scope_id', 'bound_at'])
    .where('id', 'in', ids)
    .execute();
  for (const { id, scope_id, bound_at } of launches) {
    await endLaunch(context, id);
    context.audit({
      principal: 'system',
      principalName: 'system',
      action: 'launch.end',
      outcome: 'allowed',
      scope: { id: scope_id, name: '' },
      launch: id,
      because: [bound_at === null ? 'not-delivered' : 'silent'],
    });
  }
}
