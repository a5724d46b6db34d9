import type { referenceRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import type { ReferenceUses } from './uses.ts';

/** Handlers of what all surfaces share. */
export function referenceHandlers(uses: ReferenceUses): HandlersOf<typeof referenceRoutes> {
  return {
    async listReferenceUses({ caller, scope, query }) {
      return { body: await uses.list(caller, scope, query) };
    },
  };
}
