import { Type } from 'typebox';
import { FreeText, Id, Label, Time } from '../names.ts';
import { scopeKinds } from '../roles.ts';
import { ActionsField, Closed, Page, pageQuery, route, wholePageQuery } from '../route.ts';
import { vaultBackend } from '../backends/vault.ts';

const word = { minLength: 1, maxLength: 2048, pattern: '^[!-~]+$' } as const;
const vault = vaultBackend.settings.properties;

/** What the server is elsewhere, by kind. An integration that names the profile is bound to exactly this. */
const vaultProfile = {
  type: Type.Literal('VAULT'),
  settings: Closed({
    address: vault.address,
    namespace: vault.namespace,
    role: Type.String({
      ...word,
      maxLength: 253,
      description: 'Role of the Kubernetes method that the server may log in as',
    }),
    mount: Type.Optional(
      Type.String({ ...word, maxLength: 253, description: 'Where the method is mounted; kubernetes without it' }),
    ),
    audience: Type.Optional(
      Type.String({ ...word, maxLength: 253, description: 'What the ServiceAccount token must be meant for' }),
    ),
  }),
} as const;
const awsProfile = {
  type: Type.Literal('AWS'),
  settings: Closed({
    roleArn: Type.String({
      ...word,
      pattern: '^arn:[a-z0-9-]+:iam::\\d{12}:role/[\\w+=,.@/-]+$',
      description: 'Role to assume, with the external id',
    }),
    region: Type.Optional(Type.String({ pattern: '^[a-z]{2}(?:-[a-z]+)+-\\d$' })),
  }),
} as const;
const googleProfile = {
  type: Type.Literal('GOOGLE'),
  settings: Closed({
    project: Type.String({ pattern: '^[a-z][a-z0-9-]{4,28}[a-z0-9]$' }),
    serviceAccount: Type.Optional(
      Type.String({ ...word, maxLength: 253, description: 'Service account to impersonate' }),
    ),
  }),
} as const;
const azureProfile = {
  type: Type.Literal('AZURE'),
  settings: Closed({
    clientId: Type.String({
      pattern: '^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$',
      description: 'Client id of the managed identity',
    }),
  }),
} as const;
/** Settings by kind. */
export const profileSettings = {
  VAULT: vaultProfile.settings,
  AWS: awsProfile.settings,
  GOOGLE: googleProfile.settings,
  AZURE: azureProfile.settings,
} as const;
const settings = Type.Union([
  vaultProfile.settings,
  awsProfile.settings,
  googleProfile.settings,
  azureProfile.settings,
]);

const KeyPrefix = Type.String({
  maxLength: 512,
  pattern: '^(?!/)[^\\\\%\\u0000-\\u001f\\u007f]*$',
  description: 'Only keys that begin like this; empty: all',
});
const Binding = Closed(
  {
    scope: Type.Enum([...scopeKinds]),
    domain: Type.Optional(Label),
    prefix: Type.Optional(KeyPrefix),
  },
  { description: 'Who may use the profile, and for which keys' },
);
const labelling = {
  description: Type.Optional(FreeText),
  bindings: Type.Optional(Type.Array(Binding, { maxItems: 1000 })),
} as const;

const ProfileCreate = Type.Union([
  Closed({ name: Label, ...labelling, ...vaultProfile }),
  Closed({ name: Label, ...labelling, ...awsProfile }),
  Closed({ name: Label, ...labelling, ...googleProfile }),
  Closed({ name: Label, ...labelling, ...azureProfile }),
]);

const kind = Type.Enum(['VAULT', 'AWS', 'GOOGLE', 'AZURE']);
const Profile = Closed(
  {
    id: Id,
    name: Label,
    type: kind,
    description: Type.String(),
    settings,
    externalId: Type.String({ description: 'Made by the server, never changes; for trust policies' }),
    bindings: Type.Array(
      Closed({ scope: Type.Enum([...scopeKinds]), domain: Type.Optional(Label), prefix: Type.String() }),
    ),
    usedBy: Type.Integer({ description: 'Integrations that name it' }),
    revision: Type.Integer(),
    createdAt: Time,
    createdBy: Type.String(),
    updatedAt: Time,
    updatedBy: Type.String(),
    actions: ActionsField,
  },
  { description: 'An identity of the server itself, lent to integrations of named domains' },
);

export const onProfile = Closed({ profile: Label });
const view = { kind: 'platform', action: 'profile.view' } as const;
const manage = { kind: 'platform', action: 'profile.manage' } as const;
const shared = { tag: 'profiles', feature: 'secretsV2' } as const;

export const profileRoutes = [
  route({
    id: 'createProfile',
    method: 'POST',
    path: '/v1/profiles',
    summary: 'Lend an identity of the server to integrations of named domains',
    ...shared,
    access: manage,
    body: ProfileCreate,
    status: 201,
    response: Profile,
    idempotent: true,
    errors: ['already_exists', 'egress_denied'],
  }),
  route({
    id: 'listProfiles',
    method: 'GET',
    path: '/v1/profiles',
    summary: 'List profiles by name',
    ...shared,
    access: view,
    query: Closed({ ...pageQuery }),
    status: 200,
    response: Page(Profile),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'showProfile',
    method: 'GET',
    path: '/v1/profiles/{profile}',
    summary: 'Show a profile',
    ...shared,
    access: view,
    params: onProfile,
    status: 200,
    response: Profile,
  }),
  route({
    id: 'updateProfile',
    method: 'PATCH',
    path: '/v1/profiles/{profile}',
    summary: 'Change a profile; what is left out stays, bindings are given whole',
    ...shared,
    access: manage,
    params: onProfile,
    body: Closed({ ...labelling, settings: Type.Optional(settings) }),
    status: 200,
    response: Profile,
    ifMatch: true,
    errors: ['revision_mismatch', 'egress_denied'],
  }),
  route({
    id: 'deleteProfile',
    method: 'DELETE',
    path: '/v1/profiles/{profile}',
    summary: 'Delete a profile that no integration names',
    ...shared,
    access: manage,
    params: onProfile,
    status: 204,
    ifMatch: true,
    errors: ['in_use', 'revision_mismatch'],
  }),
  route({
    id: 'listDomainProfiles',
    method: 'GET',
    path: '/v1/domains/{domain}/profiles',
    summary: 'Profiles that integrations of the domain may name',
    ...shared,
    access: { kind: 'scope', action: 'integration.create' },
    params: Closed({ domain: Label }),
    query: Closed(wholePageQuery),
    status: 200,
    response: Page(Closed({ name: Label, type: kind, description: Type.String(), settings, prefix: Type.String() })),
    errors: ['cursor_invalid'],
  }),
] as const;
