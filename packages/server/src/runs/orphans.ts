import { unfinishedRuns } from './queries.ts';
import type { LaunchSubject } from '../launches/resolve.ts';
import type { Store } from '../store/store.ts';
import type { RunRow } from './commands.ts';
import { RunEnding } from './ending.ts';
import { type Holder, isHolderGone } from './holder.ts';
import type { LiveRuns } from './live-runs.ts';
import { endProcessesOf, isSameProcess, sendSignal } from './process-identity.ts';
import { listRunFolders, type RunFolders } from './run-folder.ts';
import { domainOf, type RunLauncher } from './run-launcher.ts';
import type { RunLogs } from './run-logs.ts';

export interface OrphanParts {
  readonly store: Store;
  readonly holder: Holder;
  readonly live: LiveRuns;
  readonly logs: RunLogs;
  readonly launcher: RunLauncher;
  readonly folders: RunFolders;
  /** Puts a run that never began into this server's queue. */
  readonly enqueue: (id: string, subject: LaunchSubject) => void;
}

/** Runs whose server is gone: those that never began are taken over, of the others every process is ended. */
export async function recoverRuns(parts: OrphanParts): Promise<void> {
  const { store, holder, enqueue } = parts;
  for (const row of await unfinishedRuns(store)) {
    if (row.holder === holder.text) continue;
    // One database file has one server.
    const isOnly = store.dialect === 'sqlite';
    if (!(await isHolderGone(row, holder, row.lease_expires_at, Date.now(), isOnly))) continue;
    const { isTaken } = await store.execute('runs.takeOver', {
      id: row.id,
      from: row.holder,
      holder: holder.text,
      bootId: holder.bootId,
    });
    if (!isTaken) continue;
    if (row.state === 'queued') enqueue(row.id, await subjectOf(store, row.subject_id));
    else await endOrphan(parts, row);
  }
}

async function endOrphan({ store, holder, logs, launcher }: OrphanParts, row: RunRow): Promise<void> {
  const { pid, pid_started: started } = row;
  const isThisBoot = row.boot_id !== null && row.boot_id === holder.bootId;
  if (isThisBoot && pid !== null && started !== null && (await isSameProcess(pid, started)))
    sendSignal(-pid, 'SIGKILL');
  await endProcessesOf(row.id);
  await launcher.removeFolder(row.id);
  const ending = new RunEnding(row, holder.text);
  ending.failed('orphaned', 'The server that had the run ended; what was left of it was stopped.');
  ending.logged(await logs.size(row.id), false);
  await launcher.recordEnd(ending.args, await subjectOf(store, row.subject_id), await domainOf(store, row.scope_id));
}

/** Removes folders, and ends processes, of runs that have ended or never were. */
export async function sweepRunFolders({ store, live, launcher, folders }: OrphanParts): Promise<void> {
  for (const id of await listRunFolders(folders)) {
    if (live.has(id)) continue;
    const row = await store.db.selectFrom('runs').select('state').where('id', '=', id).executeTakeFirst();
    if (row?.state === 'queued' || row?.state === 'running') continue;
    await endProcessesOf(id);
    await launcher.removeFolder(id);
  }
}

async function subjectOf(store: Store, id: string): Promise<LaunchSubject> {
  const row = await store.db.selectFrom('principals').select(['kind', 'name']).where('id', '=', id).executeTakeFirst();
  return { id, name: row === undefined ? id : `${row.kind}:${row.name}` };
}
