import { connectionTypes, type KubernetesStoreSettings, StrongroomError } from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import type { Store } from '../../store/store.ts';
import { fillConfig, schemaOf } from './config.ts';
import type { ConnectionDocument } from './document.ts';
import { objectNameOf } from './object-names.ts';

/** How ingestion is told where OpenMetadata is. */
export interface WorkflowServer {
  readonly hostPort: string;
  readonly authProvider: string;
  readonly secretsManagerLoader: string;
}

export interface WorkflowParts {
  readonly store: Store;
  readonly settings: KubernetesStoreSettings;
}

/** What a category's metadata is read by (OpenMetadata, "Ingestion workflows"). */
const sourceConfigs: Readonly<Record<string, string>> = {
  database: 'DatabaseMetadata',
  messaging: 'MessagingMetadata',
  pipeline: 'PipelineMetadata',
  dashboard: 'DashboardMetadata',
  storage: 'StorageMetadata',
};

/**
 * The workflow that OpenMetadata's ingestion runs, with `secret:NAME` for each secret: its own client reads them from Kubernetes.
 * @param bot whose token it signs in with; without one that is left to the runtime
 * @throws StrongroomError `state_conflict` for a connection that is no service of OpenMetadata, and for secrets that are elsewhere
 */
export async function workflowOf(
  { store, settings }: WorkflowParts,
  scope: ScopeRef,
  { name, document }: { readonly name: string; readonly document: ConnectionDocument },
  server: WorkflowServer,
  bot: ConnectionDocument | null,
): Promise<Record<string, unknown>> {
  const type = connectionTypes.get(document.type);
  const sourceConfig = sourceConfigs[type?.category ?? ''];
  if (type?.serviceType === undefined || sourceConfig === undefined)
    throw new StrongroomError('state_conflict', {
      detail: `A connection of type ${document.type} is no service that OpenMetadata ingests.`,
    });
  const config = await withNames({ store, settings }, scope, document);
  const token = bot?.credentials['config/config/JWTToken'];
  if (bot !== null && token === undefined)
    throw new StrongroomError('state_conflict', { detail: 'The connection that is named is no bot with a token.' });
  const jwt = token === undefined ? null : await objectNameOf(store, settings, scope, token.secret);
  return {
    source: {
      type: type.serviceType.toLowerCase(),
      serviceName: name,
      serviceConnection: { config: { type: type.serviceType, ...config } },
      sourceConfig: { config: { type: sourceConfig } },
    },
    sink: { type: 'metadata-rest', config: {} },
    workflowConfig: {
      openMetadataServerConfig: {
        hostPort: server.hostPort,
        authProvider: server.authProvider,
        ...(jwt === null ? {} : { securityConfig: { jwtToken: `secret:${jwt}` } }),
        secretsManagerProvider: 'kubernetes',
        secretsManagerLoader: server.secretsManagerLoader,
      },
    },
  };
}

async function withNames(
  { store, settings }: WorkflowParts,
  scope: ScopeRef,
  document: ConnectionDocument,
): Promise<Record<string, unknown>> {
  const names = new Map<string, string>();
  for (const [field, { secret }] of Object.entries(document.credentials))
    names.set(field, `secret:${await objectNameOf(store, settings, scope, secret)}`);
  return fillConfig(schemaOf(document), document.config, (field) => names.get(field)) as Record<string, unknown>;
}
