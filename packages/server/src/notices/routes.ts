import type { adminNoticeRoutes, domainNoticeRoutes, globalNoticeRoutes } from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import type { Notices } from './service.ts';

type DomainHandlers = HandlersOf<typeof domainNoticeRoutes>;
type AllHandlers = DomainHandlers & HandlersOf<typeof adminNoticeRoutes> & HandlersOf<typeof globalNoticeRoutes>;

/** One set of handlers serves all three scopes: the guard has put the scope of the path into the request. */
export function noticeHandlers(notices: Notices): AllHandlers {
  const handlers: DomainHandlers = {
    async showDomainNoticeSettings({ caller, scope }) {
      const view = await notices.settings(caller, scope);
      return { body: view, etag: view.revision };
    },
    async putDomainNoticeSettings({ caller, scope, body, ifMatch }) {
      const view = await notices.put(caller, scope, body, ifMatch);
      return { body: view, etag: view.revision };
    },
    async deleteDomainNoticeSettings({ caller, scope, ifMatch }) {
      await notices.delete(caller, scope, ifMatch);
      return {};
    },
    async testDomainNoticeSettings({ caller, scope, signal }) {
      return { body: await notices.test(caller, scope, signal) };
    },
    async listDomainNotices({ caller, scope, query }) {
      return { body: await notices.list(caller, scope, query) };
    },
  };
  return { ...handlers, ...renamed(handlers, 'Admin'), ...renamed(handlers, 'Global') };
}

/** `showDomainNoticeSettings` → `showAdminNoticeSettings`: same code, the request carries another scope. */
function renamed<Kind extends 'Admin' | 'Global'>(
  handlers: DomainHandlers,
  kind: Kind,
): Pick<AllHandlers, Extract<keyof AllHandlers, `${string}${Kind}${string}`>> {
  const entries = Object.entries(handlers).map(([id, handler]) => [id.replace('Domain', kind), handler]);
  return Object.fromEntries(entries) as Pick<AllHandlers, Extract<keyof AllHandlers, `${string}${Kind}${string}`>>;
}
