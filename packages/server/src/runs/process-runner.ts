import { StrongroomError } from '@strongroom/contract';
import type { Store } from '../store/store.ts';
import type { ConfigurationRow } from '../surfaces/rows.ts';
import type { RunRow } from './commands.ts';
import type { Holder } from './holder.ts';
import { type JobProcess, startJob } from './job-process.ts';
import { endProcessesOf, isSameProcess, sendSignal } from './process-identity.ts';
import {
  createRunFolder,
  type JobUser,
  listRunFolders,
  removeEmptyBases,
  removeRunFolder,
  workFolderOf,
} from './run-folder.ts';
import type { Runner, RunPlace, Workload } from './runner.ts';
import type { Report, RunnerSettings } from './settings.ts';

export interface ProcessRunnerParts {
  readonly store: Store;
  readonly holder: Holder;
  readonly settings: RunnerSettings;
  readonly report: Report;
  /** Of util-linux; `null`: not on this machine. */
  readonly prlimit: string | null;
  /** Whether this server has the run, begun or not. */
  readonly isLive: (runId: string) => boolean;
}

/** Commands on the server's own machine. */
export class ProcessRunner implements Runner {
  readonly removal = 'before-end';
  readonly #parts: ProcessRunnerParts;

  constructor(parts: ProcessRunnerParts) {
    this.#parts = parts;
  }

  get maxConcurrent(): number {
    return this.#parts.settings.maxConcurrent;
  }

  async place(runId: string | null, configuration: ConfigurationRow): Promise<RunPlace> {
    const { settings, prlimit } = this.#parts;
    const { folders, path, language } = settings;
    if (settings.processRunner !== 'available')
      throw new StrongroomError('runner_unavailable', { detail: 'The process runner is turned off on this server.' });
    const user = runId === null ? null : await this.#jobUser(configuration.scope_id);
    const home = workFolderOf(folders, runId ?? 'preflight');
    return {
      rendering: { name: configuration.name, home, hasOwnUser: user !== null },
      check: () => [],
      workload: null,
      start: async (spec, output) => {
        if (runId === null) throw new TypeError('This place is for looking only');
        const folder = await createRunFolder(folders, runId, spec.files, user);
        const job = await startJob(runId, spec, { folder, user, path, language, prlimit }, output);
        await this.#recordStarted(runId, job);
        return { exited: job.exited, stop: (reason) => job.stop(reason === 'timeout' ? reason : 'stop') };
      },
    };
  }

  /** Nothing can be read of a process whose server is gone: every process of it is ended. */
  async takeUp({ id, pid, pid_started: started, boot_id: bootId }: RunRow): Promise<Workload | null> {
    const isThisBoot = bootId !== null && bootId === this.#parts.holder.bootId;
    if (isThisBoot && pid !== null && started !== null && (await isSameProcess(pid, started)))
      sendSignal(-pid, 'SIGKILL');
    await endProcessesOf(id);
    return null;
  }

  async remove(runId: string): Promise<void> {
    try {
      await removeRunFolder(this.#parts.settings.folders, runId);
    } catch (error) {
      this.#parts.report(`The folder of run ${runId} could not be removed`, error);
    }
  }

  async sweep(): Promise<void> {
    const { store, settings, isLive } = this.#parts;
    for (const id of await listRunFolders(settings.folders)) {
      if (isLive(id)) continue;
      const row = await store.db.selectFrom('runs').select('state').where('id', '=', id).executeTakeFirst();
      if (row?.state === 'queued' || row?.state === 'running') continue;
      await endProcessesOf(id);
      await this.remove(id);
    }
  }

  async close(): Promise<void> {
    await removeEmptyBases(this.#parts.settings.folders);
  }

  async #recordStarted(id: string, job: JobProcess): Promise<void> {
    const { store, holder, report } = this.#parts;
    const args = { id, holder: holder.text, bootId: holder.bootId, pid: job.pid, pidStarted: job.startTime };
    try {
      await store.execute('runs.started', args);
    } catch (error) {
      // It runs all the same; after a crash it is found by its mark.
      report(`The process of run ${id} could not be recorded`, error);
    }
  }

  async #jobUser(scopeId: string): Promise<JobUser | null> {
    if (!hasJobUsers()) return null;
    const { store, settings } = this.#parts;
    const { uid } = await store.execute('runs.jobUser', { scopeId, ...settings.jobUsers });
    return { uid, gid: uid };
  }
}

/** Whether jobs get users of their own: changing the user takes root. */
function hasJobUsers(): boolean {
  return process.getuid?.() === 0;
}
