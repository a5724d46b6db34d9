import type { FoundObject, NamespaceObjects } from '@strongroom/backends/kubernetes';
import type { OpenedClusters } from '../../clusters/opened-clusters.ts';
import type { EndReason, RunOutput, Workload, WorkloadExit, WorkloadForm } from '../runner.ts';
import { pause, type WorkloadChanges } from './changes.ts';
import { LogFollower } from './log-follower.ts';
import { containerOf, kinds, labelsOf } from './manifests.ts';
import { stateOf, type WorkloadState } from './state.ts';

/** How often it is looked without being told that something changed. */
const lookMilliseconds = 30_000;
const retryMilliseconds = 2_000;
const askMilliseconds = 30_000;
/** How long the rest of a log is waited for. */
const logMilliseconds = 10_000;

/** What a run is in a cluster, and where. */
export interface PlacedWorkload {
  readonly installationId: string;
  readonly runId: string;
  readonly clusterId: string;
  readonly namespace: string;
  readonly form: WorkloadForm;
  readonly name: string;
}

export interface FollowerParts {
  readonly clusters: Pick<OpenedClusters, 'open'>;
  readonly changes: WorkloadChanges;
  readonly workload: PlacedWorkload;
  /** Where its log goes; `null`: it was begun by an earlier server, and what it writes can't be masked. */
  readonly output: RunOutput | null;
  /** It is known to have been given its values. */
  readonly isFilled: boolean;
  /** In which it has to have ended, whatever the clock is set to meanwhile; `null`: it may take as long as it takes. */
  readonly leftMilliseconds: number | null;
  readonly report: (message: string, error: unknown) => void;
}

/** Takes one workload to its end. State is read each time and never remembered; a cluster that doesn't answer ends nothing. */
export class WorkloadFollower implements Workload {
  readonly exited: Promise<WorkloadExit | null>;
  readonly #parts: FollowerParts;
  readonly #leaving = new AbortController();
  /** As `performance.now()` says it: a clock that is set anew ends no run. */
  readonly #endsBy: number;
  #wake = new AbortController();
  #endedFor: 'stop' | 'timeout' | null = null;
  #isDeleted = false;
  #log: LogFollower | undefined;
  #waiting = '';
  #isReported = false;
  #hasValues: boolean;

  constructor(parts: FollowerParts) {
    this.#parts = parts;
    this.#hasValues = parts.isFilled;
    this.#endsBy = performance.now() + (parts.leftMilliseconds ?? Infinity);
    const { workload, changes } = parts;
    const { clusterId, namespace, form, runId } = workload;
    const changed = (): void => this.#wake.abort();
    const watched = form === 'pod' ? [kinds.pod] : [kinds[form], kinds.pod];
    const listening = watched.map((kind) => changes.listen({ clusterId, namespace, kind }, runId, changed));
    this.exited = this.#follow().finally(() => {
      for (const stop of listening) stop();
      this.#log?.stop();
    });
  }

  stop(reason: EndReason): void {
    if (reason === 'shutdown') this.#leaving.abort();
    else this.#endedFor ??= reason;
    this.#wake.abort();
  }

  async #follow(): Promise<WorkloadExit | null> {
    const leaving = this.#leaving.signal;
    while (!leaving.aborted) {
      this.#wake = new AbortController();
      this.#checkDeadline();
      let wait = lookMilliseconds;
      try {
        const exit = await this.#look(AbortSignal.any([leaving, AbortSignal.timeout(askMilliseconds)]));
        this.#isReported = false;
        if (exit !== undefined) return await this.#finished(exit);
      } catch (error) {
        if (leaving.aborted) break;
        // Once for each outage.
        if (!this.#isReported) this.#parts.report(`Run ${this.#parts.workload.runId} can not be followed now`, error);
        this.#isReported = true;
        wait = retryMilliseconds;
      }
      const left = this.#endsBy - performance.now();
      const untilDeadline = this.#endedFor === null && left > 0 ? left : Infinity;
      await pause(Math.min(wait, untilDeadline), AbortSignal.any([leaving, this.#wake.signal]));
    }
    return null;
  }

  #checkDeadline(): void {
    if (performance.now() >= this.#endsBy) this.#endedFor ??= 'timeout';
  }

  /** @returns its end, once it has one */
  async #look(signal: AbortSignal): Promise<WorkloadExit | undefined> {
    const { clusters, workload } = this.#parts;
    const { clusterId, namespace, form, name } = workload;
    const cluster = await clusters.open(clusterId, signal);
    try {
      const { NamespaceObjects: Objects } = await import('@strongroom/backends/kubernetes');
      const objects = new Objects(cluster.api, namespace);
      const owner = await objects.get(kinds[form], name, signal);
      if (owner === null || !isOurs(owner, workload)) return this.#gone();
      // Taken up without what it was to be given: the values are gone with the server that had them.
      this.#hasValues ||= await objects.isTaken(kinds.secret, name, signal);
      if (!this.#hasValues) return await this.#giveUp(objects, owner, signal);
      const pods = form === 'pod' ? [] : await objects.list(kinds.pod, labelsOf(workload), signal);
      const state = stateOf(form, containerOf(form), owner, pods.filter(isDriver));
      this.#show(state);
      if (state.exit !== undefined) return state.exit;
      if (this.#endedFor !== null) await this.#delete(objects, owner, signal);
      return undefined;
    } finally {
      cluster.release();
    }
  }

  #gone(): WorkloadExit {
    const none = { exitCode: null, signal: null, endedFor: null };
    if (this.#endedFor !== null) return none;
    const failure =
      this.#parts.output === null
        ? { code: 'orphaned', detail: 'The server that had the run ended, and nothing of it is in the cluster.' }
        : { code: 'workload_failed', detail: 'Somebody deleted it in the cluster.' };
    return { ...none, failure };
  }

  /** It is deleted before the end is told: a pod that waits for its values waits for ever. */
  async #giveUp(objects: NamespaceObjects, owner: FoundObject, signal: AbortSignal): Promise<WorkloadExit> {
    await objects.delete(kinds[this.#parts.workload.form], owner, 'background', signal);
    const failure = {
      code: 'orphaned',
      detail: 'The server that had the run ended before it had given it its values.',
    };
    return { exitCode: null, signal: null, endedFor: null, failure };
  }

  /** The pods go first, so that its absence says that it has ended. */
  async #delete(objects: NamespaceObjects, owner: FoundObject, signal: AbortSignal): Promise<void> {
    if (this.#isDeleted || owner.isBeingDeleted) return;
    await objects.delete(kinds[this.#parts.workload.form], owner, 'foreground', signal);
    this.#isDeleted = true;
  }

  #show({ pod, hasBegun, waiting }: WorkloadState): void {
    const { output, clusters, workload } = this.#parts;
    if (output === null) return;
    if (waiting !== null && waiting !== this.#waiting) {
      this.#waiting = waiting;
      // While the image comes this is what every pod says.
      if (waiting !== 'ContainerCreating' && waiting !== 'PodInitializing') output.note(`The pod waits: ${waiting}`);
    }
    if (pod === null || !hasBegun || this.#log !== undefined) return;
    const { clusterId, namespace, form } = workload;
    this.#log = new LogFollower({ clusters, clusterId, namespace, pod, container: containerOf(form) }, output);
  }

  async #finished(exit: WorkloadExit): Promise<WorkloadExit> {
    await this.#log?.finish(logMilliseconds);
    return this.#endedFor === null ? exit : { ...exit, endedFor: this.#endedFor };
  }
}

/** Of this run, by our labels: a name alone is nobody's. */
export function isOurs(object: FoundObject, workload: Pick<PlacedWorkload, 'installationId' | 'runId'>): boolean {
  return Object.entries(labelsOf(workload)).every(([name, value]) => object.labels.get(name) === value);
}

/** Spark's executors have the labels, too (Spark, "Running on Kubernetes", label `spark-role`). */
function isDriver(pod: FoundObject): boolean {
  return pod.labels.get('spark-role') !== 'executor';
}
