import { SecretValue } from '@strongroom/crypto';
import type { OpenedClusters } from '../../clusters/opened-clusters.ts';
import type { Store } from '../../store/store.ts';
import type { Tables } from '../../store/tables.ts';
import type { ConfigurationRow } from '../../surfaces/rows.ts';
import type { RunRow } from '../commands.ts';
import type { ProcessSpec } from '../process-spec.ts';
import { leftWorkloads } from '../queries.ts';
import type { Runner, RunOutput, RunPlace, Workload } from '../runner.ts';
import type { Report } from '../settings.ts';
import { WorkloadChanges } from './changes.ts';
import { type FollowerParts, isOurs, type PlacedWorkload, WorkloadFollower } from './follower.ts';
import {
  kinds,
  ownerManifest,
  problemsOf,
  secretManifest,
  workloadHome,
  type WorkloadIdentity,
  workloadName,
} from './manifests.ts';
import { chooseTarget, wantedWorkload } from './options.ts';

export interface KubernetesRunnerParts {
  readonly store: Store;
  readonly clusters: Pick<OpenedClusters, 'open' | 'targetsOf'>;
  readonly installationId: string;
  readonly report: Report;
}

/** Runs that this server follows at once: each has a connection for its log. */
const maxConcurrent = 100;
const startMilliseconds = 30_000;
const removeMilliseconds = 20_000;
const neverAborted = new AbortController().signal;
/** How long after a run's end a request of a server that died may still arrive. */
const lateMilliseconds = 60_000;

/** Pods, Jobs and SparkApplications in the namespaces of the domain. */
export class KubernetesRunner implements Runner {
  readonly maxConcurrent = maxConcurrent;
  readonly removal = 'after-end';
  readonly #parts: KubernetesRunnerParts;
  readonly #changes: WorkloadChanges;
  #isSweeping = false;

  constructor(parts: KubernetesRunnerParts) {
    this.#parts = parts;
    this.#changes = new WorkloadChanges(parts.clusters, parts.installationId);
  }

  async place(runId: string | null, configuration: ConfigurationRow): Promise<RunPlace> {
    const { clusters, installationId } = this.#parts;
    const { image, form, options } = wantedWorkload(configuration);
    const { clusterId, namespace } = chooseTarget(await clusters.targetsOf(configuration.scope_id), options);
    const id = runId ?? 'none';
    const name = workloadName(id);
    const { surface, name: configurationName } = configuration;
    const identity = {
      installationId,
      runId: id,
      surface,
      configuration: configurationName,
      form,
      name,
      image,
      options,
    };
    return {
      rendering: { name: configurationName, home: workloadHome, isForOperator: form === 'spark-application' },
      check: (spec) => problemsOf(spec, form),
      workload: { clusterId, namespace, form, name },
      start: (spec, output) => this.#start(clusterId, namespace, identity, spec, output),
    };
  }

  async takeUp(run: RunRow): Promise<Workload | null> {
    const row = await this.#parts.store.db
      .selectFrom('run_workloads')
      .selectAll()
      .where('run_id', '=', run.id)
      .executeTakeFirst();
    if (row === undefined) return null;
    const [leftMilliseconds, isFilled] = [await this.#leftMilliseconds(run), row.filled_at !== null];
    return this.#follow(this.#placed(row), { output: null, leftMilliseconds, isFilled });
  }

  async remove(runId: string): Promise<void> {
    const [row] = await leftWorkloads(this.#parts.store, runId);
    if (row !== undefined) await this.#reporting(row, neverAborted);
  }

  /** One at a time; a cluster that doesn't answer is asked once. */
  async sweep(signal: AbortSignal): Promise<void> {
    if (this.#isSweeping) return;
    this.#isSweeping = true;
    try {
      const away = new Set<string>();
      for (const row of await leftWorkloads(this.#parts.store)) {
        if (signal.aborted) return;
        if (!away.has(row.cluster_id) && !(await this.#reporting(row, signal))) away.add(row.cluster_id);
      }
    } finally {
      this.#isSweeping = false;
    }
  }

  /** The owner first: what is created after it and has its uid goes when it goes. */
  async #start(
    clusterId: string,
    namespace: string,
    identity: WorkloadIdentity,
    spec: ProcessSpec,
    output: RunOutput,
  ): Promise<Workload> {
    const { NamespaceObjects } = await import('@strongroom/backends/kubernetes');
    const signal = AbortSignal.timeout(startMilliseconds);
    const cluster = await this.#parts.clusters.open(clusterId, signal);
    try {
      const objects = new NamespaceObjects(cluster.api, namespace);
      const manifest = JSON.stringify(ownerManifest(identity, spec));
      const owner = await objects.create(kinds[identity.form], SecretValue.fromText(manifest), signal);
      const values = SecretValue.fromText(secretManifest(identity, owner.uid, spec));
      await objects.create(kinds.secret, values, signal);
    } finally {
      cluster.release();
    }
    const { installationId, runId, form, name } = identity;
    await this.#recordFilled(runId);
    const workload = { installationId, runId, clusterId, namespace, form, name };
    const leftMilliseconds = spec.timeoutSeconds === undefined ? null : spec.timeoutSeconds * 1000;
    return this.#follow(workload, { output, leftMilliseconds, isFilled: true });
  }

  #follow(workload: PlacedWorkload, how: Pick<FollowerParts, 'output' | 'leftMilliseconds' | 'isFilled'>): Workload {
    const { clusters, report } = this.#parts;
    return new WorkloadFollower({ clusters, changes: this.#changes, workload, report, ...how });
  }

  async #recordFilled(id: string): Promise<void> {
    try {
      await this.#parts.store.execute('runs.workloadFilled', { id });
    } catch (error) {
      // It runs all the same; the next server asks the cluster.
      this.#parts.report(`The workload of run ${id} could not be recorded`, error);
    }
  }

  async #leftMilliseconds({
    configuration_id: configurationId,
    started_at: startedAt,
  }: RunRow): Promise<number | null> {
    const row = await this.#parts.store.db
      .selectFrom('configurations')
      .select('document')
      .where('id', '=', configurationId)
      .executeTakeFirst();
    const { timeoutSeconds } = JSON.parse(row?.document ?? '{}') as { readonly timeoutSeconds?: number };
    if (timeoutSeconds === undefined || startedAt === null) return null;
    return startedAt + timeoutSeconds * 1000 - this.#parts.store.now();
  }

  /** `false`: it could not be tried. */
  async #reporting(row: LeftWorkload, caller: AbortSignal): Promise<boolean> {
    try {
      await this.#remove(row, caller);
      return true;
    } catch (error) {
      if (caller.aborted) return false;
      this.#parts.report(
        `What run ${row.run_id} left in the cluster could not be taken away; it is tried again`,
        error,
      );
      return false;
    }
  }

  /** Takes away what is ours and has the name; notes that nothing is left only when nothing can come any more. */
  async #remove(row: LeftWorkload, caller: AbortSignal): Promise<void> {
    const { store, clusters } = this.#parts;
    const { NamespaceObjects } = await import('@strongroom/backends/kubernetes');
    const signal = AbortSignal.any([caller, AbortSignal.timeout(removeMilliseconds)]);
    const cluster = await clusters.open(row.cluster_id, signal);
    try {
      const objects = new NamespaceObjects(cluster.api, row.namespace);
      const kind = kinds[row.form];
      const owner = await objects.get(kind, row.name, signal);
      if (owner !== null && isOurs(owner, this.#placed(row))) {
        if (!owner.isBeingDeleted) await objects.delete(kind, owner, 'background', signal);
        return;
      }
    } finally {
      cluster.release();
    }
    if (store.now() >= row.ended_at + lateMilliseconds) await store.execute('runs.workloadRemoved', { id: row.run_id });
  }

  #placed(row: Tables['run_workloads']): PlacedWorkload {
    const { run_id: runId, cluster_id: clusterId, namespace, form, name } = row;
    return { installationId: this.#parts.installationId, runId, clusterId, namespace, form, name };
  }
}

type LeftWorkload = Awaited<ReturnType<typeof leftWorkloads>>[number];
