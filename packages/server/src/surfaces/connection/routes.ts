import type { Egress } from '@strongroom/backends/egress';
import { type connectionRoutes, connectionTypes, StrongroomError } from '@strongroom/contract';
import type { AccessService } from '../../access/service.ts';
import type { AssetRef, Caller, ScopeRef } from '../../access/types.ts';
import type { HandlersOf } from '../../http/handler.ts';
import { configurationHandlers, formTestHandlers } from '../configuration-handlers.ts';
import type { ShownConfiguration } from '../configuration-views.ts';
import type { FormTester } from '../form-test.ts';
import type { ConfigurationService } from '../service.ts';
import { shownConfig } from './config.ts';
import type { ConnectionDocument, ConnectionInput } from './document.ts';
import { readObjectNames } from './object-names.ts';
import { testsOf, tryConnection } from './test-connection.ts';
import { type WorkflowParts, workflowOf } from './workflow.ts';

export interface ConnectionParts extends WorkflowParts {
  readonly connections: ConfigurationService<ConnectionInput, ConnectionDocument>;
  readonly tester: FormTester<ConnectionInput, ConnectionDocument>;
  readonly access: AccessService;
  readonly openEgress: () => Promise<Egress>;
}

/** Handlers of connections. */
export function connectionHandlers(parts: ConnectionParts): HandlersOf<typeof connectionRoutes> {
  const { connections, tester, settings } = parts;
  const each = configurationHandlers(connections, shown);
  const tries = formTestHandlers(tester, async (form) => tryConnection(form, await parts.openEgress()));
  const withReferences = <Body extends ConnectionInput>(body: Body, scope: ScopeRef): Body => ({
    ...body,
    config: readObjectNames(body.config, settings, scope),
  });
  const reply = (view: ShownConfiguration<ConnectionDocument>) => {
    const { document, running: _running, ...rest } = view;
    return { body: { ...rest, ...shown(document), deleted: rest.suspended }, etag: rest.revision };
  };
  const flagged = <Answer extends { readonly body: { readonly suspended: boolean } }>(answer: Answer) => ({
    ...answer,
    body: { ...answer.body, deleted: answer.body.suspended },
  });
  return {
    // What a handler is given is not copied: its parts are made when they are asked for.
    createConnection: async ({ caller, scope, query, body, idempotency }) =>
      flagged(await each.create({ caller, scope, query, body: withReferences(body, scope), idempotency })),
    listConnections: each.list,
    showConnection: async (request) => flagged(await each.show(request)),
    updateConnection: async ({ caller, asset, query, body, ifMatch }) => {
      await requireThere(parts, caller, asset);
      return flagged(await each.update({ caller, asset, query, body: withReferences(body, asset.scope), ifMatch }));
    },
    deleteConnection: async ({ caller, asset, query, ifMatch }) => {
      if (query.hard === true) await connections.delete(caller, asset, ifMatch, query.force === true);
      else await connections.suspend(caller, asset, true, ifMatch);
      return {};
    },
    restoreConnection: async ({ caller, asset, ifMatch }) =>
      reply(await connections.suspend(caller, asset, false, ifMatch)),
    testConnectionForm: ({ caller, scope, body, signal }) =>
      tries.testForm({ caller, scope, body: withReferences(body, scope), signal }),
    testConnection: async ({ caller, asset, body, ifMatch, signal }) => {
      await requireThere(parts, caller, asset);
      return tries.test({ caller, asset, body: withReferences(body, asset.scope), ifMatch, signal });
    },
    preflightConnection: tries.preflight,
    showConnectionWorkflow: async ({ caller, asset, query }) => {
      const { name, document } = await requireThere(parts, caller, asset);
      const { hostPort, authProvider = 'openmetadata', secretsManagerLoader = 'env', bot } = query;
      const server = { hostPort, authProvider, secretsManagerLoader };
      const signer = bot === undefined ? null : await botOf(parts, caller, asset.scope, bot);
      return { body: { workflow: await workflowOf(parts, asset.scope, { name, document }, server, signer) } };
    },
    listConnectionTypes: () => Promise.resolve({ body: { items: types } }),
  };
}

const types = [...connectionTypes.values()].map(({ type, title, category, serviceType, schema }) => ({
  type,
  title,
  category,
  ...(serviceType === undefined ? {} : { serviceType }),
  tests: testsOf(type),
  schema: { ...schema },
}));

function shown(document: ConnectionDocument) {
  const { type, description, schema } = document;
  return {
    type,
    ...(description === undefined ? {} : { description }),
    ...(schema === undefined ? {} : { schema: { ...schema } }),
    config: shownConfig(document),
  };
}

/** @throws StrongroomError `state_conflict` for one that is deleted softly */
async function requireThere(
  { connections }: ConnectionParts,
  caller: Caller,
  asset: Pick<AssetRef, 'scope' | 'name'>,
): Promise<ShownConfiguration<ConnectionDocument>> {
  const found = await connections.get(caller, asset);
  if (!found.suspended) return found;
  throw new StrongroomError('state_conflict', {
    detail: `The connection ${found.name} is deleted.`,
    hint: 'Restore it, or delete it for good.',
  });
}

/** @throws StrongroomError `not_found` also for one that the caller may not see */
async function botOf(
  parts: ConnectionParts,
  caller: Caller,
  scope: ScopeRef,
  name: string,
): Promise<ConnectionDocument> {
  const asset = await parts.access.configurationAsset(scope, 'connection', name);
  if (asset === null) throw new StrongroomError('not_found');
  await parts.access.require(caller, 'connection.view', { kind: 'asset', asset });
  return (await requireThere(parts, caller, asset)).document;
}
