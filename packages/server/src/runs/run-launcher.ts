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
import { dropSpec, type PreparedLaunch, prepareLaunch } from './launch-run.ts';
import type { LiveRuns } from './live-runs.ts';
import type { RunLogs } from './run-logs.ts';
import type { Runner, RunPlace, Workload } from './runner.ts';
import type { Report, RunnerSettings } from './settings.ts';

export interface LauncherParts {
  readonly store: Store;
  readonly resolver: Resolver;
  readonly settings: RunnerSettings;
  readonly report: Report;
  readonly logs: RunLogs;
  readonly live: LiveRuns;
  readonly holder: Holder;
  /** By name, as a run's row has it. */
  readonly runnerOf: (name: string) => Runner;
}

/** Takes one accepted run from its queue to its end; every way out is recorded. */
export class RunLauncher {
  readonly #parts: LauncherParts;

  constructor(parts: LauncherParts) {
    this.#parts = parts;
  }

  async launch(id: string, subject: LaunchSubject): Promise<void> {
    const { store, live, holder } = this.#parts;
    if (!live.begin(id)) return;
    const row = await store.db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst();
    if (row === undefined || row.state !== 'queued') return;
    const domain = await domainOf(store, row.scope_id);
    const ending = new RunEnding(row, holder.text);
    const goesOn = await this.#recordingFailure(row, ending, async () => {
      const reason = live.stopReason(id);
      if (reason === undefined) return this.#resolveAndRun(row, domain, subject, ending);
      ending.stoppedBefore(reason);
      return false;
    });
    if (goesOn) await this.#letGo(row);
    else await this.end(row, ending, subject, domain);
  }

  /** Follows to its end what an earlier server started. Its values are nowhere any more, so its log is not kept from here on. */
  async follow(row: RunRow, workload: Workload, subject: LaunchSubject): Promise<void> {
    const { store, live, holder, logs } = this.#parts;
    const domain = await domainOf(store, row.scope_id);
    const ending = new RunEnding(row, holder.text);
    const goesOn = await this.#recordingFailure(row, ending, async () => {
      live.started(row.id, workload);
      const exit = await workload.exited;
      if (exit !== null) ending.exited(exit, live.stopReason(row.id));
      return exit === null;
    });
    if (goesOn) return this.#letGo(row);
    ending.logged(await logs.size(row.id), true);
    await this.end(row, ending, subject, domain);
  }

  async #letGo({ id }: RunRow): Promise<void> {
    await this.#parts.store.execute('runs.letGo', { id, holder: this.#parts.holder.text });
  }

  /** Records the end and takes away what is left. */
  async end(row: RunRow, ending: RunEnding, subject: LaunchSubject, domain: ScopeRef): Promise<void> {
    const runner = this.#parts.runnerOf(row.runner);
    if (runner.removal === 'before-end') await runner.remove(row.id);
    await this.recordEnd(ending.args, subject, domain);
    if (runner.removal === 'after-end') await runner.remove(row.id);
  }

  /** @returns what `act` does: whether the run goes on without this server */
  async #recordingFailure({ id }: RunRow, ending: RunEnding, act: () => Promise<boolean>): Promise<boolean> {
    try {
      return await act();
    } catch (error) {
      const known = error instanceof StrongroomError ? error : new StrongroomError('internal', { cause: error });
      if (known.code === 'internal') this.#parts.report(`Run ${id} failed`, error);
      ending.failed(known.code, known.message);
      return false;
    }
  }

  async #resolveAndRun(row: RunRow, domain: ScopeRef, subject: LaunchSubject, ending: RunEnding): Promise<boolean> {
    const { store, resolver, holder, runnerOf } = this.#parts;
    const configuration = await configurationOf(store, row.configuration_id);
    if (configuration === undefined) throw new StrongroomError('not_found');
    requireRunnable(configuration);
    const place = await runnerOf(row.runner).place(row.id, configuration);
    const plan = await planLaunch(store, domain, configuration);
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
            workload: place.workload,
          };
          await store.execute('runs.release', args, { audit, expectAuthorisationRevision: revision });
        },
        refuse: async ({ receipts, audit }, problems) => {
          ending.refused(receipts, problems);
          await store.execute('launches.record', undefined, { audit });
        },
      });
      if (!resolution.ok) return false;
      // What was rendered and the redactor have copies of their own from here on.
      resolution.values.destroy();
      return await this.#run(row, prepared, place, ending);
    } finally {
      drop();
    }
  }

  async #run(row: RunRow, prepared: PreparedLaunch | null, place: RunPlace, ending: RunEnding): Promise<boolean> {
    if (prepared === null) throw new StrongroomError('internal');
    const { logs, live } = this.#parts;
    const { spec, redactor } = prepared;
    const log = await logs.create(row.id);
    live.logs(row.id, log);
    const [stdout, stderr] = [redactor.stream(), redactor.stream()];
    try {
      const reason = live.stopReason(row.id);
      if (reason !== undefined) {
        ending.stoppedBefore(reason);
        return false;
      }
      const workload = await place.start(spec, {
        stdout: (bytes) => log.append(stdout.push(bytes)),
        stderr: (bytes) => log.append(stderr.push(bytes)),
        note: (text) => log.append(Buffer.from(`[strongroom] ${text}\n`)),
      });
      dropSpec(spec);
      live.started(row.id, workload);
      const exit = await workload.exited;
      log.append(stdout.end());
      log.append(stderr.end());
      if (exit === null) return true;
      ending.exited(exit, live.stopReason(row.id), spec.timeoutSeconds);
      return false;
    } finally {
      const { bytes, isCut } = await log.close();
      ending.logged(bytes, isCut);
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
}

/** @throws StrongroomError `not_found`, `state_conflict` for a configuration that is not to be run, whatever the runner */
export function requireRunnable({ name, deleted_at: deletedAt, is_suspended: isSuspended }: ConfigurationRow): void {
  if (deletedAt !== null) throw new StrongroomError('not_found', { detail: `${name} was deleted.` });
  if (isSuspended === 1) throw new StrongroomError('state_conflict', { detail: `${name} is suspended.` });
}

/** The runner a configuration asks for, or the installation's. */
export function runnerNameOf(
  row: Pick<ConfigurationRow, 'document'>,
  settings: Pick<RunnerSettings, 'defaultRunner'>,
): string {
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
