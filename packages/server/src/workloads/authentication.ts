import { hash } from 'node:crypto';
import { StrongroomError } from '@strongroom/contract';
import type { Access, Caller } from '../access/types.ts';
import type { AuditEvent } from '../audit/event.ts';
import type { OpenedClusters } from '../clusters/opened-clusters.ts';
import type { AuthenticationContext } from '../http/authentication.ts';
import { principalLabel } from '../identities/actor.ts';
import { networkOf } from '../identities/network.ts';
import { hotStatement, type Store } from '../store/store.ts';
import { TokenReviews } from './reviews.ts';
import type { TokenClaims } from './token.ts';

interface BoundRow {
  readonly workload_id: string;
  readonly principal_id: string;
  readonly name: string;
  readonly domain: string;
  readonly scope_id: string;
  readonly cluster_id: string;
  readonly cluster: string;
  readonly cluster_revision: number;
  readonly audience: string;
}

/** Issuer, audience, namespace, ServiceAccount, uid → as whom it acts. The namespace has to be the domain's own still. */
const boundTo = hotStatement<BoundRow>('workloads.boundTo', (db) =>
  db
    .selectFrom('workloads')
    .innerJoin('clusters', 'clusters.id', 'workloads.cluster_id')
    .innerJoin('principals', 'principals.id', 'workloads.principal_id')
    .innerJoin('scopes', 'scopes.id', 'principals.scope_id')
    .innerJoin('cluster_targets', (join) =>
      join
        .onRef('cluster_targets.cluster_id', '=', 'workloads.cluster_id')
        .onRef('cluster_targets.namespace', '=', 'workloads.namespace')
        .onRef('cluster_targets.scope_id', '=', 'principals.scope_id'),
    )
    .select([
      'workloads.id as workload_id',
      'workloads.principal_id',
      'principals.name',
      'scopes.name as domain',
      'scopes.id as scope_id',
      'clusters.id as cluster_id',
      'clusters.name as cluster',
      'clusters.revision as cluster_revision',
      'clusters.audience',
    ])
    .where('clusters.issuer', '=', '')
    .where('clusters.audience', '=', '')
    .where('workloads.namespace', '=', '')
    .where('workloads.service_account', '=', '')
    .where('workloads.uid', '=', '')
    .where('principals.deleted_at', 'is', null)
    .where('principals.disabled_at', 'is', null)
    .where('scopes.deleted_at', 'is', null)
    .compile(),
);

/** Tokens whose first use by this process is on record. */
const maxSeen = 10_000;

export interface WorkloadAuthenticationParts {
  readonly store: Store;
  readonly access: Pick<Access, 'snapshot'>;
  readonly clusters: Pick<OpenedClusters, 'open'>;
  /** Told why a cluster could not be asked; never of a token. */
  readonly onError: (error: unknown) => void;
}

/**
 * Projected tokens of pods. Which cluster to ask is said by the token's issuer and audience; only one of those that are bound to
 * a service account is asked about, so that strangers can't make us press a cluster.
 */
export class WorkloadAuthentication {
  readonly #parts: WorkloadAuthenticationParts;
  readonly #reviews: TokenReviews;
  readonly #seen = new Set<string>();

  constructor(parts: WorkloadAuthenticationParts) {
    this.#parts = parts;
    this.#reviews = new TokenReviews(parts.clusters);
  }

  /**
   * Who the token's pod acts as; `null`: nobody, whatever the reason.
   * @throws StrongroomError `backend_unavailable` when its cluster could not be asked, `throttled`, `audit_unavailable`
   */
  async find(token: string, context: AuthenticationContext): Promise<Caller | null> {
    const { readWorkloadToken } = await import('./token.ts');
    const claims = readWorkloadToken(token, Date.now());
    if (claims === null) return null;
    const digest = hash('sha256', token, 'hex');
    const asked = await this.#bound(claims);
    if (asked === undefined || !(await this.#isTaken(token, digest, claims, asked, context.network))) return null;
    // It may have been unbound while the cluster was asked.
    const bound = await this.#bound(claims);
    if (bound === undefined || bound.workload_id !== asked.workload_id) return null;
    const snapshot = await this.#parts.access.snapshot(bound.principal_id);
    if (snapshot === null || snapshot.principal.isDisabled) return null;
    const caller: Caller = {
      id: bound.principal_id,
      kind: 'service-account',
      name: principalLabel({ kind: 'service-account', name: bound.name, domain: bound.domain }),
      snapshot,
      requestId: context.requestId,
      network: context.network,
      credential: { type: 'workload', id: bound.workload_id },
    };
    await this.#record(caller, digest, claims, bound);
    return caller;
  }

  #bound({ issuer, audience, namespace, serviceAccount, uid }: TokenClaims) {
    return this.#parts.store.first(boundTo, [issuer, audience, namespace, serviceAccount, uid]);
  }

  /** Whether the cluster says that it is the token of just this pod. */
  async #isTaken(
    token: string,
    digest: string,
    claims: TokenClaims,
    bound: BoundRow,
    address: string,
  ): Promise<boolean> {
    try {
      const reviewed = await this.#reviews.ask({
        digest,
        token,
        clusterId: bound.cluster_id,
        clusterRevision: bound.cluster_revision,
        audience: bound.audience,
        expiresAt: claims.expiresAt,
        network: networkOf(address),
        isProven: this.#seen.has(seenKey(digest, bound)),
      });
      return (
        reviewed !== null &&
        reviewed.namespace === claims.namespace &&
        reviewed.serviceAccount === claims.serviceAccount &&
        reviewed.uid === claims.uid &&
        reviewed.pod?.uid === claims.podUid
      );
    } catch (error) {
      if (error instanceof StrongroomError && error.code === 'throttled') throw error;
      this.#parts.onError(error);
      throw new StrongroomError('backend_unavailable', {
        detail: 'The token could not be checked just now; this is no statement about the token.',
      });
    }
  }

  /** The first use of each token is on record before it is of any use. */
  async #record(
    caller: Caller,
    digest: string,
    { namespace, serviceAccount, podUid }: TokenClaims,
    bound: BoundRow,
  ): Promise<void> {
    const { scope_id: id, domain, cluster, workload_id: workload } = bound;
    const key = seenKey(digest, bound);
    if (this.#seen.has(key)) return;
    const event: AuditEvent = {
      principal: caller.id,
      principalName: caller.name,
      action: 'sign-in',
      outcome: 'allowed',
      scope: { id, name: domain },
      requestId: caller.requestId,
      network: caller.network,
      because: ['workload'],
      detail: { workload, cluster, namespace, serviceAccount, podUid },
    };
    await this.#parts.store.execute('access.record', undefined, { audit: [event] });
    this.#seen.add(key);
    const [oldest] = this.#seen;
    if (this.#seen.size > maxSeen && oldest !== undefined) this.#seen.delete(oldest);
  }
}

function seenKey(digest: string, { workload_id: workload }: BoundRow): string {
  return `${digest} ${workload}`;
}
