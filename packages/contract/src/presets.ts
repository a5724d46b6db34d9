import { assetPermissions, domainPermissions } from './roles.ts';
import type { AssetPermission, AssetType, DomainPermission, PlatformRole, Preset } from './roles.ts';

/**
 * What presets and platform roles stand for. Plain data: the server's `decide`, the guide and the console read it.
 * OWNER ⊃ MAINTAINER ⊃ MEMBER ⊃ VIEWER in both tables.
 */

const ownerPermissions = domainPermissions.filter((permission) => permission !== 'RESOLVE');

/** Domain permissions of each preset. RESOLVE is in none. */
export const presetPermissions: Readonly<Record<Preset, readonly DomainPermission[]>> = {
  OWNER: ownerPermissions,
  MAINTAINER: ownerPermissions.filter((permission) => permission !== 'MANAGE_ACCESS'),
  MEMBER: [
    'LIST_SECRETS',
    'CREATE_SPARK_JOB',
    'CREATE_COMPUTE',
    'CREATE_NOTEBOOK',
    'CREATE_STORAGE_CONFIG',
    'CREATE_CONNECTION',
  ],
  VIEWER: ['LIST_SECRETS'],
};

/**
 * Asset permissions of each preset on the domain's `default` bundle. Members share the surfaces there: who creates a job
 * can change it. Changing an integration (its credential) is for maintainers.
 */
export const presetAssetPermissions: Readonly<Record<Preset, Readonly<Record<AssetType, readonly AssetPermission[]>>>> =
  {
    OWNER: assetPermissions,
    MAINTAINER: assetPermissions,
    MEMBER: { ...assetPermissions, integration: ['VIEW', 'USE'] },
    VIEWER: {
      secret: [],
      integration: ['VIEW'],
      'spark-job': ['VIEW'],
      'compute-cluster': ['VIEW'],
      notebook: ['VIEW'],
      'storage-config': ['VIEW'],
      connection: ['VIEW'],
    },
  };

/** Roles that a role includes. */
export const includedRoles: Readonly<Record<PlatformRole, readonly PlatformRole[]>> = {
  PLATFORM_ADMIN: ['SECRETS_ADMIN', 'DOMAIN_MANAGER'],
  SECRETS_ADMIN: [],
  DOMAIN_MANAGER: [],
  READ_ONLY_ADMIN: [],
  AUDITOR: [],
};

/** The preset a platform role stands for in every domain. */
export const roleStanding: Readonly<Partial<Record<PlatformRole, Preset>>> = {
  PLATFORM_ADMIN: 'OWNER',
  DOMAIN_MANAGER: 'OWNER',
  READ_ONLY_ADMIN: 'VIEWER',
};
