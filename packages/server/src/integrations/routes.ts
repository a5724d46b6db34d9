import type {
  adminIntegrationRoutes,
  domainChoiceRoutes,
  domainIntegrationRoutes,
  globalIntegrationRoutes,
  integrationAssignmentRoutes,
  platformChoiceRoutes,
} from '@strongroom/contract';
import type { HandlersOf } from '../http/handler.ts';
import type { IntegrationAssignments } from './assignments.ts';
import type { ChoiceList } from './choices.ts';
import type { IntegrationConformance } from './conformance.ts';
import type { KeyIndex } from './key-index.ts';
import type { Integrations } from './service.ts';
import type { IntegrationTester } from './tester.ts';

export interface IntegrationServices {
  readonly integrations: Integrations;
  readonly assignments: IntegrationAssignments;
  readonly tester: IntegrationTester;
  readonly conformance: IntegrationConformance;
  readonly index: KeyIndex;
  readonly choices: ChoiceList;
}

type DomainHandlers = HandlersOf<typeof domainIntegrationRoutes>;
type AllHandlers = DomainHandlers &
  HandlersOf<typeof adminIntegrationRoutes> &
  HandlersOf<typeof globalIntegrationRoutes> &
  HandlersOf<typeof integrationAssignmentRoutes> &
  HandlersOf<typeof domainChoiceRoutes> &
  HandlersOf<typeof platformChoiceRoutes>;

/** One set of handlers serves all three scopes: the guard has put the scope of the path into the request. */
export function integrationHandlers({
  integrations,
  assignments,
  tester,
  conformance,
  index,
  choices,
}: IntegrationServices): AllHandlers {
  const handlers: DomainHandlers = {
    async createDomainIntegration({ caller, scope, query, body, idempotency }) {
      if (query.dryRun === true) return { body: await integrations.previewCreation(caller, scope, body) };
      return withEtag(await integrations.create(caller, scope, body, idempotency));
    },
    async listDomainIntegrations({ caller, scope, query }) {
      return { body: await integrations.list(caller, scope, query) };
    },
    async showDomainIntegration({ caller, asset }) {
      return withEtag(await integrations.get(caller, asset));
    },
    async updateDomainIntegration({ caller, asset, query, body, ifMatch }) {
      if (query.dryRun === true) return { body: await integrations.previewUpdate(caller, asset, body, ifMatch) };
      return withEtag(await integrations.update(caller, asset, body, ifMatch));
    },
    async deleteDomainIntegration({ caller, asset, query, ifMatch }) {
      return { body: await integrations.delete(caller, asset, { force: query.force ?? false, ifMatch }) };
    },
    async testDomainIntegrationForm({ caller, scope, body, signal }) {
      return { body: await tester.testForm(caller, scope, body, signal) };
    },
    async testDomainIntegration({ caller, asset, signal }) {
      return { body: await tester.test(caller, asset, signal) };
    },
    async refreshDomainIntegration({ caller, asset, signal }) {
      return { body: await index.refreshNow(caller, asset, signal) };
    },
    async checkDomainIntegrationConformance({ caller, asset, body, signal }) {
      return { body: await conformance.run(caller, asset, body.keys, signal) };
    },
  };
  return {
    ...handlers,
    ...renamed(handlers, 'Admin'),
    ...renamed(handlers, 'Global'),
    async showIntegrationAssignments({ asset }) {
      return { body: await assignments.list(asset) };
    },
    async listDomainChoices({ caller, scope, query }) {
      return { body: await choices.list(caller, scope, query) };
    },
    async listPlatformChoices({ caller, scope, query }) {
      return { body: await choices.list(caller, scope, query) };
    },
    async putIntegrationAssignments({ caller, asset, query, body }) {
      if (query.dryRun === true) return { body: await assignments.preview(caller, asset, body) };
      return { body: await assignments.assign(caller, asset, body) };
    },
  };
}

/** `showDomainIntegration` → `showAdminIntegration`: same code, the request carries another scope. */
function renamed<Kind extends 'Admin' | 'Global'>(
  handlers: DomainHandlers,
  kind: Kind,
): Pick<AllHandlers, Extract<keyof AllHandlers, `${string}${Kind}${string}`>> {
  const entries = Object.entries(handlers).map(([id, handler]) => [id.replace('Domain', kind), handler]);
  return Object.fromEntries(entries) as Pick<AllHandlers, Extract<keyof AllHandlers, `${string}${Kind}${string}`>>;
}

function withEtag<View extends { readonly revision: number }>(view: View): { body: View; etag: number } {
  return { body: view, etag: view.revision };
}
