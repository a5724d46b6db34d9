import { StrongroomError } from '@strongroom/contract';
import type { ApiConnection, ClusterWay } from '@strongroom/backends/kubernetes';
import type { Position } from '../access/pages.ts';
import { systemActor } from '../identities/actor.ts';
import type { OpenEgress } from '../integrations/connection.ts';
import type { LaunchSubject, Resolver } from '../launches/resolve.ts';
import { hotStatement, type Store } from '../store/store.ts';
import { storedAccess } from './access.ts';
import type { ClusterRow } from './commands.ts';
import { type ClusterCredential, withCredential } from './credential.ts';
import type { ListedTarget } from './queries.ts';

/** A registered cluster, just found to be the one that was registered. */
export interface OpenedCluster {
  readonly id: string;
  readonly name: string;
  /** Of its namespace `kube-system`. */
  readonly uid: string;
  readonly issuer: string;
  readonly audience: string;
  /** As the server signs in there. Requests under way when it is released come to their end. */
  readonly api: ApiConnection;
  /** Idempotent; the credential is gone when nobody has the connection any more. */
  release(): void;
}

/** A namespace of a cluster that belongs to a domain. */
export interface ClusterTarget {
  readonly clusterId: string;
  readonly cluster: string;
  readonly namespace: string;
}

export interface OpenedClustersParts {
  readonly store: Store;
  readonly resolver: Resolver;
  readonly egress: OpenEgress;
}

interface Entry {
  readonly revision: number;
  readonly until: number;
  readonly api: Promise<ApiConnection>;
  users: number;
  isOut: boolean;
  isEnded: boolean;
}

/** How long one resolved credential serves who asks for the cluster. */
const credentialMilliseconds = 60_000;
const resolveMilliseconds = 20_000;
const targetsAtOnce = 1_000;

const clusterById = hotStatement<ClusterRow>(
  'clusters.byId',
  (db) => db.selectFrom('clusters').selectAll().where('id', '=', '').compile(),
  { isRemembered: true },
);

/**
 * Connections to registered clusters. A credential is resolved, on record, at most once a minute while the cluster is in use,
 * and again when the cluster was changed. Whoever asks is told only after the cluster has said who it is: one that answers at
 * the same address and is another gets nothing from us.
 */
export class OpenedClusters {
  readonly #parts: OpenedClustersParts;
  readonly #entries = new Map<string, Entry>();
  #isClosed = false;

  constructor(parts: OpenedClustersParts) {
    this.#parts = parts;
  }

  /**
   * @throws StrongroomError `not_found` when it is not registered (any more); `state_conflict` when another cluster answers;
   * whatever its reference and its API server can throw; `shutting_down`
   */
  async open(clusterId: string, signal: AbortSignal): Promise<OpenedCluster> {
    const row = await this.#parts.store.first(clusterById, [clusterId]);
    if (row === undefined) throw new StrongroomError('not_found');
    const entry = this.#entryOf(row, signal);
    entry.users += 1;
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      entry.users -= 1;
      this.#endUnused(entry);
    };
    try {
      const api = await entry.api;
      const { readClusterUid } = await import('@strongroom/backends/kubernetes');
      requireUid(row, await readClusterUid(api, signal));
      return { id: row.id, name: row.name, uid: row.uid, issuer: row.issuer, audience: row.audience, api, release };
    } catch (error) {
      release();
      // A credential that was exchanged meanwhile is read anew by the next call.
      this.#drop(row.id, entry);
      throw error;
    }
  }

  /**
   * A connection of its own, for a cluster that is being registered or tried. The caller closes it.
   * @throws StrongroomError whatever its reference can throw, `egress_denied`, `validation_failed`
   */
  async connect(credential: ClusterCredential, subject: LaunchSubject, signal: AbortSignal): Promise<ApiConnection> {
    const [{ connectCluster }, egress] = await Promise.all([
      import('@strongroom/backends/kubernetes'),
      this.#parts.egress(),
    ]);
    return withCredential(this.#parts, credential, subject, signal, (way: ClusterWay) =>
      connectCluster(way, egress, Date.now),
    );
  }

  /** Namespaces that belong to a domain, by name. */
  async targetsOf(scopeId: string): Promise<readonly ClusterTarget[]> {
    const found: ClusterTarget[] = [];
    for (let after: Position | null = null; ;) {
      const rows: readonly ListedTarget[] = await this.#parts.store.query('clusters.targets', {
        scopeId,
        q: null,
        after,
        limit: targetsAtOnce,
      });
      found.push(...rows.map(({ clusterId, cluster, namespace }) => ({ clusterId, cluster, namespace })));
      const last = rows.at(-1);
      if (last === undefined || rows.length < targetsAtOnce) return found;
      after = [last.namespace, last.cluster];
    }
  }

  /** Nobody gets this connection any more: the cluster was changed or is gone. */
  forget(clusterId: string): void {
    const entry = this.#entries.get(clusterId);
    if (entry !== undefined) this.#drop(clusterId, entry);
  }

  /** Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.all(entries.map(endOf));
  }

  #entryOf(row: ClusterRow, signal: AbortSignal): Entry {
    if (this.#isClosed) throw new StrongroomError('shutting_down');
    const known = this.#entries.get(row.id);
    const now = performance.now();
    if (known?.revision === row.revision && now < known.until) return known;
    if (known !== undefined) this.#drop(row.id, known);
    const credential = {
      name: row.name,
      access: storedAccess(row.access),
      sourceId: row.source_id,
      authorisedBy: row.authorised_by,
    };
    const subject = { id: systemActor.principal, name: systemActor.principalName };
    const entry: Entry = {
      revision: row.revision,
      until: now + credentialMilliseconds,
      // Others wait for it too: who asked first may leave without ending it for them.
      api: this.connect(credential, subject, AbortSignal.timeout(resolveMilliseconds)),
      users: 0,
      isOut: false,
      isEnded: false,
    };
    entry.api.catch(() => this.#drop(row.id, entry));
    signal.throwIfAborted();
    this.#entries.set(row.id, entry);
    setTimeout(() => this.#drop(row.id, entry), credentialMilliseconds).unref();
    return entry;
  }

  #drop(id: string, entry: Entry): void {
    if (this.#entries.get(id) === entry) this.#entries.delete(id);
    entry.isOut = true;
    this.#endUnused(entry);
  }

  #endUnused(entry: Entry): void {
    if (entry.isOut && entry.users === 0) void endOf(entry);
  }
}

/** @throws StrongroomError `state_conflict` */
export function requireUid({ name, uid }: Pick<ClusterRow, 'name' | 'uid'>, found: string): void {
  if (found === uid) return;
  throw new StrongroomError('state_conflict', {
    detail: `What answers at the address of the cluster ${name} is another cluster than the one that was registered.`,
    hint: 'Register the new cluster under a name of its own; bindings to the old one do not carry over.',
  });
}

async function endOf(entry: Entry): Promise<void> {
  if (entry.isEnded) return;
  entry.isEnded = true;
  const [opened] = await Promise.allSettled([entry.api]);
  if (opened.status === 'fulfilled') await opened.value.close();
}
