import { Type } from 'typebox';
import { Label } from '../names.ts';
import { Closed, route } from '../route.ts';
import { surfaceActions } from '../surfaces/actions.ts';
import {
  Connection,
  ConnectionCreate,
  ConnectionTypeInfo,
  ConnectionUpdate,
  ConnectionWorkflow,
  workflowLoaders,
} from '../surfaces/connection.ts';
import { configurationRoutes, formTestRoutes, preflightRoute } from './configuration-routes.ts';

const connection = {
  noun: 'Connection',
  plural: 'Connections',
  path: 'connections',
  title: 'connection',
  // One that was deleted softly is restored first.
  changeErrors: ['state_conflict'],
} as const;
const actions = surfaceActions.connection;
const all = '/v1/domains/{domain}/connections';
const one = `${all}/{name}`;
const params = Closed({ domain: Label, name: Label });

const [createConnection, listConnections, showConnection, updateConnection] = configurationRoutes(connection, actions, {
  create: ConnectionCreate,
  update: ConnectionUpdate,
  shown: Connection,
});

export const connectionRoutes = [
  createConnection,
  listConnections,
  showConnection,
  updateConnection,
  route({
    id: 'deleteConnection',
    method: 'DELETE',
    path: one,
    summary:
      'Delete a connection: softly, which keeps it and its secrets, or with hard for good, with exactly its own secrets',
    tag: 'connections',
    access: { kind: 'asset', action: actions.delete, parameter: 'name' },
    params,
    query: Closed({
      hard: Type.Optional(Type.Boolean({ description: 'For good; default: softly' })),
      force: Type.Optional(Type.Boolean({ description: 'Although others use it' })),
    }),
    status: 204,
    errors: ['revision_mismatch', 'state_conflict', 'in_use'],
    ifMatch: true,
  }),
  route({
    id: 'restoreConnection',
    method: 'POST',
    path: `${one}/restore`,
    summary: 'Take back that a connection was deleted softly',
    tag: 'connections',
    access: { kind: 'asset', action: actions.delete, parameter: 'name' },
    params,
    status: 200,
    response: Connection,
    errors: ['revision_mismatch'],
    ifMatch: true,
  }),
  ...formTestRoutes(connection, actions, ConnectionUpdate),
  preflightRoute(connection, actions.consume, 'its ingestion'),
  route({
    id: 'showConnectionWorkflow',
    method: 'GET',
    path: `${one}/workflow`,
    summary: 'The ingestion workflow of a connection for OpenMetadata, with the names of its secrets in Kubernetes',
    tag: 'connections',
    access: { kind: 'asset', action: actions.view, parameter: 'name' },
    params,
    query: Closed({
      hostPort: Type.String({ minLength: 1, maxLength: 2048, description: 'Address of OpenMetadata’s API' }),
      authProvider: Type.Optional(Type.String({ maxLength: 53, description: 'Default: openmetadata' })),
      secretsManagerLoader: Type.Optional(Type.Enum([...workflowLoaders], { description: 'Default: env' })),
      bot: Type.Optional(
        Type.String({ maxLength: 53, description: 'The bot, a connection of the domain, that ingestion signs in as' }),
      ),
    }),
    status: 200,
    response: ConnectionWorkflow,
    errors: ['state_conflict', 'not_found'],
  }),
  route({
    id: 'listConnectionTypes',
    method: 'GET',
    path: '/v1/connection-types',
    summary: 'Kinds of connections, each with its JSON Schema',
    tag: 'connections',
    access: { kind: 'authenticated', reason: 'The same for everybody: it comes with the server' },
    status: 200,
    response: Closed({ items: Type.Array(ConnectionTypeInfo) }),
  }),
] as const;
