import type { sparkJobRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../../http/handler.ts';
import { configurationHandlers, type LaunchHandlerParts, launchableHandlers } from '../configuration-handlers.ts';
import type { ConfigurationService } from '../service.ts';
import type { SparkJobDocument, SparkJobInput } from './document.ts';

/** Handlers of Spark jobs. */
export function sparkJobHandlers(
  jobs: ConfigurationService<SparkJobInput, SparkJobDocument>,
  parts: LaunchHandlerParts,
): HandlersOf<typeof sparkJobRoutes> {
  const each = configurationHandlers(jobs, shown);
  const launched = launchableHandlers(parts);
  return {
    createSparkJob: each.create,
    listSparkJobs: each.list,
    showSparkJob: each.show,
    updateSparkJob: each.update,
    suspendSparkJob: each.suspend,
    deleteSparkJob: each.delete,
    preflightSparkJob: launched.preflight,
    runSparkJob: launched.run,
    listSparkJobRuns: launched.listRuns,
  };
}

function shown({ environment, sparkConfig, files, command, storageConfigs, ...rest }: SparkJobDocument) {
  return {
    ...rest,
    ...(command === undefined ? {} : { command: [...command] }),
    ...(storageConfigs === undefined ? {} : { storageConfigs: [...storageConfigs] }),
    environment: [...environment],
    sparkConfig: [...sparkConfig],
    files: [...files],
  };
}
