import type { referenceRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { ReferenceUses, UsesQuery } from './uses.ts';

interface ReferenceRequest {
  readonly caller: Caller;
  readonly scope: ScopeRef;
  readonly query: UsesQuery;
}

/** Handlers of what all surfaces share. */
export function referenceHandlers(uses: ReferenceUses): HandlersOf<typeof referenceRoutes> {
  const list = async ({ caller, scope, query }: ReferenceRequest) => ({ body: await uses.list(caller, scope, query) });
  return { listAdminReferenceUses: list, listGlobalReferenceUses: list, listDomainReferenceUses: list };
}
