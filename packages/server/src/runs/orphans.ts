import type { LaunchSubject } from '../launches/resolve.ts';
import type { Store } from '../store/store.ts';
import type { RunRow } from './commands.ts';
import { RunEnding } from './ending.ts';
import { type Holder, isHolderGone } from './holder.ts';
import { unfinishedRuns } from './queries.ts';
import { domainOf, type RunLauncher } from './run-launcher.ts';
import type { RunLogs } from './run-logs.ts';
import type { Runner, Workload } from './runner.ts';

export interface OrphanParts {
  readonly store: Store;
  readonly holder: Holder;
  readonly logs: Pick<RunLogs, 'size'>;
  readonly launcher: Pick<RunLauncher, 'end' | 'follow'>;
  readonly runnerOf: (name: string) => Runner;
  /** Puts a run that never began into this server's queue. */
  readonly enqueue: (row: RunRow, subject: LaunchSubject) => void;
  /** Takes a run that goes on to its end. */
  readonly follow: (row: RunRow, workload: Workload, subject: LaunchSubject) => void;
  /** Whether this server is at work on a run. */
  readonly isLive: (runId: string) => boolean;
  /** Does the work as the one that is on the run. */
  readonly settle: (runId: string, work: () => Promise<void>) => void;
  /** Runs of this server that nobody was at work on in the last round: what is so for a moment only is not in two. */
  readonly forgotten: Set<string>;
}

/**
 * Runs whose server is gone: those that never began are taken over, and so is what can go on without it; the rest is ended. So
 * are runs of this server whose end could not be recorded when it came.
 */
export async function recoverRuns(parts: OrphanParts): Promise<void> {
  const { store, holder, enqueue } = parts;
  const unfinished = await unfinishedRuns(store);
  settleForgotten(
    parts,
    unfinished.filter((row) => row.holder === holder.text && !parts.isLive(row.id)),
  );
  for (const row of unfinished) {
    if (row.holder === holder.text) continue;
    // One database file has one server.
    const isOnly = store.dialect === 'sqlite';
    if (!(await isHolderGone(row, holder, row.lease_expires_at, store.now(), isOnly))) continue;
    const { isTaken } = await store.execute('runs.takeOver', {
      id: row.id,
      from: row.holder,
      holder: holder.text,
      bootId: holder.bootId,
    });
    if (!isTaken) continue;
    const subject = await subjectOf(store, row.subject_id);
    if (row.state === 'queued') enqueue(row, subject);
    else await takeUp(parts, row, subject);
  }
}

function settleForgotten(parts: OrphanParts, rows: readonly RunRow[]): void {
  const before = new Set(parts.forgotten);
  parts.forgotten.clear();
  for (const row of rows) {
    if (before.has(row.id)) parts.settle(row.id, () => endForgotten(parts, row));
    else parts.forgotten.add(row.id);
  }
}

async function endForgotten({ store, holder, logs, launcher, runnerOf }: OrphanParts, row: RunRow): Promise<void> {
  const subject = await subjectOf(store, row.subject_id);
  const workload = row.state === 'running' ? await runnerOf(row.runner).takeUp(row) : null;
  if (workload !== null) return launcher.follow(row, workload, subject);
  const ending = new RunEnding(row, holder.text);
  ending.failed('orphaned', 'How it ended could not be recorded when it did; nothing of it runs any more.');
  ending.logged(await logs.size(row.id), false);
  await launcher.end(row, ending, subject, await domainOf(store, row.scope_id));
}

async function takeUp(parts: OrphanParts, row: RunRow, subject: LaunchSubject): Promise<void> {
  const { store, holder, logs, launcher, runnerOf, follow } = parts;
  const workload = await runnerOf(row.runner).takeUp(row);
  if (workload !== null) return follow(row, workload, subject);
  const ending = new RunEnding(row, holder.text);
  ending.failed('orphaned', 'The server that had the run ended; what was left of it was stopped.');
  ending.logged(await logs.size(row.id), false);
  await launcher.end(row, ending, subject, await domainOf(store, row.scope_id));
}

async function subjectOf(store: Store, id: string): Promise<LaunchSubject> {
  const row = await store.db.selectFrom('principals').select(['kind', 'name']).where('id', '=', id).executeTakeFirst();
  return { id, name: row === undefined ? id : `${row.kind}:${row.name}` };
}
