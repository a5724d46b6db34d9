import type { domainRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import type { Domains } from './service.ts';

/** Handlers of the domains' routes. */
export function domainHandlers(domains: Domains): HandlersOf<typeof domainRoutes> {
  return {
    listDomains: async ({ caller, query }) => ({ body: await domains.list(caller, query) }),
    createDomain: async ({ caller, query, body, idempotency }) => {
      if (query.dryRun === true) return { body: await domains.previewCreation(caller, body) };
      const domain = await domains.create(caller, body, idempotency);
      return { body: domain, etag: domain.revision };
    },
    showDomain: async ({ caller, scope }) => {
      const domain = await domains.get(caller, scope);
      return { body: domain, etag: domain.revision };
    },
    updateDomain: async ({ caller, scope, query, body, ifMatch }) => {
      if (query.dryRun === true) return { body: await domains.previewUpdate(caller, scope, body, ifMatch) };
      const domain = await domains.update(caller, scope, body, ifMatch);
      return { body: domain, etag: domain.revision };
    },
    deleteDomain: async ({ caller, scope, query, ifMatch }) => {
      await domains.delete(caller, scope, {
        force: query.force === true,
        ...(ifMatch === undefined ? {} : { expectedRevision: ifMatch }),
      });
      return {};
    },
  };
}
