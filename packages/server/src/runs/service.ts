import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { StrongroomError } from '@strongroom/contract';
import pLimit, { type LimitFunction } from 'p-limit';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, Decision, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { LaunchSubject, Resolver } from '../launches/resolve.ts';
import type { ClusterTarget } from '../clusters/opened-clusters.ts';
import { newId } from '../store/ids.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import { launchableOf } from '../surfaces/registry.ts';
import { type ConfigurationRow, configurationOf } from '../surfaces/rows.ts';
import { assetOf } from '../surfaces/views.ts';
import type { RunRow } from './commands.ts';
import type { Replaced } from './queries.ts';
import { RunEnding } from './ending.ts';
import { findPrlimit } from './executable.ts';
import { type Holder, thisHolder } from './holder.ts';
import { targetOf } from './kubernetes/options.ts';
import { type KubernetesRunnerParts, KubernetesRunner } from './kubernetes/runner.ts';
import { LiveRuns } from './live-runs.ts';
import { type OrphanParts, recoverRuns } from './orphans.ts';
import { ProcessRunner } from './process-runner.ts';
import { requireRunnable, RunLauncher, runnerNameOf } from './run-launcher.ts';
import type { RunLog } from './run-log.ts';
import { RunLogs } from './run-logs.ts';
import type { Runner, RunnerName, RunPlace } from './runner.ts';
import type { Report, RunnerSettings } from './settings.ts';

export { defaultJobUsers, jobUsersOf, type RunnerSettings } from './settings.ts';

/** Unfinished runs of one domain. */
const maxUnfinished = 1000;
/** Milliseconds that a server's claim on its runs lasts without renewal. */
const leaseMilliseconds = 60_000;
const upkeepMilliseconds = 15_000;
const logSweepMilliseconds = 600_000;
/** How often a follower looks whether a queued run has begun. */
const beginMilliseconds = 100;

export interface RunParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly resolver: Resolver;
  readonly settings: RunnerSettings;
  readonly report: Report;
  readonly clusters: KubernetesRunnerParts['clusters'];
  readonly installationId: string;
}

/** What exists between `open` and `close`. */
interface Opened {
  readonly holder: Holder;
  readonly launcher: RunLauncher;
  readonly orphans: OrphanParts;
  readonly runners: Readonly<Record<RunnerName, Runner>>;
  readonly queues: ReadonlyMap<Runner, LimitFunction>;
}

/** Runs of configurations, by whichever runner: start, follow, stop, and what a crash left behind. */
export class RunService {
  readonly #parts: RunParts;
  readonly #logs: RunLogs;
  readonly #live = new LiveRuns();
  readonly #launches = new Set<Promise<void>>();
  #opened: Opened | undefined;
  #upkeep: NodeJS.Timeout | undefined;
  #maintaining: Promise<void> = Promise.resolve();
  #logsSweptAt = -Infinity;
  readonly #closing = new AbortController();

  constructor(parts: RunParts) {
    this.#parts = parts;
    this.#logs = new RunLogs(parts.store, parts.settings.logs);
  }

  /** Takes up what an earlier process left: ends orphans, resumes what was queued, sweeps folders. Call once, before use. */
  async open(): Promise<void> {
    const { store, settings, report, resolver, clusters, installationId } = this.#parts;
    const holder = await thisHolder();
    const isLive = (id: string): boolean => this.#live.has(id);
    const prlimit = await findPrlimit();
    const runners: Readonly<Record<RunnerName, Runner>> = {
      process: new ProcessRunner({ store, holder, settings, report, prlimit, isLive }),
      kubernetes: new KubernetesRunner({ store, clusters, installationId, report }),
    };
    const queues = new Map(Object.values(runners).map((runner) => [runner, pLimit(runner.maxConcurrent)]));
    const runnerOf = (name: string): Runner => this.#runnerOf(name);
    const shared = { store, holder, logs: this.#logs, runnerOf };
    const launcher = new RunLauncher({ ...shared, live: this.#live, resolver, settings, report });
    const orphans: OrphanParts = {
      ...shared,
      launcher,
      enqueue: (row, subject) => this.#enqueue(row.id, row.runner, subject),
      follow: (row, workload, subject) => {
        this.#live.takeUp(row.id);
        this.#track(row.id, launcher.follow(row, workload, subject));
      },
      isLive,
      settle: (id, work) => {
        this.#live.takeUp(id);
        this.#track(id, work());
      },
      forgotten: new Set(),
    };
    this.#opened = { holder, launcher, orphans, runners, queues };
    await store.execute('runs.renewHolder', { holder: holder.text, leaseMilliseconds });
    await recoverRuns(orphans);
    await runners.process.sweep(this.#closing.signal);
    // A cluster that doesn't answer keeps nobody from starting.
    this.#maintaining = this.#sweep(runners.kubernetes);
    this.#upkeep = setInterval(() => {
      this.#maintaining = this.#maintain();
    }, upkeepMilliseconds);
    this.#upkeep.unref();
  }

  /** Ends the runs of this process and waits for them. */
  async close(): Promise<void> {
    this.#closing.abort(new StrongroomError('shutting_down'));
    clearInterval(this.#upkeep);
    for (const id of this.#live.ids) this.#live.stop(id, 'shutdown');
    await this.#maintaining;
    await Promise.all(this.#launches);
    await this.#parts.resolver.close();
    if (this.#opened === undefined) return;
    for (const runner of Object.values(this.#opened.runners)) await runner.close?.();
  }

  /**
   * Accepts a run; it is launched in the background.
   * @throws StrongroomError `state_conflict` (suspended, or up already and running until it is stopped), `runner_unavailable`, `limit_exceeded`, `shutting_down`
   */
  async start(
    caller: Caller,
    asset: AssetRef,
    idempotency?: IdempotencyKey,
    replaced?: Replaced,
  ): Promise<{ readonly id: string; readonly state: RunRow['state'] }> {
    if (this.#closing.signal.aborted) throw new StrongroomError('shutting_down');
    const { id, isOwn, runner } = await this.#parts.access.decided(caller, (current) =>
      this.#accept(current, asset, idempotency, replaced),
    );
    if (!isOwn) {
      // The answer to an earlier request with the same key.
      const earlier = await this.find(asset.scope, id);
      return { id, state: earlier?.state ?? 'queued' };
    }
    this.#enqueue(id, runner, {
      id: caller.id,
      name: caller.name,
      requestId: caller.requestId,
      network: caller.network,
    });
    return { id, state: 'queued' };
  }

  async #accept(
    caller: Caller,
    asset: AssetRef,
    idempotency: IdempotencyKey | undefined,
    replaced: Replaced | undefined,
  ): Promise<{ readonly id: string; readonly isOwn: boolean; readonly runner: string }> {
    const { store, access, settings } = this.#parts;
    const { holder } = this.#open;
    const row = await configurationOf(store, asset.id);
    if (row === undefined || row.deleted_at !== null) throw new StrongroomError('not_found');
    const { action, runsUntilStopped } = launchableOf(asset.type).launch;
    const decision = await access.require(caller, action, { kind: 'asset', asset: assetOf(row, asset.scope) });
    requireRunnable(row);
    const runner = runnerNameOf(row, settings);
    await this.#runnerOf(runner).place(null, row);
    const id = newId('launch');
    const run = {
      id,
      scopeId: asset.scope.id,
      configurationId: row.id,
      configurationName: row.name,
      configurationRevision: row.revision,
      surface: row.surface,
      subjectId: caller.id,
      runner,
      holder: holder.text,
      bootId: holder.bootId,
      maxUnfinished,
      isOnly: runsUntilStopped,
      replaced,
    };
    const created = await store.execute('runs.create', run, {
      audit: [runEvent(caller, asset.scope, action, { type: row.surface, id: row.id, name: row.name }, id, decision)],
      expectAuthorisationRevision: caller.snapshot.revision,
      ...(idempotency === undefined ? {} : { idempotency }),
    });
    return { id: created.id, isOwn: created.id === id, runner };
  }

  /** A run of the domain, whoever may see it. */
  async find(domain: ScopeRef, id: string): Promise<RunRow | undefined> {
    const query = this.#parts.store.db.selectFrom('runs').selectAll().where('id', '=', id);
    return query.where('scope_id', '=', domain.id).executeTakeFirst();
  }

  /** Where a run of a configuration would be, for preflight. @throws StrongroomError what stops a launch whatever its values */
  async placeOf(row: ConfigurationRow): Promise<RunPlace> {
    requireRunnable(row);
    return this.#runnerOf(runnerNameOf(row, this.#parts.settings)).place(null, row);
  }

  /** Which of a domain's namespaces a configuration would run in; `null`: in none, or in no cluster. */
  targetOf(row: Pick<ConfigurationRow, 'document'>, targets: readonly ClusterTarget[]): ClusterTarget | null {
    return runnerNameOf(row, this.#parts.settings) === 'kubernetes' ? targetOf(row, targets) : null;
  }

  /**
   * Stops a run that this server has.
   * @throws StrongroomError `state_conflict` when it has ended or another server has it
   */
  async stop(row: RunRow, caller: Caller, domain: ScopeRef): Promise<void> {
    if (!isUnfinished(row)) throw new StrongroomError('state_conflict', { detail: `The run is ${row.state} already.` });
    if (row.holder !== this.#open.holder.text) throw elsewhere();
    const object = { type: row.surface, id: row.configuration_id, name: row.configuration_name };
    const event = runEvent(caller, domain, 'launch.end', object, row.id, { allow: true, because: ['stop'] });
    await this.#parts.store.execute('launches.record', undefined, { audit: [event] });
    if (!this.#live.abandon(row.id)) {
      this.#live.stop(row.id, 'stop');
      return;
    }
    const ending = new RunEnding(row, this.#open.holder.text);
    ending.stopped();
    await this.#open.launcher.recordEnd(ending.args, caller, domain);
  }

  /**
   * The log as text, from its beginning; with `follow` until the run ends.
   * @param signal ends the wait for a run that is queued
   * @throws StrongroomError `log_gone`, `state_conflict`
   */
  async log(row: RunRow, follow: boolean, signal?: AbortSignal): Promise<Readable> {
    const begun = await this.#begunLog(row.id, follow, signal);
    if (begun !== undefined && follow) return begun.follow();
    // While this server has the run, there is a file to read once the log has begun, and not before: it may be half made.
    const isTakenUp = this.#live.isTakenUp(row.id);
    if (begun === undefined && this.#live.has(row.id) && !isTakenUp) return Readable.from([]);
    if (isUnfinished(row) && row.holder !== this.#open.holder.text) throw elsewhere();
    // Also where its file is still there: it is about to be swept.
    if (row.log_bytes === 0 && row.log_cut === 1)
      throw new StrongroomError('log_gone', { detail: `The log of ${row.id} was deleted, for its age or the quota.` });
    const stored = await this.#logs.read(row.id);
    if (stored !== null) return isTakenUp ? Readable.from(withNote(stored)) : stored;
    if (isUnfinished(row) || row.started_at === null || row.log_bytes === 0) return Readable.from([]);
    throw new StrongroomError('log_gone', {
      detail: `The log of ${row.id} is not on this server: another one has it, or its file was taken away.`,
    });
  }

  /** The log of a run that this server has, waiting for its beginning if asked to; `undefined`: none, or not yet. */
  async #begunLog(id: string, wait: boolean, signal?: AbortSignal): Promise<RunLog | undefined> {
    const isToCome = (): boolean =>
      signal?.aborted !== true && this.#live.has(id) && this.#live.logOf(id) === undefined && !this.#live.isTakenUp(id);
    if (wait) while (isToCome()) await delay(beginMilliseconds);
    return this.#live.logOf(id);
  }

  #enqueue(id: string, runnerName: string, subject: LaunchSubject): void {
    const { launcher, queues } = this.#open;
    this.#live.add(id);
    const queue = queues.get(this.#runnerOf(runnerName));
    if (queue === undefined) throw new TypeError('A runner has no queue');
    this.#track(
      id,
      queue(() => launcher.launch(id, subject)),
    );
  }

  #track(id: string, work: Promise<void>): void {
    const launch = work
      .catch((error: unknown) => this.#parts.report(`Run ${id} could not be recorded`, error))
      .finally(() => {
        this.#live.delete(id);
        this.#launches.delete(launch);
      });
    this.#launches.add(launch);
  }

  /** @throws StrongroomError `runner_unavailable` for one that this version doesn't have */
  #runnerOf(name: string): Runner {
    const { runners } = this.#open;
    if (name === 'process' || name === 'kubernetes') return runners[name];
    throw new StrongroomError('runner_unavailable', { detail: 'This version has no such runner.' });
  }

  async #sweep(runner: Runner): Promise<void> {
    try {
      await runner.sweep(this.#closing.signal);
    } catch (error) {
      this.#parts.report('What is left of runs could not be taken away; it is tried again', error);
    }
  }

  async #maintain(): Promise<void> {
    const { holder, orphans, runners } = this.#open;
    try {
      await this.#parts.store.execute('runs.renewHolder', { holder: holder.text, leaseMilliseconds });
      await recoverRuns(orphans);
      for (const runner of Object.values(runners)) await this.#sweep(runner);
      if (performance.now() - this.#logsSweptAt < logSweepMilliseconds) return;
      await this.#logs.sweep(Date.now());
      this.#logsSweptAt = performance.now();
    } catch (error) {
      this.#parts.report('The upkeep of runs failed; it is tried again', error);
    }
  }

  get #open(): Opened {
    if (this.#opened === undefined) throw new TypeError('The runner is not open');
    return this.#opened;
  }
}

function runEvent(
  caller: Caller,
  domain: ScopeRef,
  action: AuditEvent['action'],
  object: NonNullable<AuditEvent['object']>,
  launch: string,
  decision: Decision,
): AuditEvent {
  return {
    principal: caller.id,
    principalName: caller.name,
    action,
    outcome: 'allowed',
    scope: { id: domain.id, name: domain.name },
    object,
    requestId: caller.requestId,
    network: caller.network,
    launch,
    because: decision.because,
  };
}

/** A log that another server began: what it would still get can't be masked any more. */
async function* withNote(stored: Readable): AsyncGenerator<Uint8Array> {
  yield* stored as AsyncIterable<Uint8Array>;
  yield Buffer.from('\n[strongroom] The server was started anew. What the workload writes from here on is not kept.\n');
}

function isUnfinished(row: RunRow): boolean {
  return row.state === 'queued' || row.state === 'running';
}

function elsewhere(): StrongroomError {
  return new StrongroomError('state_conflict', {
    detail: 'Another server has this run.',
    hint: 'Ask the server that started it.',
  });
}
