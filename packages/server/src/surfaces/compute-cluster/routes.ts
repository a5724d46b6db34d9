import type { computeClusterRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../../http/handler.ts';
import { configurationHandlers, type LaunchHandlerParts, launchableHandlers } from '../configuration-handlers.ts';
import type { ConfigurationService } from '../service.ts';
import type { ComputeClusterDocument, ComputeClusterInput } from './document.ts';

/** Handlers of compute clusters. */
export function computeClusterHandlers(
  clusters: ConfigurationService<ComputeClusterInput, ComputeClusterDocument>,
  parts: LaunchHandlerParts,
): HandlersOf<typeof computeClusterRoutes> {
  const each = configurationHandlers(clusters, shown);
  const launched = launchableHandlers(parts);
  return {
    createComputeCluster: each.create,
    listComputeClusters: each.list,
    showComputeCluster: each.show,
    updateComputeCluster: each.update,
    deleteComputeCluster: each.delete,
    preflightComputeCluster: launched.preflight,
    runComputeCluster: launched.run,
    listComputeClusterRuns: launched.listRuns,
  };
}

function shown({ environment, sparkConfig, storageConfigs, ...rest }: ComputeClusterDocument) {
  return {
    ...rest,
    ...(storageConfigs === undefined ? {} : { storageConfigs: [...storageConfigs] }),
    environment: [...environment],
    sparkConfig: [...sparkConfig],
  };
}
