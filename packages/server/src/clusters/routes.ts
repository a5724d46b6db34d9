import type { clusterRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import type { Clusters } from './service.ts';

export function clusterHandlers(clusters: Clusters): HandlersOf<typeof clusterRoutes> {
  return {
    async createCluster({ caller, body, signal, idempotency }) {
      const view = await clusters.create(caller, body, signal, idempotency);
      return { body: view, etag: view.revision };
    },
    async listClusters({ caller, query }) {
      return { body: await clusters.list(caller, query) };
    },
    async showCluster({ caller, params }) {
      const view = await clusters.get(caller, params.cluster);
      return { body: view, etag: view.revision };
    },
    async updateCluster({ caller, params, body, ifMatch, signal }) {
      const view = await clusters.update(caller, params.cluster, body, ifMatch, signal);
      return { body: view, etag: view.revision };
    },
    async deleteCluster({ caller, params, ifMatch }) {
      await clusters.delete(caller, params.cluster, ifMatch);
      return {};
    },
    async testCluster({ caller, params, signal }) {
      return { body: await clusters.test(caller, params.cluster, signal) };
    },
    async listClusterTargets({ caller, params, query }) {
      return { body: await clusters.targets(caller, params.cluster, query) };
    },
    async putClusterTarget({ caller, params, body }) {
      return { body: await clusters.putTarget(caller, params.cluster, params.namespace, body.domain) };
    },
    async deleteClusterTarget({ caller, params }) {
      await clusters.deleteTarget(caller, params.cluster, params.namespace);
      return {};
    },
    async listDomainTargets({ caller, scope, query }) {
      return { body: await clusters.targetsOf(caller, scope, query) };
    },
  };
}
