import { setTimeout as delay } from 'node:timers/promises';
import { maxRedeployed, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../access/types.ts';
import type { DriftedLaunch } from '../launches/queries.ts';
import type { Store } from '../store/store.ts';
import { bundlesWhere, launchableOf, launchables, maySee } from '../surfaces/registry.ts';
import { configurationOf, findConfiguration } from '../surfaces/rows.ts';
import { assetOf } from '../surfaces/views.ts';
import type { RunRow } from './commands.ts';
import { newerRunOf, type Replaced } from './queries.ts';
import type { RunReader } from './reader.ts';
import type { RunService } from './service.ts';
import type { Report } from './settings.ts';

/** What `redeploy` is asked for: everything, or what is named. */
export interface RedeployRequest {
  readonly sparkJobs?: readonly string[] | undefined;
  readonly configurations?: readonly { readonly surface: string; readonly name: string }[] | undefined;
  readonly launches?: readonly string[] | undefined;
  readonly all?: true | undefined;
  /** Stop what holds the older version, once the new run has started. */
  readonly stopOld?: boolean | undefined;
}

interface Problem {
  readonly code: string;
  readonly detail: string;
}

interface OldLaunch {
  readonly launch: string;
  outcome: 'running' | 'stopping' | 'ended' | 'refused';
  problem?: Problem;
}

/** What became of one job or launch. */
export interface RedeployItem {
  outcome: 'started' | 'current' | 'refused' | 'reported';
  readonly job?: string;
  readonly surface?: string;
  readonly launch?: string;
  run?: string;
  problem?: Problem;
  readonly old: OldLaunch[];
}

export interface Redeployment {
  readonly items: RedeployItem[];
  /** `false`: more is drifted than one call starts. */
  readonly isComplete: boolean;
}

export interface RedeployParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly runs: RunService;
  readonly reader: RunReader;
  readonly report: Report;
}

/** One configuration to start anew, with those of its launches that hold an older version. */
interface Candidate {
  readonly asset: AssetRef;
  readonly launch?: string;
  readonly old: readonly DriftedLaunch[];
}

/** Drifted launches that one call looks at; more than a domain can have unfinished runs, which come first. */
const maxDrifted = 2000;
/** How long a call waits for its new runs to start before it leaves the old ones running. */
const startMilliseconds = 15_000;
const pollMilliseconds = 100;

/** Starts anew what holds an older version of a secret. */
export class Redeployer {
  readonly #parts: RedeployParts;

  constructor(parts: RedeployParts) {
    this.#parts = parts;
  }

  /**
   * Decides and starts each for itself: one that is refused stops no other. A job that has a newer run already gets no
   * second one, so a call may be repeated, also at the same time.
   *
   * @param signal ends the wait for new runs; what is then not known to have started stops nothing
   * @throws StrongroomError `permission_missing` for who may run no job of the domain; `validation_failed` unless it is asked
   * for all, or for something by name
   */
  async redeploy(
    caller: Caller,
    domain: ScopeRef,
    request: RedeployRequest,
    signal: AbortSignal,
  ): Promise<Redeployment> {
    const askedAt = this.#parts.store.now();
    await this.#requireRunner(caller, domain);
    requireSelection(request);
    const drifted = await this.#parts.store.query('launches.drifted', { scopeId: domain.id, limit: maxDrifted });
    const items: RedeployItem[] = [];
    const candidates =
      request.all === true
        ? await this.#allOf(caller, domain, drifted, items)
        : await this.#named(caller, domain, request, drifted, items);
    const chosen = candidates.slice(0, maxRedeployed);
    const stopsOld = request.stopOld === true;
    for (const candidate of chosen)
      items.push(await this.#start(caller, candidate, replacedBy(candidate, drifted, askedAt), stopsOld));
    if (request.stopOld === true) await this.#stopOld(caller, domain, items, signal);
    return { items, isComplete: chosen.length === candidates.length && drifted.length < maxDrifted };
  }

  /** Which jobs is decided for each; who may run none has nothing to ask for here. */
  async #requireRunner(caller: Caller, domain: ScopeRef): Promise<void> {
    const { store, access } = this.#parts;
    const bundles = await store.query('surfaces.bundles', { scopeId: domain.id });
    const ids = bundles.map(({ id }) => id);
    const mayRun = launchables.some(
      (surface) => bundlesWhere(access, caller.snapshot, domain, surface, surface.launch.action, ids).length > 0,
    );
    if (mayRun) return;
    const decision = { allow: false, because: ['missing:RUN'] };
    await access.refuse(caller, 'spark-job.run', { kind: 'scope', scope: domain }, decision);
  }

  /** Jobs that the caller may see to be drifted; workloads of that kind are put among the items. */
  async #allOf(
    caller: Caller,
    domain: ScopeRef,
    drifted: readonly DriftedLaunch[],
    items: RedeployItem[],
  ): Promise<Candidate[]> {
    const byJob = new Map<string, Candidate & { readonly old: DriftedLaunch[] }>();
    for (const launch of drifted) {
      const asset = await this.#assetOf(domain, launch);
      if (!this.#mayKnow(caller, domain, launch, asset)) continue;
      if (launch.kind === 'workload' || asset === null) items.push(reported(launch, asset));
      else {
        const candidate = byJob.get(asset.id) ?? { asset, old: [] };
        candidate.old.push(launch);
        byJob.set(asset.id, candidate);
      }
    }
    return [...byJob.values()];
  }

  async #named(
    caller: Caller,
    domain: ScopeRef,
    { sparkJobs = [], configurations = [], launches = [] }: RedeployRequest,
    drifted: readonly DriftedLaunch[],
    items: RedeployItem[],
  ): Promise<Candidate[]> {
    const candidates: Candidate[] = [];
    const named = [...sparkJobs.map((name) => ({ surface: 'spark-job', name })), ...configurations];
    for (const { surface, name: job } of named) {
      const row = await findConfiguration(this.#parts.store, domain.id, launchableOf(surface).type, job);
      if (row === undefined) items.push(refused({ job, surface }, new StrongroomError('not_found')));
      else {
        const old = drifted.filter(({ kind, configuration_id: id }) => kind === 'run' && id === row.id);
        candidates.push({ asset: assetOf(row, domain), old });
      }
    }
    for (const id of launches) {
      const launch = drifted.find((each) => each.id === id);
      const asset = launch === undefined ? null : await this.#assetOf(domain, launch);
      if (launch?.kind === 'workload' && this.#mayKnow(caller, domain, launch, asset)) {
        items.push(reported(launch, asset));
        continue;
      }
      try {
        // A launch that is no run of the domain, or not the caller's to see, is not there.
        const run = await this.#parts.reader.find(caller, domain, id);
        candidates.push({ asset: run.asset, launch: id, old: launch === undefined ? [] : [launch] });
      } catch (error) {
        items.push(refused({ launch: id }, error));
      }
    }
    return candidates;
  }

  /** Who may list the domain's secrets sees its drift; who may run a job may know that it has to. */
  #mayKnow(caller: Caller, domain: ScopeRef, { kind }: DriftedLaunch, asset: AssetRef | null): boolean {
    const { access } = this.#parts;
    const mayList = access.decide(caller.snapshot, 'secret.list', { kind: 'scope', scope: domain }).allow;
    if (asset === null) return mayList;
    if (!maySee(access, caller.snapshot, asset)) return false;
    if (mayList) return true;
    const { action } = launchableOf(asset.type).launch;
    return kind === 'run' && access.decide(caller.snapshot, action, { kind: 'asset', asset }).allow;
  }

  async #assetOf(domain: ScopeRef, { configuration_id: id }: DriftedLaunch): Promise<AssetRef | null> {
    const row = id === null ? undefined : await configurationOf(this.#parts.store, id);
    return row === undefined ? null : assetOf(row, domain);
  }

  async #start(caller: Caller, candidate: Candidate, replaced: Replaced, stopsOld: boolean): Promise<RedeployItem> {
    const { store, access, runs } = this.#parts;
    const { asset, launch } = candidate;
    const named = { job: asset.name, surface: asset.type, ...(launch === undefined ? {} : { launch }) };
    try {
      const { action, runsUntilStopped } = launchableOf(asset.type).launch;
      await access.require(caller, action, { kind: 'asset', asset });
      const old = candidate.old.map(({ id }): OldLaunch => ({ launch: id, outcome: 'running' }));
      if (old.length === 0) return { outcome: 'current', ...named, old };
      const newer = await newerRunOf(store, replaced);
      if (newer !== undefined) return { outcome: 'current', ...named, run: newer, old };
      if (runsUntilStopped) await this.#stopFirst(caller, asset.scope, old, stopsOld);
      try {
        const { id } = await runs.start(caller, asset, undefined, replaced);
        return { outcome: 'started', ...named, run: id, old };
      } catch (error) {
        // Somebody else asked for the same meanwhile.
        const theirs = isReplaced(error) ? await newerRunOf(store, replaced) : undefined;
        if (theirs === undefined) throw error;
        return { outcome: 'current', ...named, run: theirs, old };
      }
    } catch (error) {
      if (!(error instanceof StrongroomError)) this.#parts.report(`${asset.name} could not be started anew`, error);
      // Whoever may not see the job gave its name; nothing else of it is said.
      return refused(launch === undefined ? { job: asset.name, surface: asset.type } : { launch }, error);
    }
  }

  /** What runs until it is stopped has no room for a second: the old one ends before the new one starts. */
  async #stopFirst(caller: Caller, domain: ScopeRef, old: readonly OldLaunch[], stopsOld: boolean): Promise<void> {
    if (!stopsOld)
      throw new StrongroomError('state_conflict', {
        detail: 'It runs until it is stopped, so the old run has to end first; say stopOld.',
      });
    const until = performance.now() + startMilliseconds;
    for (const each of old) {
      Object.assign(each, await this.#stop(caller, domain, each.launch));
      while (each.outcome === 'stopping' && performance.now() < until) {
        await delay(pollMilliseconds);
        const row = await this.#parts.runs.find(domain, each.launch);
        if (row === undefined || (row.state !== 'running' && row.state !== 'queued')) each.outcome = 'ended';
      }
    }
  }

  async #stopOld(caller: Caller, domain: ScopeRef, items: readonly RedeployItem[], signal: AbortSignal): Promise<void> {
    const replaced = items.filter(({ run, old }) => run !== undefined && old.length > 0);
    const states = await this.#started(
      replaced.flatMap(({ run }) => run ?? []),
      signal,
    );
    for (const { run = '', old } of replaced) {
      const state = states.get(run);
      for (const each of old) {
        if (each.outcome === 'ended') continue;
        if (state === 'started') Object.assign(each, await this.#stop(caller, domain, each.launch));
        else {
          each.outcome = 'refused';
          each.problem = {
            code: 'state_conflict',
            detail: `The new run ${state === 'over' ? 'failed' : 'has not started yet'}, so this one runs on.`,
          };
        }
      }
    }
  }

  /** Waits until each run has its process or has ended; what is neither is missing from the answer. */
  async #started(ids: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, 'started' | 'over'>> {
    const known = new Map<string, 'started' | 'over'>();
    const until = performance.now() + startMilliseconds;
    for (;;) {
      const open = ids.filter((id) => !known.has(id));
      if (open.length === 0) return known;
      const rows = await this.#parts.store.db
        .selectFrom('runs')
        .leftJoin('run_workloads', 'run_workloads.run_id', 'runs.id')
        .select(['runs.id', 'runs.state', 'runs.pid', 'run_workloads.filled_at'])
        .where('runs.id', 'in', open)
        .execute();
      for (const row of rows) {
        const progress = progressOf(row);
        if (progress !== undefined) known.set(row.id, progress);
      }
      if (known.size === ids.length || performance.now() >= until || signal.aborted) return known;
      await delay(pollMilliseconds);
    }
  }

  async #stop(caller: Caller, domain: ScopeRef, id: string): Promise<Omit<OldLaunch, 'launch'>> {
    const { runs, report } = this.#parts;
    try {
      const row = await runs.find(domain, id);
      if (row === undefined || (row.state !== 'running' && row.state !== 'queued')) return { outcome: 'ended' };
      await runs.stop(row, caller, domain);
      return { outcome: 'stopping' };
    } catch (error) {
      if (!(error instanceof StrongroomError)) report(`Run ${id} could not be stopped`, error);
      return { outcome: 'refused', problem: problemOf(error) };
    }
  }
}

function replacedBy({ asset, old }: Candidate, drifted: readonly DriftedLaunch[], askedAt: number): Replaced {
  return {
    configurationId: asset.id,
    askedAt,
    since: Math.max(...old.map(({ created_at: at }) => at)),
    driftedIds: drifted.filter(({ configuration_id: id }) => id === asset.id).map(({ id }) => id),
  };
}

function isReplaced(error: unknown): boolean {
  return error instanceof StrongroomError && error.code === 'already_exists';
}

function requireSelection({ all, sparkJobs, configurations, launches }: RedeployRequest): void {
  const isNamed = sparkJobs !== undefined || configurations !== undefined || launches !== undefined;
  if (isNamed !== (all === true)) return;
  const message = isNamed ? 'It is all, or what is named.' : 'Name sparkJobs, configurations or launches, or say all.';
  throw new StrongroomError('validation_failed', { errors: [{ pointer: '/all', message }] });
}

function reported({ id }: DriftedLaunch, asset: AssetRef | null): RedeployItem {
  return {
    outcome: 'reported',
    launch: id,
    ...(asset === null ? {} : { job: asset.name, surface: asset.type }),
    old: [{ launch: id, outcome: 'running' }],
  };
}

function refused(
  named: { readonly job?: string; readonly surface?: string; readonly launch?: string },
  error: unknown,
): RedeployItem {
  return { outcome: 'refused', ...named, problem: problemOf(error), old: [] };
}

function problemOf(error: unknown): Problem {
  const known = error instanceof StrongroomError ? error : new StrongroomError('internal', { cause: error });
  return { code: known.code, detail: known.message };
}

/** Its values are released, and its process is there or its workload has them: what it replaces may go. */
function progressOf({
  state,
  pid,
  filled_at: filledAt,
}: Pick<RunRow, 'state' | 'pid'> & { readonly filled_at: number | null }): 'started' | 'over' | undefined {
  if (state === 'succeeded' || (state === 'running' && (pid !== null || filledAt !== null))) return 'started';
  return state === 'failed' || state === 'stopped' ? 'over' : undefined;
}
