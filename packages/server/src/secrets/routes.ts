import type {
  adminSecretRoutes,
  assignmentRoutes,
  domainSecretRoutes,
  globalSecretRoutes,
  QueryOf,
  ResponseOf,
} from '@strongroom/contract';
import type { Caller, ScopeRef } from '../access/types.ts';
import type { HandlersOf } from '../http/handler.ts';
import { andThen } from '../store/maybe-promise.ts';
import type { SecretImporter } from './importer.ts';
import type { Inventory } from './inventory.ts';
import type { SecretReader } from './reader.ts';
import type { Secrets } from './service.ts';

/** The parts of the catalogue. */
export interface SecretServices {
  readonly secrets: Secrets;
  readonly reader: SecretReader;
  readonly importer: SecretImporter;
  readonly inventory: Inventory;
}

type DomainRoute<Id extends string> = Extract<(typeof domainSecretRoutes)[number], { readonly id: Id }>;

/** What other folders know about a secret. */
export interface SecretKnowledge {
  /** Launches that got another version than the current one. */
  drift(
    caller: Caller,
    scope: ScopeRef,
    secretId: string,
    query: QueryOf<DomainRoute<'listDomainSecretDrift'>>,
  ): Promise<ResponseOf<DomainRoute<'listDomainSecretDrift'>>>;
  /** Who may use or manage it, and why. */
  access(
    caller: Caller,
    scope: ScopeRef,
    secret: { readonly id: string; readonly key: string },
    query: QueryOf<DomainRoute<'listDomainSecretAccess'>>,
  ): Promise<ResponseOf<DomainRoute<'listDomainSecretAccess'>>>;
}

type DomainHandlers = HandlersOf<typeof domainSecretRoutes>;
type AllHandlers = DomainHandlers &
  HandlersOf<typeof adminSecretRoutes> &
  HandlersOf<typeof globalSecretRoutes> &
  HandlersOf<typeof assignmentRoutes>;

/** One set of handlers serves all three scopes: the guard has put the scope of the path into the request. */
export function secretHandlers(
  { secrets, reader, importer, inventory }: SecretServices,
  knowledge: SecretKnowledge,
): AllHandlers {
  const handlers: DomainHandlers = {
    async createDomainSecret({ caller, scope, body, idempotency }) {
      return withEtag(await secrets.create(caller, scope, body, idempotency));
    },
    async listDomainSecrets({ caller, scope, query }) {
      return { body: await reader.list(caller, scope, query) };
    },
    showDomainSecret({ caller, scope, params }) {
      return andThen(reader.show(caller, scope, params.key), withEtag);
    },
    async updateDomainSecret({ caller, scope, params, query, body, ifMatch }) {
      if (query.dryRun === true) return { body: await secrets.previewUpdate(caller, scope, params.key, body, ifMatch) };
      return withEtag(await secrets.update(caller, scope, params.key, body, ifMatch));
    },
    async rotateDomainSecret({ caller, scope, params, body, ifMatch, idempotency }) {
      return withEtag(await secrets.rotate(caller, scope, params.key, body, ifMatch, idempotency));
    },
    async listDomainSecretVersions({ caller, scope, params }) {
      return { body: { items: await reader.versions(caller, scope, params.key) } };
    },
    async rollBackDomainSecret({ caller, scope, params, body, ifMatch }) {
      return withEtag(await secrets.rollback(caller, scope, params.key, body.version, ifMatch));
    },
    async deleteDomainSecret({ caller, scope, params, query, ifMatch }) {
      return { body: await secrets.delete(caller, scope, params.key, { force: query.force ?? false, ifMatch }) };
    },
    async restoreDomainSecret({ caller, scope, params }) {
      return withEtag(await secrets.restore(caller, scope, params.key));
    },
    async purgeDomainSecret({ caller, scope, params }) {
      await secrets.purge(caller, scope, params.key);
      return {};
    },
    async listDomainSecretUses({ caller, scope, params, query }) {
      return { body: await reader.usedBy(caller, scope, params.key, query) };
    },
    async listDomainSecretDrift({ caller, scope, params, query }) {
      const secret = await reader.get(caller, scope, params.key);
      return { body: await knowledge.drift(caller, scope, secret.id, query) };
    },
    async listDomainSecretAccess({ caller, scope, params, query }) {
      const secret = await reader.get(caller, scope, params.key);
      return { body: await knowledge.access(caller, scope, secret, query) };
    },
    async importDomainSecrets({ caller, scope, body, signal, idempotency }) {
      return { body: await importer.import(caller, scope, body, idempotency, signal) };
    },
    async listDomainFolders({ caller, scope, query }) {
      return { body: await reader.folders(caller, scope, query) };
    },
    async listDomainInventory({ caller, scope, query }) {
      return { body: await inventory.list(caller, scope, query) };
    },
  };
  return {
    ...handlers,
    ...renamed(handlers, 'Admin'),
    ...renamed(handlers, 'Global'),
    async showAssignments({ caller, scope, params }) {
      return { body: await reader.assignments(caller, scope, params.key) };
    },
    async putAssignments({ caller, scope, params, query, body }) {
      if (query.dryRun === true) return { body: await secrets.previewAssignment(caller, scope, params.key, body) };
      return { body: await secrets.assign(caller, scope, params.key, body) };
    },
  };
}

/** `showDomainSecret` → `showAdminSecret`: same code, the request carries another scope. */
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
