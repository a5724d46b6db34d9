import { setTimeout as delay } from 'node:timers/promises';
import { Readable } from 'node:stream';
import { StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import { Gate } from '../launches/flights.ts';
import type { LaunchSubject, Resolver } from '../launches/resolve.ts';
import { newId } from '../store/ids.ts';
import type { IdempotencyKey, Store } from '../store/store.ts';
import type { SurfaceDefinition } from '../surfaces/definition.ts';
import { type ConfigurationRow, configurationOf, usesOfConfiguration } from '../surfaces/rows.ts';
import { isSurfaceType, surfaces } from '../surfaces/registry.ts';
import { assetOf } from '../surfaces/views.ts';
import type { RunEnd, RunRow } from './commands.ts';
import { RunEnding } from './ending.ts';
import { type Holder, isHolderGone, thisHolder } from './holder.ts';
import { type JobProcess, startJob } from './job-process.ts';
import { authorisedWanted, dropSpec, type PreparedLaunch, prepareLaunch } from './launch-run.ts';
import { endProcessesOf, isSameProcess, sendSignal } from './process-identity.ts';
import {
  createRunFolder,
  type JobUser,
  listRunFolders,
  removeRunFolder,
  type RunFolders,
  workFolderOf,
} from './run-folder.ts';
import type { RunLog } from './run-log.ts';
import { RunLogs, type RunLogSettings } from './run-logs.ts';
import { findPrlimit } from './executable.ts';

/** Unfinished runs of one domain. */
const maxUnfinished = 1000;
/** Milliseconds that a server's claim on its runs lasts without renewal. */
const leaseMilliseconds = 60_000;
const upkeepMilliseconds = 15_000;

export interface RunnerSettings {
  readonly folders: RunFolders;
  readonly logs: RunLogSettings;
  /** PATH and LANG of jobs that set none. */
  readonly path: string;
  readonly language: string;
  /** Users for jobs when the server was started as root: one for each domain, from this range. */
  readonly jobUsers: { readonly firstUid: number; readonly count: number };
  /** Runs at once on this server; the rest are queued. */
  readonly maxConcurrent: number;
  /** Off where the operator doesn't want commands started on the server's machine. */
  readonly processRunner: 'available' | 'off';
  readonly defaultRunner: 'process' | 'kubernetes';
}

export const defaultJobUsers = { firstUid: 50_000, count: 10_000 } as const;

/** Where failures of background work go; never with a value. */
export type Report = (message: string, error: unknown) => void;

interface Live {
  readonly job: JobProcess | undefined;
  readonly log: RunLog | undefined;
}

/** Runs of configurations by the process runner: start, watch, stop, and what a crash left behind. */
export class RunService {
  readonly #store: Store;
  readonly #access: AccessService;
  readonly #resolver: Resolver;
  readonly #settings: RunnerSettings;
  readonly #report: Report;
  readonly #logs: RunLogs;
  readonly #gate: Gate;
  readonly #live = new Map<string, Live>();
  readonly #stopping = new Map<string, 'stop' | 'shutdown'>();
  readonly #launches = new Set<Promise<void>>();
  #holder: Holder | undefined;
  #prlimit: string | null = null;
  #upkeep: NodeJS.Timeout | undefined;
  #isClosing = false;

  constructor(parts: {
    readonly store: Store;
    readonly access: AccessService;
    readonly resolver: Resolver;
    readonly settings: RunnerSettings;
    readonly report: Report;
  }) {
    this.#store = parts.store;
    this.#access = parts.access;
    this.#resolver = parts.resolver;
    this.#settings = parts.settings;
    this.#report = parts.report;
    this.#logs = new RunLogs(parts.store, parts.settings.logs);
    this.#gate = new Gate(parts.settings.maxConcurrent);
  }

  /** Whether jobs get a user of their own. */
  static get hasJobUsers(): boolean {
    return process.getuid?.() === 0;
  }

  /** Takes up what an earlier process left: ends orphans, resumes what was queued, sweeps folders. Call once, before use. */
  async open(): Promise<void> {
    this.#holder = await thisHolder();
    this.#prlimit = await findPrlimit();
    await this.#store.execute('runs.renewHolder', { holder: this.#holder.text, leaseMilliseconds });
    await this.#recover();
    await this.#sweepFolders();
    this.#upkeep = setInterval(() => void this.#maintain(), upkeepMilliseconds);
    this.#upkeep.unref();
  }

  /** Ends the runs of this process and waits for them. */
  async close(): Promise<void> {
    this.#isClosing = true;
    clearInterval(this.#upkeep);
    for (const id of this.#live.keys()) this.#stopHere(id, 'shutdown');
    await Promise.all(this.#launches);
  }

  /**
   * Accepts a run; it is launched in the background.
   * @throws StrongroomError `state_conflict` (suspended), `runner_unavailable`, `limit_exceeded`, `shutting_down`
   */
  async start(
    caller: Caller,
    asset: AssetRef,
    idempotency?: IdempotencyKey,
  ): Promise<{ readonly id: string; readonly state: RunRow['state'] }> {
    if (this.#isClosing) throw new StrongroomError('shutting_down');
    const holder = this.#requireHolder();
    const surface = surfaceOf(asset.type);
    const { id, isOwn } = await this.#access.decided(caller, async (current) => {
      const row = await configurationOf(this.#store, asset.id);
      if (row === undefined || row.deleted_at !== null) throw new StrongroomError('not_found');
      const decision = this.#access.decide(current.snapshot, surface.actions.launch, {
        kind: 'asset',
        asset: assetOf(row, asset.scope),
      });
      if (!decision.allow) throw new StrongroomError('permission_missing');
      const problem = this.#whyNot(row);
      if (problem !== undefined) throw problem;
      const newRunId = newId('launch');
      const event: AuditEvent = {
        principal: caller.id,
        principalName: caller.name,
        action: surface.actions.launch,
        outcome: 'allowed',
        scope: { id: asset.scope.id, name: asset.scope.name },
        object: { type: asset.type, id: row.id, name: row.name },
        requestId: caller.requestId,
        network: caller.network,
        launch: newRunId,
        because: decision.because,
      };
      const run = {
        id: newRunId,
        scopeId: asset.scope.id,
        configurationId: row.id,
        configurationName: row.name,
        configurationRevision: row.revision,
        surface: asset.type,
        subjectId: caller.id,
        runner: this.#runnerOf(row),
        holder: holder.text,
        bootId: holder.bootId,
        maxUnfinished,
      };
      const created = await this.#store.execute('runs.create', run, {
        audit: [event],
        expectAuthorisationRevision: current.snapshot.revision,
        ...(idempotency === undefined ? {} : { idempotency }),
      });
      return { id: created.id, isOwn: created.id === newRunId };
    });
    if (!isOwn) {
      // The answer to an earlier request with the same key.
      const earlier = await this.find(asset.scope, id);
      return { id, state: earlier?.state ?? 'queued' };
    }
    this.#enqueue(id, { id: caller.id, name: caller.name, requestId: caller.requestId, network: caller.network });
    return { id, state: 'queued' };
  }

  /** A run of the domain, whoever may see it. */
  async find(domain: ScopeRef, id: string): Promise<RunRow | undefined> {
    const row = await this.#row(id);
    return row?.scope_id === domain.id ? row : undefined;
  }

  /** What else stops a launch of a configuration; for preflight. */
  problemsOf(row: ConfigurationRow): string[] {
    const problem = this.#whyNot(row);
    return problem === undefined ? [] : [problem.message];
  }

  /** Where the job's files will be, for rendering. */
  homeOf(runId: string): string {
    return workFolderOf(this.#settings.folders, runId);
  }

  /**
   * Stops a run that this server has.
   * @throws StrongroomError `state_conflict` when it has ended or another server has it
   */
  async stop(row: RunRow, caller: Caller, domain: ScopeRef): Promise<void> {
    if (row.state !== 'queued' && row.state !== 'running')
      throw new StrongroomError('state_conflict', { detail: `The run is ${row.state} already.` });
    if (row.holder !== this.#requireHolder().text) throw elsewhere();
    const event: AuditEvent = {
      principal: caller.id,
      principalName: caller.name,
      action: 'launch.end',
      outcome: 'allowed',
      scope: { id: domain.id, name: domain.name },
      object: { type: row.surface, id: row.configuration_id, name: row.configuration_name },
      requestId: caller.requestId,
      network: caller.network,
      launch: row.id,
      because: ['stop'],
    };
    await this.#store.execute('launches.record', undefined, { audit: [event] });
    this.#stopHere(row.id, 'stop');
  }

  /** The log as text, from its beginning; with `follow` until the run ends. @throws StrongroomError `not_found`, `state_conflict` */
  async log(row: RunRow, follow: boolean): Promise<Readable> {
    const log = this.#live.get(row.id)?.log;
    if (log !== undefined && follow) return log.follow();
    const isUnfinished = row.state === 'queued' || row.state === 'running';
    if (isUnfinished && row.holder !== this.#requireHolder().text) throw elsewhere();
    const stored = await this.#logs.read(row.id);
    if (stored !== null) return stored;
    if (isUnfinished && follow) return this.#followLater(row.id);
    if (isUnfinished || row.started_at === null) return emptyLog();
    throw new StrongroomError('not_found', { detail: 'The log is deleted, or another server has it.' });
  }

  /** Waits for a queued run to begin. */
  async #followLater(id: string): Promise<Readable> {
    for (;;) {
      await delay(100);
      const live = this.#live.get(id);
      if (live?.log !== undefined) return live.log.follow();
      if (live === undefined) return (await this.#logs.read(id)) ?? emptyLog();
    }
  }

  #stopHere(id: string, reason: 'stop' | 'shutdown'): void {
    this.#stopping.set(id, reason);
    this.#live.get(id)?.job?.stop('stop');
  }

  #whyNot(row: ConfigurationRow): StrongroomError | undefined {
    if (row.deleted_at !== null) return new StrongroomError('not_found');
    if (row.is_suspended === 1) return new StrongroomError('state_conflict', { detail: `${row.name} is suspended.` });
    const runner = this.#runnerOf(row);
    if (runner === 'process' && this.#settings.processRunner === 'available') return undefined;
    if (runner === 'process')
      return new StrongroomError('runner_unavailable', { detail: 'The process runner is turned off on this server.' });
    return new StrongroomError('runner_unavailable', {
      detail: 'This server has no Kubernetes runner.',
      hint: 'Set "runner": "process", or leave it out.',
    });
  }

  #runnerOf(row: ConfigurationRow): string {
    const document = JSON.parse(row.document) as { readonly runner?: string };
    return document.runner ?? this.#settings.defaultRunner;
  }

  #enqueue(id: string, subject: LaunchSubject): void {
    this.#live.set(id, { job: undefined, log: undefined });
    const launch = this.#gate
      .run(() => this.#launch(id, subject))
      .catch((error: unknown) => this.#report(`Run ${id} could not be recorded`, error))
      .finally(() => {
        this.#live.delete(id);
        this.#stopping.delete(id);
        this.#launches.delete(launch);
      });
    this.#launches.add(launch);
  }

  /** One run from its queue to its end; every way out is recorded. */
  async #launch(id: string, subject: LaunchSubject): Promise<void> {
    const row = await this.#row(id);
    if (row === undefined || row.state !== 'queued') return;
    const ending = new RunEnding(row, this.#requireHolder().text);
    try {
      if (this.#stopping.has(id)) ending.stopped();
      else await this.#resolveAndRun(row, subject, ending);
    } catch (error) {
      const known = error instanceof StrongroomError ? error : new StrongroomError('internal', { cause: error });
      if (known.code === 'internal') this.#report(`Run ${id} failed`, error);
      ending.failed(known.code, known.message);
    }
    await this.#removeFolder(id);
    await this.#recordEnd(ending.args, subject);
  }

  async #resolveAndRun(row: RunRow, subject: LaunchSubject, ending: RunEnding): Promise<void> {
    const holder = this.#requireHolder();
    const configuration = await configurationOf(this.#store, row.configuration_id);
    const domain = await this.#domain(row.scope_id);
    if (configuration === undefined || domain === undefined)
      throw new StrongroomError('not_found', { detail: 'The configuration or its domain is gone.' });
    const problem = this.#whyNot(configuration);
    if (problem !== undefined) throw problem;
    const surface = surfaceOf(configuration.surface);
    const document = surface.parse(configuration.document);
    const wanted = authorisedWanted(surface, document, await usesOfConfiguration(this.#store, configuration.id));
    let prepared: PreparedLaunch | null = null;
    const drop = (): void => {
      if (prepared !== null) dropSpec(prepared.spec);
      prepared?.redactor.dispose();
      prepared = null;
    };
    try {
      const resolution = await this.#resolver.resolve({
        verb: 'launch.resolve',
        domain,
        launchId: row.id,
        subject,
        needs: [{ action: surface.actions.launch, resource: { kind: 'asset', asset: assetOf(configuration, domain) } }],
        wanted,
        readsAll: false,
        inspect: (values) => {
          drop();
          const result = prepareLaunch(
            surface,
            document,
            { name: configuration.name, home: this.homeOf(row.id), domain },
            wanted,
            values,
          );
          prepared = result.prepared;
          return result.inspection;
        },
        commit: async (release) => {
          const args = {
            id: row.id,
            holder: holder.text,
            scopeId: row.scope_id,
            configurationRevision: configuration.revision,
            receipts: release.receipts,
            secretIds: release.secretIds,
          };
          await this.#store.execute('runs.release', args, {
            audit: release.audit,
            expectAuthorisationRevision: release.revision,
          });
        },
        refuse: async (release, problems) => {
          ending.refused(release.receipts, problems);
          await this.#store.execute('launches.record', undefined, { audit: release.audit });
        },
      });
      if (!resolution.ok) return;
      // The redactor and the rendered places have copies of their own from here on.
      resolution.values.destroy();
      await this.#run(row, prepared, ending);
    } finally {
      drop();
    }
  }

  async #run(row: RunRow, prepared: PreparedLaunch | null, ending: RunEnding): Promise<void> {
    if (prepared === null) throw new StrongroomError('internal');
    const { spec, redactor } = prepared;
    const user = await this.#jobUser(row.scope_id);
    const folder = await createRunFolder(this.#settings.folders, row.id, spec.files, user);
    const log = await this.#logs.create(row.id);
    const [stdout, stderr] = [redactor.stream(), redactor.stream()];
    try {
      if (this.#stopping.has(row.id)) return ending.stopped();
      const surroundings = {
        folder,
        user,
        path: this.#settings.path,
        language: this.#settings.language,
        prlimit: this.#prlimit,
      };
      const job = await startJob(row.id, spec, surroundings, {
        stdout: (bytes) => log.append(stdout.push(bytes)),
        stderr: (bytes) => log.append(stderr.push(bytes)),
      });
      dropSpec(spec);
      this.#live.set(row.id, { job, log });
      if (this.#stopping.has(row.id)) job.stop('stop');
      await this.#recordStarted(row, job);
      const exit = await job.exited;
      log.append(stdout.end());
      log.append(stderr.end());
      const stopReason = this.#stopping.get(row.id);
      ending.exited(exit, stopReason, spec.timeoutSeconds);
    } finally {
      const { bytes, isCut } = await log.close();
      ending.logged(bytes, isCut);
    }
  }

  async #recordStarted(row: RunRow, job: JobProcess): Promise<void> {
    const holder = this.#requireHolder();
    const args = { id: row.id, holder: holder.text, bootId: holder.bootId, pid: job.pid, pidStarted: job.startTime };
    try {
      await this.#store.execute('runs.started', args);
    } catch (error) {
      // It runs all the same; a crash finds it by its mark.
      this.#report(`The process of run ${row.id} could not be recorded`, error);
    }
  }

  async #removeFolder(id: string): Promise<void> {
    try {
      await removeRunFolder(this.#settings.folders, id);
    } catch (error) {
      this.#report(`The folder of run ${id} could not be removed`, error);
    }
  }

  /** Until it is durable: an ended process must not look as if it ran. */
  async #recordEnd(args: RunEnd, subject: LaunchSubject): Promise<void> {
    const event: AuditEvent = {
      principal: subject.id,
      principalName: subject.name,
      action: 'launch.end',
      outcome: args.state === 'succeeded' ? 'allowed' : 'failed',
      scope: { id: args.scopeId, name: args.scopeId },
      launch: args.id,
      because: args.failureCode === null ? [args.state] : [args.state, args.failureCode],
      detail: { exitCode: args.exitCode, signal: args.signal },
    };
    for (let attempt = 0; ; attempt += 1) {
      try {
        await this.#store.execute('runs.end', args, { audit: [event] });
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
    if (!RunService.hasJobUsers) return null;
    const { uid } = await this.#store.execute('runs.jobUser', { scopeId, ...this.#settings.jobUsers });
    return { uid, gid: uid };
  }

  async #maintain(): Promise<void> {
    try {
      await this.#store.execute('runs.renewHolder', { holder: this.#requireHolder().text, leaseMilliseconds });
      await this.#recover();
      await this.#sweepFolders();
      await this.#logs.sweep(Date.now());
    } catch (error) {
      this.#report('The upkeep of runs failed; it is tried again', error);
    }
  }

  /** Runs whose server is gone: those that never began are taken over, the others' processes ended. */
  async #recover(): Promise<void> {
    const holder = this.#requireHolder();
    const rows = await this.#store.query('runs.unfinished', undefined);
    for (const row of rows) {
      if (row.holder === holder.text) continue;
      const isOnly = this.#store.dialect === 'sqlite';
      if (!(await isHolderGone(row, holder, row.lease_expires_at, Date.now(), isOnly))) continue;
      const { isTaken } = await this.#store.execute('runs.takeOver', {
        id: row.id,
        from: row.holder,
        holder: holder.text,
      });
      if (!isTaken) continue;
      if (row.state === 'queued') {
        const subject = await this.#subject(row.subject_id);
        this.#enqueue(row.id, subject);
      } else await this.#endOrphan(row);
    }
  }

  async #endOrphan(row: RunRow): Promise<void> {
    const holder = this.#requireHolder();
    const isThisBoot = row.boot_id === holder.bootId;
    if (isThisBoot && row.pid !== null && row.pid_started !== null && (await isSameProcess(row.pid, row.pid_started)))
      sendSignal(-row.pid, 'SIGKILL');
    await endProcessesOf(row.id);
    await this.#removeFolder(row.id);
    const ending = new RunEnding(row, holder.text);
    ending.failed('orphaned', 'The server that had the run ended; what was left of it was stopped.');
    ending.logged(await this.#logs.size(row.id), false);
    await this.#recordEnd(ending.args, await this.#subject(row.subject_id));
  }

  /** Folders without an unfinished run of this installation. */
  async #sweepFolders(): Promise<void> {
    for (const id of await listRunFolders(this.#settings.folders)) {
      const row = await this.#row(id);
      const isUnfinished = row?.state === 'queued' || row?.state === 'running';
      if (isUnfinished || this.#live.has(id)) continue;
      await endProcessesOf(id);
      await this.#removeFolder(id);
    }
  }

  async #row(id: string): Promise<RunRow | undefined> {
    return this.#store.db.selectFrom('runs').selectAll().where('id', '=', id).executeTakeFirst();
  }

  async #domain(id: string): Promise<ScopeRef | undefined> {
    const row = await this.#store.db
      .selectFrom('scopes')
      .select(['id', 'kind', 'name'])
      .where('id', '=', id)
      .where('deleted_at', 'is', null)
      .executeTakeFirst();
    return row;
  }

  async #subject(id: string): Promise<LaunchSubject> {
    const row = await this.#store.db
      .selectFrom('principals')
      .select(['kind', 'name'])
      .where('id', '=', id)
      .executeTakeFirst();
    return { id, name: row === undefined ? id : `${row.kind}:${row.name}` };
  }

  #requireHolder(): Holder {
    if (this.#holder === undefined) throw new TypeError('The runner is not open');
    return this.#holder;
  }
}

function surfaceOf(type: string): SurfaceDefinition<unknown, unknown> {
  if (!isSurfaceType(type)) throw new StrongroomError('not_found');
  return surfaces[type] as SurfaceDefinition<unknown, unknown>;
}

function elsewhere(): StrongroomError {
  return new StrongroomError('state_conflict', {
    detail: 'Another server has this run.',
    hint: 'Ask the server that started it.',
  });
}

function emptyLog(): Readable {
  return Readable.from([]);
}
