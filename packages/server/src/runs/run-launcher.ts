import { setTimeout as delay } from 'node:timers/promises';
import { StrongroomError } from '@strongroom/contract';
import type { ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import { planLaunch } from '../launches/plan.ts';
import { receiptRow } from '../launches/receipts.ts';
import type { LaunchSubject, Resolver } from '../launches/resolve.ts';
import type { Store } from '../store/store.ts';
import { type ConfigurationRow, configurationOf } from '../surfaces/rows.ts';
import type { RunEnd, RunRow } from './commands.ts';
import { RunEnding } from './ending.ts';
import type { Holder } from './holder.ts';
import { type JobProcess, startJob } from './job-process.ts';
import { dropSpec, type PreparedLaunch, prepareLaunch } from './launch-run.ts';
import type { LiveRuns } from './live-runs.ts';
import { createRunFolder, type JobUser, removeRunFolder, workFolderOf } from './run-folder.ts';
import type { RunLogs } from './run-logs.ts';
import type { Report, RunnerSettings } from './settings.ts';

export interface LauncherParts {
  readonly store: Store;
  readonly resolver: Resolver;
  readonly settings: RunnerSettings;
  readonly report: Report;
  readonly logs: RunLogs;
  readonly live: LiveRuns;
  readonly holder: Holder;
  readonly prlimit: string | null;
}

/** Takes one accepted run from its queue to its end; every way out is recorded. */
export class RunLauncher {
  readonly #parts: LauncherParts;

  constructor(parts: LauncherParts) {
    this.#parts = parts;
  }

  async launch(id: string, subject: LaunchSubject): Promise<void> {
    const { store, live, holder, report } = this.#parts;
    if (!live.begin(id)) return;
    const row = await store.db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst();
    if (row === undefined || row.state !== 'queued') return;
    const domain = await domainOf(store, row.scope_id);
    const ending = new RunEnding(row, holder.text);
    try {
      const reason = live.stopReason(id);
      if (reason !== undefined) ending.stoppedBefore(reason);
      else await this.#resolveAndRun(row, domain, subject, ending);
    } catch (error) {
      const known = error instanceof StrongroomError ? error : new StrongroomError('internal', { cause: error });
      if (known.code === 'internal') report(`Run ${id} failed`, error);
      ending.failed(known.code, known.message);
    }
    await this.removeFolder(id);
    await this.recordEnd(ending.args, subject, domain);
  }

  async #resolveAndRun(row: RunRow, domain: ScopeRef, subject: LaunchSubject, ending: RunEnding): Promise<void> {
    const { store, resolver, settings, holder } = this.#parts;
    const configuration = await configurationOf(store, row.configuration_id);
    if (configuration === undefined) throw new StrongroomError('not_found');
    const problem = whyNotRun(configuration, settings);
    if (problem !== undefined) throw problem;
    const user = await this.#jobUser(row.scope_id);
    const plan = await planLaunch(store, domain, configuration);
    const place = { name: configuration.name, home: workFolderOf(settings.folders, row.id), hasOwnUser: user !== null };
    let prepared: PreparedLaunch | null = null;
    const drop = (): void => {
      if (prepared !== null) dropSpec(prepared.spec);
      prepared?.redactor.dispose();
      prepared = null;
    };
    try {
      const resolution = await resolver.resolve({
        verb: 'launch.resolve',
        domain,
        launchId: row.id,
        subject,
        needs: plan.needs,
        wanted: plan.wanted,
        readsAll: false,
        inspect: (values) => {
          drop();
          const result = prepareLaunch(plan, place, values);
          prepared = result.prepared;
          return result.inspection;
        },
        commit: async ({ receipts, secretIds, audit, revision }) => {
          const ids = { id: row.id, holder: holder.text, scopeId: row.scope_id };
          const args = {
            ...ids,
            configurationRevision: configuration.revision,
            receipts: receipts.map(receiptRow),
            secretIds,
          };
          await store.execute('runs.release', args, { audit, expectAuthorisationRevision: revision });
        },
        refuse: async ({ receipts, audit }, problems) => {
          ending.refused(receipts, problems);
          await store.execute('launches.record', undefined, { audit });
        },
      });
      if (!resolution.ok) return;
      // What was rendered and the redactor have copies of their own from here on.
      resolution.values.destroy();
      await this.#run(row, prepared, user, ending);
    } finally {
      drop();
    }
  }

  async #run(row: RunRow, prepared: PreparedLaunch | null, user: JobUser | null, ending: RunEnding): Promise<void> {
    if (prepared === null) throw new StrongroomError('internal');
    const { settings, logs, live, prlimit } = this.#parts;
    const { spec, redactor } = prepared;
    const folder = await createRunFolder(settings.folders, row.id, spec.files, user);
    const log = await logs.create(row.id);
    live.logs(row.id, log);
    const [stdout, stderr] = [redactor.stream(), redactor.stream()];
    try {
      const reason = live.stopReason(row.id);
      if (reason !== undefined) {
        ending.stoppedBefore(reason);
        return;
      }
      const surroundings = { folder, user, path: settings.path, language: settings.language, prlimit };
      const job = await startJob(row.id, spec, surroundings, {
        stdout: (bytes) => log.append(stdout.push(bytes)),
        stderr: (bytes) => log.append(stderr.push(bytes)),
      });
      dropSpec(spec);
      live.started(row.id, job);
      await this.#recordStarted(row, job);
      const exit = await job.exited;
      log.append(stdout.end());
      log.append(stderr.end());
      ending.exited(exit, live.stopReason(row.id), spec.timeoutSeconds);
    } finally {
      const { bytes, isCut } = await log.close();
      ending.logged(bytes, isCut);
    }
  }

  async #recordStarted(row: RunRow, job: JobProcess): Promise<void> {
    const { store, holder, report } = this.#parts;
    const args = {
      id: row.id,
      holder: holder.text,
      bootId: holder.bootId,
      pid: job.pid,
      pidStarted: job.startTime,
    };
    try {
      await store.execute('runs.started', args);
    } catch (error) {
      // It runs all the same; after a crash it is found by its mark.
      report(`The process of run ${row.id} could not be recorded`, error);
    }
  }

  async removeFolder(id: string): Promise<void> {
    try {
      await removeRunFolder(this.#parts.settings.folders, id);
    } catch (error) {
      this.#parts.report(`The folder of run ${id} could not be removed`, error);
    }
  }

  /** Tries until it is durable: an ended process must not look as if it ran. */
  async recordEnd(args: RunEnd, subject: LaunchSubject, domain: ScopeRef): Promise<void> {
    const event: AuditEvent = {
      principal: subject.id,
      principalName: subject.name,
      action: 'launch.end',
      outcome: args.state === 'succeeded' ? 'allowed' : 'failed',
      scope: { id: domain.id, name: domain.name },
      launch: args.id,
      because: args.failureCode === null ? [args.state] : [args.state, args.failureCode],
      detail: { exitCode: args.exitCode, signal: args.signal },
    };
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.#parts.store.execute('runs.end', args, { audit: [event] });
        return;
      } catch (error) {
        const isOver =
          error instanceof StrongroomError && (error.code === 'state_conflict' || error.code === 'shutting_down');
        if (isOver || attempt === 8) throw error;
        await delay(Math.min(30_000, 250 * 2 ** attempt));
      }
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

/** Why a configuration can't be run now, if so. */
export function whyNotRun(row: ConfigurationRow, settings: RunnerSettings): StrongroomError | undefined {
  if (row.deleted_at !== null) return new StrongroomError('not_found', { detail: `${row.name} was deleted.` });
  if (row.is_suspended === 1) return new StrongroomError('state_conflict', { detail: `${row.name} is suspended.` });
  const runner = runnerOf(row, settings);
  if (runner === 'process' && settings.processRunner === 'available') return undefined;
  if (runner === 'process')
    return new StrongroomError('runner_unavailable', { detail: 'The process runner is turned off on this server.' });
  return new StrongroomError('runner_unavailable', {
    detail: 'This server has no Kubernetes runner.',
    hint: 'Set "runner": "process", or leave it out.',
  });
}

/** The runner a configuration asks for, or the installation's. */
export function runnerOf(row: ConfigurationRow, settings: RunnerSettings): string {
  const document = JSON.parse(row.document) as { readonly runner?: string };
  return document.runner ?? settings.defaultRunner;
}

/** @throws StrongroomError `not_found` when it was deleted */
export async function domainOf(store: Store, id: string): Promise<ScopeRef> {
  const row = await store.db
    .selectFrom('scopes')
    .select(['id', 'kind', 'name', 'deleted_at'])
    .where('id', '=', id)
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found', { detail: 'The domain is gone.' });
  return { id: row.id, kind: row.kind, name: row.name };
}
