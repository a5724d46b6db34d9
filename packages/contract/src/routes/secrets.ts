import { Type, type TObject, type TProperties } from 'typebox';
import { Folder, FreeText, Id, Label, SecretKey, Tag, Time } from '../names.ts';
import { scopeKinds } from '../roles.ts';
import { ActionsField, Closed, Page, pageQuery, route } from '../route.ts';

/** Largest number of fields of a multi-field value. */
const maxFields = 100;

/**
 * A value on its way in: exactly one of `value` (text), `valueBase64` (bytes) or `fields` (a JSON object of texts, addressed
 * by `field` in references). It is stored unaltered and never comes out.
 */
const valueInput = {
  value: Type.Optional(Type.String({ writeOnly: true, description: 'The value as text; any text, also empty' })),
  valueBase64: Type.Optional(
    Type.String({
      writeOnly: true,
      contentEncoding: 'base64',
      description: 'The value as bytes, in base64 (RFC 4648 §4)',
    }),
  ),
  fields: Type.Optional(
    Type.Record(Type.String({ minLength: 1, maxLength: 253 }), Type.String(), {
      writeOnly: true,
      minProperties: 1,
      maxProperties: maxFields,
      description: 'The value as named fields',
    }),
  ),
} as const;

const Destination = Closed({
  scheme: Type.String({ pattern: '^[a-z][a-z0-9+.-]{0,31}$' }),
  host: Type.String({ minLength: 1, maxLength: 253 }),
  port: Type.Integer({ minimum: 1, maximum: 65_535 }),
});

const editable = {
  description: Type.Optional(FreeText),
  folder: Type.Optional(Folder),
  tags: Type.Optional(Type.Array(Tag, { maxItems: 50, uniqueItems: true })),
  owner: Type.Optional(
    Type.String({ maxLength: 200, description: 'Who answers for it: a person, a team, an address' }),
  ),
  expiresAt: Type.Optional(Type.Union([Time, Type.Null()])),
  rotateEveryDays: Type.Optional(Type.Union([Type.Integer({ minimum: 1, maximum: 3650 }), Type.Null()])),
  destinations: Type.Optional(Type.Union([Type.Array(Destination, { minItems: 1, maxItems: 50 }), Type.Null()])),
} as const;

/** Everything anybody may see of a secret. */
export const SecretMetadata = Closed(
  {
    id: Id,
    key: SecretKey,
    reference: Type.String({ description: 'Canonical reference' }),
    scope: Type.Enum([...scopeKinds]),
    domain: Type.Optional(Label),
    source: Type.String({ description: 'managed, or the name of an integration' }),
    sourceType: Type.String(),
    shape: Type.Enum(['text', 'binary', 'fields']),
    fields: Type.Optional(Type.Array(Type.String(), { description: 'Names of the fields; never their values' })),
    description: Type.String(),
    folder: Type.String(),
    tags: Type.Array(Type.String()),
    owner: Type.String(),
    expiresAt: Type.Union([Time, Type.Null()]),
    isExpired: Type.Boolean(),
    rotateEveryDays: Type.Union([Type.Integer(), Type.Null()]),
    rotation: Type.Enum(['none', 'fresh', 'due'], { description: 'due: older than its rotation period' }),
    destinations: Type.Union([Type.Array(Destination), Type.Null()]),
    version: Type.String({ description: 'epoch.n; n grows with every value' }),
    usedBy: Type.Integer({
      description: 'Fields of configurations that hold a reference to it, as far as the caller may see',
    }),
    rotatedAt: Time,
    createdAt: Time,
    createdBy: Type.String(),
    updatedAt: Time,
    updatedBy: Type.String(),
    lastLaunchedAt: Type.Union([Time, Type.Null()]),
    deletedAt: Type.Union([Time, Type.Null()]),
    purgeAfter: Type.Union([Time, Type.Null()]),
    revision: Type.Integer(),
    actions: ActionsField,
  },
  { description: 'A secret, without its value' },
);

const SecretVersion = Closed({
  version: Type.String(),
  isCurrent: Type.Boolean(),
  shape: Type.Enum(['text', 'binary', 'fields']),
  fields: Type.Optional(Type.Array(Type.String())),
  createdAt: Time,
  createdBy: Type.String(),
  copiedFrom: Type.Optional(Type.String({ description: 'The version a rollback took its value from' })),
});

const Use = Closed({
  surface: Type.String(),
  configuration: Type.String(),
  domain: Type.String(),
  pointer: Type.String({ description: 'RFC 6901 pointer of the field' }),
  name: Type.String({ description: 'The variable or property' }),
  reference: Type.String(),
  kind: Type.Enum(['reference', 'placeholder']),
  authorisedBy: Type.String(),
});

const DriftItem = Closed({
  launch: Type.String(),
  kind: Type.Enum(['run', 'workload']),
  configuration: Type.Union([Type.String(), Type.Null()]),
  domain: Type.String(),
  name: Type.String({ description: 'The variable or property' }),
  reference: Type.String(),
  version: Type.String({ description: 'What it got' }),
  currentVersion: Type.String(),
  state: Type.String(),
  startedAt: Time,
  endedAt: Type.Union([Time, Type.Null()]),
});

const AccessItem = Closed({
  principal: Type.String(),
  action: Type.String(),
  because: Type.Array(Type.String()),
});

const stateFilter = Type.Optional(
  Type.Enum(['stale', 'expired', 'expiring', 'unused', 'shared-value', 'deleted'], {
    description: 'Only secrets in this state',
  }),
);

const ImportResult = Closed({
  isDryRun: Type.Boolean(),
  items: Type.Array(
    Closed({
      key: Type.String(),
      outcome: Type.Enum(['created', 'rotated', 'skipped', 'refused']),
      reason: Type.Optional(Type.String()),
    }),
  ),
});

/**
 * The same routes under `/v1/admin`, `/v1/global` and `/v1/domains/{domain}`. Their ids begin with the scope:
 * `adminSecretCreate`, `globalSecretCreate`, `domainSecretCreate`.
 */
function secretRoutesUnder<const Prefix extends 'admin' | 'global' | 'domain', const Scope extends TProperties>(
  prefix: Prefix,
  base: string,
  scope: Scope,
) {
  const onScope = Closed({ ...scope });
  const onKey = Closed({ ...scope, key: SecretKey });
  const list = { kind: 'scope', action: 'secret.list' } as const;
  const manage = { kind: 'scope', action: 'secret.manage' } as const;
  // The Global store works whatever the flag says.
  const feature = prefix === 'global' ? undefined : 'secretsV2';
  const id = <const Name extends string>(name: Name) => `${prefix}${name}` as const;
  const tag = 'secrets';
  return [
    route({
      id: id('SecretCreate'),
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
      id: id('SecretList'),
      method: 'GET',
      path: `${base}/secrets`,
      summary: 'List secrets by key; never a value',
      tag,
      access: list,
      feature,
      params: onScope,
      query: Closed({ ...pageQuery, folder: Type.Optional(Folder), tag: Type.Optional(Tag), state: stateFilter }),
      status: 200,
      response: Page(SecretMetadata),
      errors: ['cursor_invalid'],
    }),
    route({
      id: id('SecretGet'),
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
      id: id('SecretUpdate'),
      method: 'PATCH',
      path: `${base}/secrets/{key}`,
      summary: 'Change metadata; what is left out stays',
      tag,
      access: manage,
      feature,
      params: onKey,
      body: Closed({ ...editable }),
      status: 200,
      response: SecretMetadata,
      ifMatch: true,
      errors: ['revision_mismatch'],
    }),
    route({
      id: id('SecretRotate'),
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
      errors: ['revision_mismatch', 'limit_exceeded', 'version_conflict', 'key_unavailable'],
      bodyLimitBytes: 2 * 1024 * 1024,
    }),
    route({
      id: id('SecretVersions'),
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
      id: id('SecretRollback'),
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
      errors: ['revision_mismatch', 'version_conflict', 'key_unavailable'],
    }),
    route({
      id: id('SecretDelete'),
      method: 'DELETE',
      path: `${base}/secrets/{key}`,
      summary: 'Delete a secret; it can be restored until it is purged',
      tag,
      access: manage,
      feature,
      params: onKey,
      query: Closed({ force: Type.Optional(Type.Boolean({ description: 'Delete although it is used' })) }),
      status: 200,
      response: Closed({ key: Type.String(), deletedAt: Time, purgeAfter: Time, brokenUses: Type.Array(Use) }),
      ifMatch: true,
      errors: ['in_use', 'revision_mismatch'],
    }),
    route({
      id: id('SecretRestore'),
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
      id: id('SecretPurge'),
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
      id: id('SecretUsedBy'),
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
      id: id('SecretDrift'),
      method: 'GET',
      path: `${base}/secrets/{key}/drift`,
      summary: 'Launches that got another version than the current one',
      tag,
      access: list,
      feature,
      params: onKey,
      query: Closed({
        include: Type.Optional(Type.Enum(['live', 'ended'], { description: 'ended: also launches that are over' })),
      }),
      status: 200,
      response: Closed({ currentVersion: Type.String(), items: Type.Array(DriftItem) }),
    }),
    route({
      id: id('SecretAccess'),
      method: 'GET',
      path: `${base}/secrets/{key}/access`,
      summary: 'Who may use or manage it, and why',
      tag,
      access: { kind: 'scope', action: 'access.view' },
      feature,
      params: onKey,
      status: 200,
      response: Closed({ items: Type.Array(AccessItem) }),
    }),
    route({
      id: id('SecretImport'),
      method: 'POST',
      path: `${base}/secrets/import`,
      summary: 'Create many secrets from a .env file, JSON or a Kubernetes Secret manifest',
      tag,
      access: manage,
      feature,
      params: onScope,
      body: Closed({
        format: Type.Enum(['env', 'json', 'kubernetes']),
        content: Type.String({ writeOnly: true, maxLength: 4 * 1024 * 1024 }),
        folder: Type.Optional(Folder),
        prefix: Type.Optional(Type.String({ maxLength: 100, pattern: '^[A-Za-z0-9][A-Za-z0-9._-]*$' })),
        onExisting: Type.Optional(Type.Enum(['refuse', 'skip', 'rotate'], { default: 'refuse' })),
        dryRun: Type.Optional(Type.Boolean()),
      }),
      status: 200,
      response: ImportResult,
      idempotent: true,
      errors: ['limit_exceeded', 'key_clash', 'already_exists', 'soft_deleted', 'key_unavailable'],
      bodyLimitBytes: 5 * 1024 * 1024,
    }),
    route({
      id: id('FolderList'),
      method: 'GET',
      path: `${base}/folders`,
      summary: 'Folders in use',
      tag,
      access: list,
      feature,
      params: onScope,
      status: 200,
      response: Closed({ items: Type.Array(Closed({ folder: Type.String(), secrets: Type.Integer() })) }),
    }),
    route({
      id: id('Inventory'),
      method: 'GET',
      path: `${base}/inventory`,
      summary: 'What needs care: stale, unused, expiring, duplicate, used but missing',
      tag,
      access: list,
      feature,
      params: onScope,
      query: Closed({ expiringWithinDays: Type.Optional(Type.Integer({ minimum: 1, maximum: 365, default: 30 })) }),
      status: 200,
      response: Closed({
        stale: Type.Array(SecretMetadata),
        unused: Type.Array(SecretMetadata),
        expiring: Type.Array(SecretMetadata),
        expired: Type.Array(SecretMetadata),
        duplicates: Type.Array(Closed({ keys: Type.Array(Type.String()) }), {
          description: 'Groups of keys with the same value of 16 bytes or more; for MANAGE_SECRETS only',
        }),
        usedButMissing: Type.Array(Use),
        isComplete: Type.Boolean({ description: 'false: a list was cut at 200 entries' }),
      }),
    }),
  ] as const;
}

const domainParameter = { domain: Label } as const satisfies TProperties;

export const adminSecretRoutes = secretRoutesUnder('admin', '/v1/admin', {});
export const globalSecretRoutes = secretRoutesUnder('global', '/v1/global', {});
export const domainSecretRoutes = secretRoutesUnder('domain', '/v1/domains/{domain}', domainParameter);

const GlobalKey: TObject<{ key: typeof SecretKey }> = Closed({ key: SecretKey });

/** Domains that a Global secret is assigned to. */
export const assignmentRoutes = [
  route({
    id: 'assignmentGet',
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
    id: 'assignmentPut',
    method: 'PUT',
    path: '/v1/global/secrets/{key}/assignments',
    summary: 'Assign a Global secret to all domains or to named ones',
    tag: 'secrets',
    access: { kind: 'scope', action: 'secret.manage' },
    params: GlobalKey,
    body: Closed({
      all: Type.Optional(Type.Boolean()),
      domains: Type.Optional(Type.Array(Label, { maxItems: 1000, uniqueItems: true })),
    }),
    status: 200,
    response: Closed({ all: Type.Boolean(), domains: Type.Array(Label), brokenUses: Type.Array(Use) }),
  }),
] as const;

export const secretRoutes = [
  ...adminSecretRoutes,
  ...globalSecretRoutes,
  ...domainSecretRoutes,
  ...assignmentRoutes,
] as const;
