import { Type, type TObject, type TProperties } from 'typebox';
import { Folder, IntegrationName, Label, SecretKey, Tag, Time } from '../names.ts';
import { dryRunQuery } from './configuration-routes.ts';
import { ChoiceSource } from './integration-schemas.ts';
import { InventoryItem, inventoryFindings, inventoryQuery } from './inventory-schemas.ts';
import { Closed, Page, pageQuery, route, wholePageQuery } from '../route.ts';
import {
  valueInput,
  editable,
  IntegrationKey,
  SecretMetadata,
  SecretVersion,
  Use,
  broken,
  DriftItem,
  AccessItem,
  stateFilter,
  importOptions,
  ImportResult,
} from './secret-schemas.ts';

/** What reading from somebody's backend can come to. */
const backendErrors = [
  'backend_unavailable',
  'backend_denied',
  'backend_sealed',
  'backend_throttled',
  'backend_malformed',
  'egress_denied',
  'not_supported',
] as const;

/**
 * The same routes under `/v1/admin`, `/v1/global` and `/v1/domains/{domain}`. Their ids have the scope after the verb:
 * `createAdminSecret`, `createGlobalSecret`, `createDomainSecret`.
 */
function secretRoutesUnder<const Kind extends 'Admin' | 'Global' | 'Domain', const Scope extends TProperties>(
  kind: Kind,
  base: string,
  scope: Scope,
) {
  const onScope = Closed({ ...scope });
  const onKey = Closed({ ...scope, key: SecretKey });
  const list = { kind: 'scope', action: 'secret.list' } as const;
  const manage = { kind: 'scope', action: 'secret.manage' } as const;
  // The Global store works whatever the flag says.
  const feature = kind === 'Global' ? undefined : 'secretsV2';
  const id = <const Verb extends string, const Noun extends string>(verb: Verb, noun: Noun) =>
    `${verb}${kind}${noun}` as const;
  const tag = 'secrets';
  return [
    route({
      id: id('create', 'Secret'),
      method: 'POST',
      path: `${base}/secrets`,
      summary: 'Create a secret',
      tag,
      access: manage,
      feature,
      params: onScope,
      body: Closed({ key: SecretKey, ...valueInput, ...editable }),
      status: 201,
      response: SecretMetadata,
      idempotent: true,
      errors: ['key_clash', 'already_exists', 'soft_deleted', 'limit_exceeded', 'storage_full', 'key_unavailable'],
      bodyLimitBytes: 2 * 1024 * 1024,
    }),
    route({
      id: id('list', 'Secrets'),
      method: 'GET',
      path: `${base}/secrets`,
      summary:
        'List secrets by key, and with them the keys of integrations that the caller may use, read-only; never a value',
      tag,
      access: list,
      feature,
      params: onScope,
      query: Closed({
        ...pageQuery,
        source: Type.Optional(IntegrationName),
        folder: Type.Optional(Folder),
        tag: Type.Optional(Tag),
        state: stateFilter,
      }),
      status: 200,
      response: Closed({
        items: Type.Array(Type.Union([SecretMetadata, IntegrationKey])),
        nextCursor: Type.Optional(Type.String()),
        sources: Type.Array(ChoiceSource, {
          description:
            'The integrations whose keys are in the list, with the age of their index. One that is down has its error here. None where a folder, a tag or a state is asked for, which integrations have not',
        }),
      }),
      errors: ['cursor_invalid'],
    }),
    route({
      id: id('show', 'Secret'),
      method: 'GET',
      path: `${base}/secrets/{key}`,
      summary: 'Show a secret without its value',
      tag,
      access: list,
      feature,
      params: onKey,
      status: 200,
      response: SecretMetadata,
    }),
    route({
      id: id('update', 'Secret'),
      method: 'PATCH',
      path: `${base}/secrets/{key}`,
      summary: 'Change metadata; what is left out stays',
      tag,
      access: manage,
      feature,
      params: onKey,
      query: dryRunQuery,
      body: Closed({ ...editable }),
      status: 200,
      response: SecretMetadata,
      ifMatch: true,
      errors: ['revision_mismatch'],
    }),
    route({
      id: id('rotate', 'Secret'),
      method: 'PUT',
      path: `${base}/secrets/{key}/value`,
      summary: 'Give the secret a new value',
      tag,
      access: manage,
      feature,
      params: onKey,
      body: Closed({ ...valueInput }),
      status: 200,
      response: SecretMetadata,
      ifMatch: true,
      idempotent: true,
      errors: [
        'revision_mismatch',
        'state_conflict',
        'in_use',
        'limit_exceeded',
        'version_conflict',
        'key_unavailable',
      ],
      bodyLimitBytes: 2 * 1024 * 1024,
    }),
    route({
      id: id('list', 'SecretVersions'),
      method: 'GET',
      path: `${base}/secrets/{key}/versions`,
      summary: 'List versions, newest first',
      tag,
      access: list,
      feature,
      params: onKey,
      status: 200,
      response: Closed({ items: Type.Array(SecretVersion) }),
    }),
    route({
      id: id('rollBack', 'Secret'),
      method: 'POST',
      path: `${base}/secrets/{key}/rollback`,
      summary: 'Make a new version from an old one, unseen',
      tag,
      access: manage,
      feature,
      params: onKey,
      body: Closed({ version: Type.String({ pattern: '^[0-9]{1,9}\\.[0-9]{1,9}$' }) }),
      status: 200,
      response: SecretMetadata,
      ifMatch: true,
      errors: ['revision_mismatch', 'state_conflict', 'in_use', 'version_conflict', 'key_unavailable'],
    }),
    route({
      id: id('delete', 'Secret'),
      method: 'DELETE',
      path: `${base}/secrets/{key}`,
      summary: 'Delete a secret; it can be restored until it is purged',
      tag,
      access: manage,
      feature,
      params: onKey,
      query: Closed({ force: Type.Optional(Type.Boolean({ description: 'Delete although it is used' })) }),
      status: 200,
      response: Closed({ key: Type.String(), deletedAt: Time, purgeAfter: Time, ...broken }),
      ifMatch: true,
      errors: ['in_use', 'revision_mismatch', 'state_conflict'],
    }),
    route({
      id: id('restore', 'Secret'),
      method: 'POST',
      path: `${base}/secrets/{key}/restore`,
      summary: 'Bring a deleted secret back',
      tag,
      access: manage,
      feature,
      params: onKey,
      status: 200,
      response: SecretMetadata,
      errors: ['state_conflict'],
    }),
    route({
      id: id('purge', 'Secret'),
      method: 'POST',
      path: `${base}/secrets/{key}/purge`,
      summary: 'Destroy a deleted secret and all of its versions',
      tag,
      access: manage,
      feature,
      params: onKey,
      status: 204,
      errors: ['state_conflict'],
    }),
    route({
      id: id('list', 'SecretUses'),
      method: 'GET',
      path: `${base}/secrets/{key}/used-by`,
      summary: 'Where it is used, down to the field',
      tag,
      access: list,
      feature,
      params: onKey,
      query: Closed({ limit: pageQuery.limit, cursor: pageQuery.cursor }),
      status: 200,
      response: Page(Use),
      errors: ['cursor_invalid'],
    }),
    route({
      id: id('list', 'SecretDrift'),
      method: 'GET',
      path: `${base}/secrets/{key}/drift`,
      summary: 'Launches that got another version than the current one',
      tag,
      access: list,
      feature,
      params: onKey,
      query: Closed({
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 200, default: 200 })),
        cursor: pageQuery.cursor,
        include: Type.Optional(Type.Enum(['live', 'ended'], { description: 'ended: also launches that are over' })),
      }),
      status: 200,
      response: Closed({ currentVersion: Type.String(), ...Page(DriftItem).properties }),
      errors: ['cursor_invalid'],
    }),
    route({
      id: id('list', 'SecretAccess'),
      method: 'GET',
      path: `${base}/secrets/{key}/access`,
      summary: 'Who may use or manage it, and why',
      tag,
      access: { kind: 'scope', action: 'access.view' },
      feature,
      params: onKey,
      query: Closed(wholePageQuery),
      status: 200,
      response: Page(AccessItem),
      errors: ['cursor_invalid'],
    }),
    route({
      id: id('import', 'Secrets'),
      method: 'POST',
      path: `${base}/secrets/import`,
      summary: 'Create many secrets from a .env file, JSON, a Kubernetes Secret manifest, or an integration',
      tag,
      access: manage,
      feature,
      params: onScope,
      body: Type.Union([
        Closed({
          format: Type.Enum(['env', 'json', 'kubernetes']),
          content: Type.String({ writeOnly: true, maxLength: 4 * 1024 * 1024 }),
          ...importOptions,
        }),
        Closed({
          from: Closed(
            {
              integration: IntegrationName,
              prefix: Type.Optional(
                Type.String({ maxLength: 512, description: 'Only keys of the integration that begin like this' }),
              ),
            },
            { description: 'Reads an integration of the same scope; a / in its keys becomes a hyphen' },
          ),
          ...importOptions,
        }),
      ]),
      status: 200,
      response: ImportResult,
      idempotent: true,
      errors: [
        'limit_exceeded',
        'key_clash',
        'already_exists',
        'soft_deleted',
        'key_unavailable',
        'state_conflict',
        // From an integration; from a text Global's go on.
        'feature_disabled',
        ...backendErrors,
      ],
      bodyLimitBytes: 5 * 1024 * 1024,
    }),
    route({
      id: id('list', 'Folders'),
      method: 'GET',
      path: `${base}/folders`,
      summary: 'Folders in use',
      tag,
      access: list,
      feature,
      params: onScope,
      query: Closed(wholePageQuery),
      status: 200,
      response: Page(Closed({ folder: Type.String(), secrets: Type.Integer() })),
      errors: ['cursor_invalid'],
    }),
    route({
      id: id('list', 'Inventory'),
      method: 'GET',
      path: `${base}/inventory`,
      summary: 'What needs care, each with what to do: expired, stale, used but missing, shared, unused',
      tag,
      access: list,
      feature,
      params: onScope,
      query: Closed({ ...inventoryQuery }),
      status: 200,
      response: Closed({
        items: Type.Array(InventoryItem),
        nextCursor: Type.Optional(Type.String()),
        withheld: Type.Array(Type.Enum([...inventoryFindings]), {
          description: 'What the caller is not told: shared-value is for MANAGE_SECRETS',
        }),
      }),
      errors: ['cursor_invalid'],
    }),
  ] as const;
}

const domainParameter = { domain: Label } as const satisfies TProperties;

export const adminSecretRoutes = secretRoutesUnder('Admin', '/v1/admin', {});
export const globalSecretRoutes = secretRoutesUnder('Global', '/v1/global', {});
export const domainSecretRoutes = secretRoutesUnder('Domain', '/v1/domains/{domain}', domainParameter);

const GlobalKey: TObject<{ key: typeof SecretKey }> = Closed({ key: SecretKey });

/** Domains that a Global secret is assigned to. */
export const assignmentRoutes = [
  route({
    id: 'showAssignments',
    method: 'GET',
    path: '/v1/global/secrets/{key}/assignments',
    summary: 'Domains that may use a Global secret',
    tag: 'secrets',
    access: { kind: 'scope', action: 'secret.manage' },
    params: GlobalKey,
    status: 200,
    response: Closed({ all: Type.Boolean(), domains: Type.Array(Label) }),
  }),
  route({
    id: 'putAssignments',
    method: 'PUT',
    path: '/v1/global/secrets/{key}/assignments',
    summary: 'Assign a Global secret to all domains or to named ones',
    tag: 'secrets',
    access: { kind: 'scope', action: 'secret.manage' },
    params: GlobalKey,
    query: dryRunQuery,
    body: Closed({
      all: Type.Optional(Type.Boolean()),
      domains: Type.Optional(Type.Array(Label, { maxItems: 1000, uniqueItems: true })),
    }),
    status: 200,
    response: Closed({ all: Type.Boolean(), domains: Type.Array(Label), ...broken }),
  }),
] as const;

export const secretRoutes = [
  ...adminSecretRoutes,
  ...globalSecretRoutes,
  ...domainSecretRoutes,
  ...assignmentRoutes,
] as const;
