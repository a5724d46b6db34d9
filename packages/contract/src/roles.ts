/** Words of access control; the decision itself is the server's `access/decide.ts`. */

export const platformRoles = [
  'PLATFORM_ADMIN',
  'SECRETS_ADMIN',
  'DOMAIN_MANAGER',
  'READ_ONLY_ADMIN',
  'AUDITOR',
] as const;
export type PlatformRole = (typeof platformRoles)[number];

/** Permissions granted in a domain to a user, a group or a service account. */
export const domainPermissions = [
  'LIST_SECRETS',
  'MANAGE_SECRETS',
  'CREATE_INTEGRATION',
  'CREATE_SPARK_JOB',
  'CREATE_COMPUTE',
  'CREATE_NOTEBOOK',
  'CREATE_STORAGE_CONFIG',
  'CREATE_CONNECTION',
  'CREATE_BUNDLE',
  'MANAGE_ACCESS',
  'RESOLVE',
] as const;
export type DomainPermission = (typeof domainPermissions)[number];

export const presets = ['OWNER', 'MAINTAINER', 'MEMBER', 'VIEWER'] as const;
export type Preset = (typeof presets)[number];

/** Permissions on the assets of a bundle, per asset type. */
export const assetPermissions = {
  secret: ['USE'],
  integration: ['VIEW', 'UPDATE', 'USE'],
  'spark-job': ['VIEW', 'UPDATE', 'DELETE', 'SUSPEND', 'RUN'],
  'compute-cluster': ['VIEW', 'UPDATE', 'DELETE', 'EXECUTE', 'CONSUME'],
  notebook: ['VIEW', 'UPDATE', 'DELETE', 'RUN'],
  'storage-config': ['VIEW', 'UPDATE', 'DELETE', 'CONSUME'],
  connection: ['VIEW', 'UPDATE', 'DELETE', 'CONSUME'],
} as const;
export type AssetType = keyof typeof assetPermissions;
export type AssetPermission = (typeof assetPermissions)[AssetType][number];

export const scopeKinds = ['admin', 'global', 'domain'] as const;
export type ScopeKind = (typeof scopeKinds)[number];
