import { Type } from 'typebox';
import { FreeText, Id, IntegrationName, Label, ManagedBy, SecretKey, Time } from '../names.ts';
import { assetPermissions, domainPermissions, presets, type AssetPermission, type AssetType } from '../roles.ts';
import { dryRunQuery } from './configuration-routes.ts';
import { ActionsField, Closed, Page, pageQuery, route } from '../route.ts';

/**
 * Who is meant: `user:ann`, `group:analysts`, `service-account:etl`, and `service-account:finance/etl` for a service
 * account that belongs to domain `finance`. Names are folded to lower case.
 */
export const principalNamePattern = '^(?:user|group|service-account):[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}$';
export const PrincipalName = Type.String({
  pattern: principalNamePattern,
  description: '`user:ann`, `group:analysts`, `service-account:etl`, `service-account:finance/etl`',
  examples: ['user:ann'],
});

const assetTypes = Object.keys(assetPermissions) as AssetType[];
export const permissionWords = [...new Set<AssetPermission>(Object.values(assetPermissions).flat())];
const AssetTypeName = Type.Enum(assetTypes);

const listQuery = Closed(pageQuery);
const domainParams = Closed({ domain: Label });
const memberParams = Closed({ domain: Label, principal: PrincipalName });
const grantParams = Closed({ domain: Label, grant: Id });
const bundleParams = Closed({ domain: Label, bundle: Label });
const bundleGrantParams = Closed({ domain: Label, bundle: Label, grant: Id });
const bundleAssetParams = Closed({ domain: Label, bundle: Label, asset: Id });

const view = { kind: 'scope', action: 'access.view' } as const;
const manage = { kind: 'scope', action: 'access.manage' } as const;

const added = { createdAt: Time, createdBy: Type.String({ description: 'user:ann, or the id of somebody deleted' }) };

const Member = Closed({
  principal: Type.String(),
  displayName: Type.String(),
  preset: Type.Enum([...presets]),
  managedBy: ManagedBy,
  ...added,
  actions: ActionsField,
});

const Grant = Closed({
  id: Id,
  principal: Type.String(),
  displayName: Type.String(),
  permission: Type.Enum([...domainPermissions]),
  warning: Type.Optional(Type.String({ description: 'Present for RESOLVE held by people' })),
  managedBy: ManagedBy,
  ...added,
  actions: ActionsField,
});

const Bundle = Closed({
  id: Id,
  name: Label,
  description: Type.String(),
  owner: Type.Union([Type.String(), Type.Null()], {
    description: 'null, of `default` and where the owner was deleted: the owners of the domain',
  }),
  isDefault: Type.Boolean(),
  managedBy: ManagedBy,
  revision: Type.Integer({ description: 'The ETag' }),
  createdAt: Time,
  updatedAt: Time,
  actions: ActionsField,
});

const BundleGrant = Closed({
  id: Id,
  principal: Type.String(),
  displayName: Type.String(),
  assetType: AssetTypeName,
  permissions: Type.Array(Type.Enum(permissionWords)),
  ...added,
  actions: ActionsField,
});

const BundleAsset = Closed({
  id: Id,
  type: AssetTypeName,
  name: Type.Optional(Type.String({ description: 'Of a configuration or an integration' })),
  key: Type.Optional(Type.String({ description: 'Of a secret, in lower case' })),
  prefix: Type.Optional(Type.String({ description: 'Of secrets, in lower case; empty: all' })),
  scope: Type.Optional(Type.Enum(['domain', 'global'], { description: 'Where the secrets live' })),
  actions: ActionsField,
});

/** A secret by `key` or `prefix`, or a configuration or an integration by `name`. */
export const AssetToAdd = Closed({
  type: AssetTypeName,
  name: Type.Optional(IntegrationName),
  key: Type.Optional(SecretKey),
  prefix: Type.Optional(
    Type.String({
      pattern: '^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,252})?$',
      description: 'The beginning of keys; empty: all',
    }),
  ),
  scope: Type.Optional(
    Type.Enum(['domain', 'global'], {
      description: 'Default `domain`; `global`: a Global secret as used in this domain',
    }),
  ),
});

export const memberRoutes = [
  route({
    id: 'listMembers',
    method: 'GET',
    path: '/v1/domains/{domain}/members',
    summary: 'List who stands in the domain by a preset; q is part of the name',
    tag: 'access',
    access: view,
    params: domainParams,
    query: listQuery,
    status: 200,
    response: Page(Member),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'addMember',
    method: 'POST',
    path: '/v1/domains/{domain}/members',
    summary: 'Add a member',
    tag: 'access',
    access: manage,
    params: domainParams,
    query: dryRunQuery,
    body: Closed({ principal: PrincipalName, preset: Type.Enum([...presets]), managedBy: ManagedBy }),
    status: 201,
    response: Member,
    errors: ['already_exists', 'limit_exceeded', 'version_conflict'],
    idempotent: true,
  }),
  route({
    id: 'putMember',
    method: 'PUT',
    path: '/v1/domains/{domain}/members/{principal}',
    summary: 'Give a principal this preset, in place of the one it has',
    tag: 'access',
    access: manage,
    params: memberParams,
    query: dryRunQuery,
    body: Closed({ preset: Type.Enum([...presets]) }),
    status: 200,
    response: Member,
    errors: ['limit_exceeded', 'version_conflict'],
  }),
  route({
    id: 'deleteMember',
    method: 'DELETE',
    path: '/v1/domains/{domain}/members/{principal}',
    summary: 'Take the preset from a principal; its single grants stay',
    tag: 'access',
    access: manage,
    params: memberParams,
    status: 204,
    errors: ['version_conflict'],
  }),
] as const;

export const grantRoutes = [
  route({
    id: 'listGrants',
    method: 'GET',
    path: '/v1/domains/{domain}/grants',
    summary: 'List single permissions in the domain, oldest first; q is part of the principal’s name',
    tag: 'access',
    access: view,
    params: domainParams,
    query: listQuery,
    status: 200,
    response: Page(Grant),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'addGrant',
    method: 'POST',
    path: '/v1/domains/{domain}/grants',
    summary: 'Grant a permission. RESOLVE to a user or a group lets people receive values: it needs acknowledge',
    tag: 'access',
    access: manage,
    params: domainParams,
    query: dryRunQuery,
    body: Closed({
      principal: PrincipalName,
      permission: Type.Enum([...domainPermissions]),
      acknowledge: Type.Optional(
        Type.Boolean({
          description: 'true: people may receive values, and that is meant. Needed for RESOLVE to a user or a group',
        }),
      ),
      managedBy: ManagedBy,
    }),
    status: 201,
    response: Grant,
    errors: ['already_exists', 'limit_exceeded', 'version_conflict'],
    idempotent: true,
  }),
  route({
    id: 'deleteGrant',
    method: 'DELETE',
    path: '/v1/domains/{domain}/grants/{grant}',
    summary: 'Take a permission back',
    tag: 'access',
    access: manage,
    params: grantParams,
    status: 204,
    errors: ['version_conflict'],
  }),
] as const;

const bundleReason = 'The bundle’s owner or who manages access; the service decides with the bundle at hand';

export const bundleRoutes = [
  route({
    id: 'listBundles',
    method: 'GET',
    path: '/v1/domains/{domain}/bundles',
    summary: 'List bundles by name; q is part of the name',
    tag: 'access',
    access: view,
    params: domainParams,
    query: listQuery,
    status: 200,
    response: Page(Bundle),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'createBundle',
    method: 'POST',
    path: '/v1/domains/{domain}/bundles',
    summary: 'Create a bundle; the caller owns it unless another owner is named',
    tag: 'access',
    access: { kind: 'scope', action: 'bundle.create' },
    params: domainParams,
    query: dryRunQuery,
    body: Closed({
      name: Label,
      description: Type.Optional(FreeText),
      owner: Type.Optional(PrincipalName),
      managedBy: ManagedBy,
    }),
    status: 201,
    response: Bundle,
    errors: ['already_exists', 'limit_exceeded', 'version_conflict'],
    idempotent: true,
  }),
  route({
    id: 'showBundle',
    method: 'GET',
    path: '/v1/domains/{domain}/bundles/{bundle}',
    summary: 'One bundle',
    tag: 'access',
    access: view,
    params: bundleParams,
    status: 200,
    response: Bundle,
  }),
  route({
    id: 'updateBundle',
    method: 'PATCH',
    path: '/v1/domains/{domain}/bundles/{bundle}',
    summary: `Change the description or the owner. ${bundleReason}`,
    tag: 'access',
    access: view,
    params: bundleParams,
    query: dryRunQuery,
    body: Closed({ description: Type.Optional(FreeText), owner: Type.Optional(PrincipalName) }),
    status: 200,
    response: Bundle,
    errors: ['state_conflict', 'version_conflict'],
    ifMatch: true,
  }),
  route({
    id: 'deleteBundle',
    method: 'DELETE',
    path: '/v1/domains/{domain}/bundles/{bundle}',
    summary: `Delete a bundle; its assets fall back to \`default\`, so one with assets only when forced. ${bundleReason}`,
    tag: 'access',
    access: view,
    params: bundleParams,
    query: Closed({ force: Type.Optional(Type.Boolean({ default: false })) }),
    status: 204,
    errors: ['in_use', 'state_conflict', 'version_conflict'],
    ifMatch: true,
  }),
  route({
    id: 'listBundleGrants',
    method: 'GET',
    path: '/v1/domains/{domain}/bundles/{bundle}/grants',
    summary: 'List what is granted on a bundle, oldest first',
    tag: 'access',
    access: view,
    params: bundleParams,
    query: listQuery,
    status: 200,
    response: Page(BundleGrant),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'addBundleGrant',
    method: 'POST',
    path: '/v1/domains/{domain}/bundles/{bundle}/grants',
    summary: `Grant permissions on the bundle’s assets of one type, in place of those the principal had. ${bundleReason}`,
    tag: 'access',
    access: view,
    params: bundleParams,
    query: dryRunQuery,
    body: Closed({
      principal: PrincipalName,
      assetType: AssetTypeName,
      permissions: Type.Array(Type.Enum(permissionWords), { minItems: 1, maxItems: 8, uniqueItems: true }),
    }),
    status: 201,
    response: BundleGrant,
    errors: ['limit_exceeded', 'version_conflict'],
    idempotent: true,
  }),
  route({
    id: 'deleteBundleGrant',
    method: 'DELETE',
    path: '/v1/domains/{domain}/bundles/{bundle}/grants/{grant}',
    summary: `Take a grant back. ${bundleReason}`,
    tag: 'access',
    access: view,
    params: bundleGrantParams,
    status: 204,
    errors: ['version_conflict'],
  }),
  route({
    id: 'listBundleAssets',
    method: 'GET',
    path: '/v1/domains/{domain}/bundles/{bundle}/assets',
    summary:
      'List the assets named in a bundle, those that the caller may see or, of its own bundle, all; `default` has the secrets that no bundle names, besides',
    tag: 'access',
    access: view,
    params: bundleParams,
    query: listQuery,
    status: 200,
    response: Page(BundleAsset),
    errors: ['cursor_invalid'],
  }),
  route({
    id: 'addBundleAsset',
    method: 'POST',
    path: '/v1/domains/{domain}/bundles/{bundle}/assets',
    summary:
      'Add secrets by key or prefix, or move a configuration here. The owner of the bundle that has the asset now',
    tag: 'access',
    access: view,
    params: bundleParams,
    query: dryRunQuery,
    body: AssetToAdd,
    status: 201,
    response: BundleAsset,
    errors: ['already_exists', 'limit_exceeded', 'version_conflict'],
    idempotent: true,
  }),
  route({
    id: 'moveBundleAsset',
    method: 'POST',
    path: '/v1/domains/{domain}/bundles/{bundle}/assets/{asset}/move',
    summary: 'Move an asset to another bundle. The owner of the bundle that has it now',
    tag: 'access',
    access: view,
    params: bundleAssetParams,
    body: Closed({ bundle: Label }),
    status: 200,
    response: BundleAsset,
    errors: ['already_exists', 'version_conflict'],
  }),
  route({
    id: 'deleteBundleAsset',
    method: 'DELETE',
    path: '/v1/domains/{domain}/bundles/{bundle}/assets/{asset}',
    summary: `Take an asset out of the bundle; without another one it falls back to \`default\`. The bundle’s owner`,
    tag: 'access',
    access: view,
    params: bundleAssetParams,
    status: 204,
    errors: ['state_conflict', 'version_conflict'],
  }),
] as const;
