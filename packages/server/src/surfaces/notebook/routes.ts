import type { notebookRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../../http/handler.ts';
import { configurationHandlers, type LaunchHandlerParts, launchableHandlers } from '../configuration-handlers.ts';
import type { ConfigurationService } from '../service.ts';
import type { NotebookDocument, NotebookInput } from './document.ts';

/** Handlers of notebooks. */
export function notebookHandlers(
  notebooks: ConfigurationService<NotebookInput, NotebookDocument>,
  parts: LaunchHandlerParts,
): HandlersOf<typeof notebookRoutes> {
  const each = configurationHandlers(notebooks, shown);
  const launched = launchableHandlers(parts);
  return {
    createNotebook: each.create,
    listNotebooks: each.list,
    showNotebook: each.show,
    updateNotebook: each.update,
    deleteNotebook: each.delete,
    preflightNotebook: launched.preflight,
    runNotebook: launched.run,
    listNotebookRuns: launched.listRuns,
  };
}

function shown({ environment, storageConfigs, ...rest }: NotebookDocument) {
  return {
    ...rest,
    ...(storageConfigs === undefined ? {} : { storageConfigs: [...storageConfigs] }),
    environment: [...environment],
  };
}
