import {
  connectionTypes,
  isPlaceholderIn,
  type KubernetesStoreSettings,
  parseText,
  placeholderReference,
  type ReferenceObject,
  StrongroomError,
} from '@strongroom/contract';
import type { ScopeRef } from '../../access/types.ts';
import type { Store } from '../../store/store.ts';
import type { HeldCredential } from '../credential-fields.ts';
import { toReferenceObject } from '../named-fields.ts';
import { withResolvedTexts } from '../texts.ts';
import { configTexts, fillConfig, schemaOf } from './config.ts';
import { connectionSurface } from './definition.ts';
import { type ConnectionDocument, fieldName } from './document.ts';
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
 * @throws StrongroomError `state_conflict` for a connection that is no service of OpenMetadata, for secrets that are elsewhere, and
 * for placeholders that its client could not resolve
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
  const jwt =
    token === undefined
      ? null
      : await objectNameOf(store, settings, scope, wholeSecret('config/config/JWTToken', token));
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
  for (const [field, held] of Object.entries(document.credentials))
    names.set(field, `secret:${await objectNameOf(store, settings, scope, wholeSecret(field, held))}`);
  for (const { path, text } of configTexts(schemaOf(document), document.config))
    if (isPlaceholderIn(text))
      throw unreadable(
        fieldName(path),
        'Write the text itself, or make the field one of format password in a schema of your own.',
      );
  // What is left is the text of placeholders that were escaped.
  const { document: written } = withResolvedTexts(connectionSurface, document, () => undefined);
  return fillConfig(schemaOf(written), written.config, (field) => names.get(field)) as Record<string, unknown>;
}

/** OpenMetadata's client reads whole secrets. */
function wholeSecret(field: string, held: HeldCredential): ReferenceObject {
  if (held.secret !== undefined) return held.secret;
  const [first, second] = parseText(held.value).parts;
  if (first?.kind !== 'placeholder' || second !== undefined)
    throw unreadable(field, 'Keep the whole text as one secret, and refer to it.');
  return toReferenceObject(placeholderReference(first.key));
}

function unreadable(field: string, hint: string): StrongroomError {
  return new StrongroomError('state_conflict', {
    detail: `/${field} holds a placeholder, which a runtime of OpenMetadata could not resolve.`,
    hint,
    errors: [{ pointer: `/${field}`, message: 'A runtime of OpenMetadata could not resolve the placeholder.' }],
  });
}
