import { type clusterRoutes, type ResponseOf, StrongroomError } from '@strongroom/contract';
import type { ApiConnection } from '@strongroom/backends/kubernetes';
import { decide } from '../access/decide.ts';
import { type PageOf, type PageRequest, readPage, wholeList } from '../access/pages.ts';
import { actionsOn } from '../access/refusal.ts';
import type { AccessService } from '../access/service.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import { actorOf } from '../identities/actor.ts';
import type { Keys } from '../keys/keys.ts';
import { findTarget } from '../launches/targets.ts';
import { time } from '../secrets/metadata.ts';
import { newId } from '../store/ids.ts';
import { requireSameAsMade } from '../store/replayed.ts';
import type { IdempotencyKey, Store, Writer } from '../store/store.ts';
import {
  type AccessParts,
  adminScope,
  type ClusterAccess,
  type ClusterAccessInput,
  readAccess,
  referenceOf,
  storedAccess,
} from './access.ts';
import { type OpenedClusters, requireUid } from './opened-clusters.ts';
import type { ListedCluster, ListedTarget } from './queries.ts';
import { type ClusterTest, testCluster } from './tester.ts';

type RouteOf<Id extends string> = Extract<(typeof clusterRoutes)[number], { readonly id: Id }>;
type ClusterView = ResponseOf<RouteOf<'showCluster'>>;
type TargetView = ResponseOf<RouteOf<'putClusterTarget'>>;

interface ClusterText {
  readonly description?: string;
  readonly issuer?: string;
  readonly audience?: string;
}

export interface ClustersParts extends AccessParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly keys: Pick<Keys, 'sealCursor' | 'openCursor'>;
  readonly opened: Pick<OpenedClusters, 'connect' | 'forget'>;
  /** Part of the audience of clusters that name none: two installations take no token of each other. */
  readonly installationId: string;
}

/** For all that a cluster is asked by one request. */
const askMilliseconds = 20_000;

/** The clusters that domains run workloads in, and whose each namespace is. Registered by platform administrators alone. */
export class Clusters {
  readonly #parts: ClustersParts;

  constructor(parts: ClustersParts) {
    this.#parts = parts;
  }

  /**
   * Asks the cluster who it is, and keeps that.
   * @throws StrongroomError `already_exists`, `validation_failed`, and whatever the reference and the API server can throw
   */
  async create(
    caller: Caller,
    input: ClusterText & { readonly name: string; readonly access: ClusterAccessInput },
    signal: AbortSignal,
    idempotency?: IdempotencyKey,
  ): Promise<ClusterView> {
    const access = await readAccess(input.access, this.#parts);
    const sourceId = await this.#sourceId(access);
    const found = await this.#ask(caller, { name: input.name, access, sourceId }, signal, async (api, limited) => {
      const { readClusterUid } = await import('@strongroom/backends/kubernetes');
      return { uid: await readClusterUid(api, limited), issuer: await issuerOf(api, input.issuer, limited) };
    });
    const id = newId('cluster');
    const made = await this.#writer(caller).execute(
      'clusters.create',
      {
        id,
        name: input.name,
        uid: found.uid,
        description: input.description ?? '',
        access: JSON.stringify(access),
        sourceId,
        authorisedBy: caller.id,
        issuer: found.issuer,
        audience: input.audience ?? `strongroom:${this.#parts.installationId}:${input.name}`,
        by: caller.name,
      },
      {
        audit: [clusterEvent(caller, { id, name: input.name }, ['create', access.kind])],
        ...(idempotency === undefined ? {} : { idempotency }),
      },
    );
    const view = await this.get(caller, input.name);
    requireSameAsMade(made.id, view);
    return view;
  }

  /** @throws StrongroomError `cursor_invalid` */
  async list(caller: Caller, request: PageRequest): Promise<PageOf<ClusterView>> {
    return readPage(this.#parts.keys, caller, ['clusters'], request, {
      read: (args) => this.#parts.store.query('clusters.list', args),
      positionOf: ({ name }) => [name],
      toItem: (row) => clusterView(caller, row),
    });
  }

  /** @throws StrongroomError `not_found` */
  async get(caller: Caller, name: string): Promise<ClusterView> {
    return clusterView(caller, await this.#require(name));
  }

  /**
   * @throws StrongroomError `not_found`, `revision_mismatch`, `already_exists`; `state_conflict` when the new way leads to
   * another cluster
   */
  async update(
    caller: Caller,
    name: string,
    changes: ClusterText & { readonly access?: ClusterAccessInput },
    ifMatch: number | undefined,
    signal: AbortSignal,
  ): Promise<ClusterView> {
    const row = await this.#require(name, ifMatch);
    const { description = row.description, issuer = row.issuer, audience = row.audience } = changes;
    const kept = { access: row.access, sourceId: row.source_id, authorisedBy: row.authorised_by };
    const way = changes.access === undefined ? kept : await this.#newWay(caller, row, changes.access, signal);
    const because = [
      'update',
      ...Object.entries({ description, issuer, audience }).flatMap(([field, value]) =>
        value === row[field as keyof ClusterText] ? [] : [field],
      ),
      ...(changes.access === undefined ? [] : ['access', changes.access.kind]),
    ];
    await this.#writer(caller).execute(
      'clusters.update',
      { id: row.id, revision: row.revision, description, issuer, audience, ...way, by: caller.name },
      { audit: [clusterEvent(caller, row, because)] },
    );
    this.#parts.opened.forget(row.id);
    return this.get(caller, name);
  }

  /** @throws StrongroomError `not_found`, `revision_mismatch`, `in_use` */
  async delete(caller: Caller, name: string, ifMatch: number | undefined): Promise<void> {
    const row = await this.#require(name, ifMatch);
    await this.#writer(caller).execute(
      'clusters.delete',
      { id: row.id, revision: row.revision },
      { audit: [clusterEvent(caller, row, ['delete'])] },
    );
    this.#parts.opened.forget(row.id);
  }

  /** A line for each step; what fails is in the lines. @throws StrongroomError `not_found`, `audit_unavailable` */
  async test(caller: Caller, name: string, signal: AbortSignal): Promise<ClusterTest> {
    const row = await this.#require(name);
    const { store, opened } = this.#parts;
    // Nothing is connected unless it is on record that it is tried.
    await store.execute('access.record', undefined, { audit: [clusterEvent(caller, row, ['test', 'begin'])] });
    const credential = {
      name: row.name,
      access: storedAccess(row.access),
      sourceId: row.source_id,
      authorisedBy: row.authorised_by,
    };
    const limited = limit(signal);
    const result = await testCluster(row, () => opened.connect(credential, caller, limited), limited);
    const failed = result.lines.find(({ outcome }) => outcome === 'failed');
    const because = ['test', 'end', ...(failed === undefined ? [] : [failed.step, failed.code ?? 'failed'])];
    await store.execute('access.record', undefined, {
      audit: [{ ...clusterEvent(caller, row, because), outcome: failed === undefined ? 'allowed' : 'failed' }],
    });
    return result;
  }

  /** @throws StrongroomError `not_found`, `cursor_invalid` */
  async targets(caller: Caller, name: string, request: PageRequest): Promise<PageOf<TargetView>> {
    const { id } = await this.#require(name);
    return readPage(this.#parts.keys, caller, ['cluster-targets', id], request, {
      read: (args) => this.#parts.store.query('clusters.targets', { ...args, clusterId: id }),
      positionOf: ({ namespace, cluster }) => [namespace, cluster],
      toItem: targetView,
    });
  }

  /** @throws StrongroomError `not_found`; `validation_failed` for the domain; `already_exists` when it is another domain's */
  async putTarget(caller: Caller, name: string, namespace: string, domain: string): Promise<TargetView> {
    const { store, access } = this.#parts;
    const { id } = await this.#require(name);
    const scope = await access.findScope(caller.snapshot, 'domain', domain);
    if (scope === null)
      throw new StrongroomError('validation_failed', { errors: [{ pointer: '/domain', message: 'no such domain' }] });
    const event = clusterEvent(caller, { id, name }, ['target', namespace]);
    await this.#writer(caller).execute(
      'clusters.putTarget',
      { clusterId: id, namespace, scopeId: scope.id, by: caller.name },
      { audit: [{ ...event, scope: { id: scope.id, name: scope.name } }] },
    );
    const [row] = await store.query('clusters.targets', { clusterId: id, namespace, q: null, after: null, limit: 1 });
    if (row === undefined) throw new StrongroomError('not_found');
    return targetView(row);
  }

  /** @throws StrongroomError `not_found`, `in_use` */
  async deleteTarget(caller: Caller, name: string, namespace: string): Promise<void> {
    const { id } = await this.#require(name);
    await this.#writer(caller).execute(
      'clusters.deleteTarget',
      { clusterId: id, namespace },
      { audit: [clusterEvent(caller, { id, name }, ['target', 'delete', namespace])] },
    );
  }

  /** What a domain may name. @throws StrongroomError `cursor_invalid` */
  async targetsOf(caller: Caller, scope: ScopeRef, { limit = wholeList, cursor }: PageRequest) {
    const request = { limit, ...(cursor === undefined ? {} : { cursor }) };
    return readPage(this.#parts.keys, caller, ['targets', scope.id], request, {
      read: (args) => this.#parts.store.query('clusters.targets', { ...args, scopeId: scope.id }),
      positionOf: ({ namespace, cluster }) => [namespace, cluster],
      toItem: ({ cluster, namespace, audience }) => ({ cluster, namespace, audience }),
    });
  }

  /** A cluster takes up to {@link askMilliseconds} to answer. */
  #writer(caller: Caller): Writer {
    return this.#parts.access.writer(caller, 'cluster.manage', { kind: 'platform' });
  }

  async #newWay(caller: Caller, row: ListedCluster, input: ClusterAccessInput, signal: AbortSignal) {
    const access = await readAccess(input, this.#parts);
    const sourceId = await this.#sourceId(access);
    await this.#ask(caller, { name: row.name, access, sourceId }, signal, async (api, limited) => {
      const { readClusterUid } = await import('@strongroom/backends/kubernetes');
      requireUid(row, await readClusterUid(api, limited));
    });
    return { access: JSON.stringify(access), sourceId, authorisedBy: caller.id };
  }

  async #ask<Result>(
    caller: Caller,
    credential: { readonly name: string; readonly access: ClusterAccess; readonly sourceId: string | null },
    signal: AbortSignal,
    ask: (api: ApiConnection, signal: AbortSignal) => Promise<Result>,
  ): Promise<Result> {
    const limited = limit(signal);
    const api = await this.#parts.opened.connect({ ...credential, authorisedBy: caller.id }, caller, limited);
    try {
      return await ask(api, limited);
    } finally {
      await api.close();
    }
  }

  /** Another source under the same name does not inherit the reference. */
  async #sourceId(access: ClusterAccess): Promise<string | null> {
    const reference = referenceOf(access);
    if (reference === null) return null;
    return (await findTarget(this.#parts.store, adminScope, reference)).source?.id ?? null;
  }

  async #require(name: string, ifMatch?: number): Promise<ListedCluster> {
    const [row] = await this.#parts.store.query('clusters.list', { name, q: null, after: null, limit: 1 });
    if (row === undefined) throw new StrongroomError('not_found');
    if (ifMatch !== undefined && ifMatch !== row.revision)
      throw new StrongroomError('revision_mismatch', { detail: `It is at revision ${row.revision}.` });
    return row;
  }
}

/** What was typed, else what the cluster says. @throws StrongroomError `validation_failed` when it says nothing */
async function issuerOf(api: ApiConnection, typed: string | undefined, signal: AbortSignal): Promise<string> {
  if (typed !== undefined) return typed;
  const { readClusterIssuer } = await import('@strongroom/backends/kubernetes');
  const issuer = await readClusterIssuer(api, signal);
  if (issuer !== null) return issuer;
  throw new StrongroomError('validation_failed', {
    errors: [{ pointer: '/issuer', message: 'The cluster does not tell us the issuer of its tokens: type it.' }],
  });
}

function limit(signal: AbortSignal): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(askMilliseconds)]);
}

function clusterView(caller: Caller, row: ListedCluster): ClusterView {
  return {
    id: row.id,
    name: row.name,
    description: row.description,
    access: shownAccess(caller, row),
    uid: row.uid,
    issuer: row.issuer,
    audience: row.audience,
    targets: row.targets,
    revision: row.revision,
    createdAt: time(row.created_at),
    createdBy: row.created_by,
    updatedAt: time(row.updated_at),
    updatedBy: row.updated_by,
    actions: actionsOn(caller.snapshot, ['cluster.manage'], { kind: 'platform' }),
  };
}

/** Without what is of the admin scope, for who may not see that. */
function shownAccess({ snapshot }: Caller, row: ListedCluster): ClusterView['access'] {
  const stored = storedAccess(row.access);
  if (stored.kind === 'in-cluster' || decide(snapshot, 'secret.list', { kind: 'scope', scope: adminScope }).allow)
    return stored;
  const { secret: _secret, ...rest } = stored;
  return rest;
}

function targetView({ cluster, namespace, domain, createdAt, createdBy }: ListedTarget): TargetView {
  return { cluster, namespace, domain, createdAt: time(createdAt), createdBy };
}

function clusterEvent(
  caller: Caller,
  { id, name }: { readonly id: string; readonly name: string },
  because: readonly string[],
): AuditEvent {
  return {
    ...actorOf(caller),
    action: 'cluster.manage',
    outcome: 'allowed',
    object: { type: 'cluster', id, name },
    because,
  };
}
