import type { ObjectKind } from '@strongroom/backends/kubernetes';
import type { OpenedClusters } from '../../clusters/opened-clusters.ts';
import { installationLabel, runLabel } from './manifests.ts';

/** Where a run is to be watched. */
export interface WatchedPlace {
  readonly clusterId: string;
  readonly namespace: string;
  readonly kind: ObjectKind;
}

/** A watch that failed is begun again after a second, then later and later. */
const firstDelayMilliseconds = 1_000;
const lastDelayMilliseconds = 30_000;

interface Watch {
  readonly listeners: Map<string, Set<() => void>>;
  readonly ending: AbortController;
}

/**
 * Says that something of a run changed, never what: who listens reads it. So a watch that is cut, refused or silent costs
 * time and nothing else. One watch serves all runs of a namespace.
 */
export class WorkloadChanges {
  readonly #clusters: Pick<OpenedClusters, 'open'>;
  readonly #installationId: string;
  readonly #watches = new Map<string, Watch>();

  constructor(clusters: Pick<OpenedClusters, 'open'>, installationId: string) {
    this.#clusters = clusters;
    this.#installationId = installationId;
  }

  /** @returns how to listen no more */
  listen(place: WatchedPlace, runId: string, changed: () => void): () => void {
    const key = JSON.stringify([place.clusterId, place.namespace, place.kind.plural]);
    const known = this.#watches.get(key);
    const watch: Watch = known ?? { listeners: new Map(), ending: new AbortController() };
    const listeners = watch.listeners.get(runId) ?? new Set();
    watch.listeners.set(runId, listeners.add(changed));
    if (known === undefined) {
      this.#watches.set(key, watch);
      void this.#follow(place, watch);
    }
    return () => {
      listeners.delete(changed);
      if (listeners.size === 0) watch.listeners.delete(runId);
      if (watch.listeners.size > 0) return;
      watch.ending.abort();
      if (this.#watches.get(key) === watch) this.#watches.delete(key);
    };
  }

  async #follow({ clusterId, namespace, kind }: WatchedPlace, { listeners, ending }: Watch): Promise<void> {
    const { signal } = ending;
    let delay = firstDelayMilliseconds;
    while (!signal.aborted) {
      try {
        const { NamespaceObjects } = await import('@strongroom/backends/kubernetes');
        const cluster = await this.#clusters.open(clusterId, signal);
        try {
          const objects = new NamespaceObjects(cluster.api, namespace);
          const mine = { [installationLabel]: this.#installationId };
          await objects.watch(
            kind,
            mine,
            (labels) => {
              delay = firstDelayMilliseconds;
              for (const changed of listeners.get(labels.get(runLabel) ?? '') ?? []) changed();
            },
            signal,
          );
        } finally {
          cluster.release();
        }
      } catch {
        // Who follows a run reads it all the same, and says what it can't read. Here it means: later.
        delay = Math.min(delay * 2, lastDelayMilliseconds);
      }
      await pause(delay, signal);
    }
  }
}

/** Ends with the signal, without error. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => {
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', finish);
      resolve();
    };
    const timer = setTimeout(finish, milliseconds);
    signal.addEventListener('abort', finish, { once: true });
  });
}
