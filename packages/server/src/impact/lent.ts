import { launchableSurfaces, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../access/service.ts';
import type { Caller } from '../access/types.ts';
import { requireTargetFree } from '../clusters/commands.ts';
import type { OpenedClusters } from '../clusters/opened-clusters.ts';
import { requireUnused } from '../integrations/profiles/commands.ts';
import type { RunService } from '../runs/service.ts';
import type { Store } from '../store/store.ts';
import { type Aside, type Effect, Hits, type ImpactView } from './gather.ts';
import { addHeld, hitsOf, maxRows, refusalOf } from './reads.ts';

interface LentParts {
  readonly store: Store;
  readonly access: AccessService;
  readonly clusters: Pick<OpenedClusters, 'targetsOf'>;
  readonly runs: Pick<RunService, 'targetOf'>;
}

/** What stands on what the platform lends to domains: namespaces of clusters, and identities of the server. */
export class LentImpact {
  readonly #parts: LentParts;

  constructor(parts: LentParts) {
    this.#parts = parts;
  }

  /** A namespace that is taken from its domain: what would run there runs nowhere. @throws StrongroomError `not_found` */
  async ofTarget(caller: Caller, clusterName: string, namespace: string): Promise<ImpactView> {
    const { store, clusters, runs } = this.#parts;
    const target = await store.db
      .selectFrom('cluster_targets')
      .innerJoin('clusters', 'clusters.id', 'cluster_targets.cluster_id')
      .select(['cluster_targets.cluster_id as clusterId', 'cluster_targets.scope_id as scopeId'])
      .where('clusters.name', '=', clusterName)
      .where('cluster_targets.namespace', '=', namespace)
      .executeTakeFirst();
    if (target === undefined) throw new StrongroomError('not_found');
    const { clusterId, scopeId } = target;
    const targets = await clusters.targetsOf(scopeId);
    const rows = await store.query('impact.launchedIn', { scopeId, surfaces: launchableSurfaces, limit: maxRows + 1 });
    const hits = new Hits();
    if (rows.length > maxRows) hits.cut();
    for (const row of rows.slice(0, maxRows)) {
      const meant = runs.targetOf(row, targets);
      if (meant?.clusterId === clusterId && meant.namespace === namespace) hits.addConfiguration(row);
    }
    const { configurationIds } = hits;
    if (configurationIds.length > 0) await addHeld(store, hits, [{ configurationIds }]);
    const aside = await refusalOf(() => requireTargetFree(store, { clusterId, namespace }));
    return this.#view(caller, hits, 'revoke', 'launches-fail', aside);
  }

  /**
   * A profile that goes, that says something else, or that is lent to fewer: all that the integrations hold that name it.
   * @param kept of `revoke`: names of the scopes that it stays lent to
   * @throws StrongroomError `not_found`
   */
  async ofProfile(
    caller: Caller,
    name: string,
    change: 'delete' | 'edit' | 'revoke',
    kept: readonly string[],
  ): Promise<ImpactView> {
    const { store } = this.#parts;
    const profile = await store.db.selectFrom('profiles').select('id').where('name', '=', name).executeTakeFirst();
    if (profile === undefined) throw new StrongroomError('not_found');
    const integrations = await store.db
      .selectFrom('integrations')
      .innerJoin('scopes', 'scopes.id', 'integrations.scope_id')
      .select(['integrations.id', 'integrations.scope_id', 'scopes.name'])
      .where('integrations.profile_id', '=', profile.id)
      .orderBy('integrations.id')
      .limit(maxRows + 1)
      .execute();
    const losing = integrations.slice(0, maxRows).filter((each) => change !== 'revoke' || !kept.includes(each.name));
    const wanted = losing.map(({ id: sourceId, scope_id: scopeId }) => ({
      target: { scopeId, sourceId },
      held: { sourceId },
    }));
    const hits = await hitsOf(store, wanted);
    if (integrations.length > maxRows) hits.cut();
    const aside = change === 'delete' ? await refusalOf(() => requireUnused(store, { id: profile.id, name })) : {};
    return this.#view(caller, hits, change, change === 'edit' ? 'launches-may-fail' : 'launches-fail', aside);
  }

  #view(caller: Caller, hits: Hits, change: ImpactView['change'], effect: Effect, aside: Aside): ImpactView {
    const what = { change, effect, seesAll: false };
    return { ...hits.view(this.#parts.access, caller.snapshot, what, Date.now()), ...aside };
  }
}
