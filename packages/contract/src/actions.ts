import type { AssetPermission, AssetType, DomainPermission, PlatformRole } from './roles.ts';

/**
 * Everything anybody can ask to do, and what allows it. The server's `decide` reads this table and nothing else; the
 * reference page of permissions, the matrix test over all routes and `explain` are made from it.
 *
 * - `platform`: about the installation. Allowed to the roles named.
 * - `scope`: about one scope (`admin`, `global` or one domain). `roles` allow it in the scopes named beside them; in a
 *   domain the permission named allows it too.
 * - `asset`: about one asset of a domain (or a Global secret used in a domain), through a bundle; or about one of the
 *   admin and global scopes, used by the platform's own surfaces.
 *
 * What roles include and what presets mean is in `presets.ts`: PLATFORM_ADMIN includes SECRETS_ADMIN and DOMAIN_MANAGER;
 * DOMAIN_MANAGER stands as OWNER and READ_ONLY_ADMIN as VIEWER in every domain. RESOLVE comes from no role and no preset.
 */
export type ActionRow =
  | { readonly on: 'platform'; readonly roles: readonly PlatformRole[] }
  | {
      readonly on: 'scope';
      /** Roles that allow it in the admin scope. */
      readonly admin: readonly PlatformRole[];
      /** Roles that allow it in the global scope; `everyone`: every signed-in principal. */
      readonly global: readonly PlatformRole[] | 'everyone';
      /** In a domain: the permission, or `member` for everybody who has any standing there. */
      readonly domain: DomainPermission | 'member';
      /** Platform roles that allow it in every domain without being its member. */
      readonly everyDomain: readonly PlatformRole[];
    }
  | {
      readonly on: 'asset';
      readonly type: AssetType;
      readonly permission: AssetPermission;
      /** Roles that allow it on assets of the admin and global scopes, which have no bundles. */
      readonly platform: readonly PlatformRole[];
    };

const admins = ['PLATFORM_ADMIN'] as const;
const secretsAdmins = ['PLATFORM_ADMIN', 'SECRETS_ADMIN'] as const;
const secretsReaders = ['PLATFORM_ADMIN', 'SECRETS_ADMIN', 'READ_ONLY_ADMIN'] as const;
const domainManagers = ['PLATFORM_ADMIN', 'DOMAIN_MANAGER'] as const;
const domainReaders = ['PLATFORM_ADMIN', 'DOMAIN_MANAGER', 'READ_ONLY_ADMIN'] as const;

export const actionTable = {
  // The installation
  'identity.list': { on: 'platform', roles: ['PLATFORM_ADMIN', 'DOMAIN_MANAGER', 'READ_ONLY_ADMIN', 'AUDITOR'] },
  'identity.manage': { on: 'platform', roles: admins },
  'domain.create': { on: 'platform', roles: domainManagers },
  'settings.view': {
    on: 'platform',
    roles: ['PLATFORM_ADMIN', 'SECRETS_ADMIN', 'DOMAIN_MANAGER', 'READ_ONLY_ADMIN', 'AUDITOR'],
  },
  'settings.manage': { on: 'platform', roles: admins },
  'keys.manage': { on: 'platform', roles: admins },
  'profile.view': { on: 'platform', roles: secretsReaders },
  'profile.manage': { on: 'platform', roles: admins },
  'cluster.view': { on: 'platform', roles: ['PLATFORM_ADMIN', 'DOMAIN_MANAGER', 'READ_ONLY_ADMIN'] },
  'cluster.manage': { on: 'platform', roles: admins },
  'email.view': { on: 'platform', roles: secretsReaders },
  'email.manage': { on: 'platform', roles: admins },
  // Who signs in by it may get any role that its groups have.
  'ldap.view': { on: 'platform', roles: secretsReaders },
  'ldap.manage': { on: 'platform', roles: admins },
  'audit.read': { on: 'platform', roles: ['PLATFORM_ADMIN', 'AUDITOR'] },
  'metrics.read': { on: 'platform', roles: ['PLATFORM_ADMIN', 'READ_ONLY_ADMIN', 'AUDITOR'] },

  // A scope
  'domain.view': {
    on: 'scope',
    admin: secretsReaders,
    global: 'everyone',
    domain: 'member',
    everyDomain: [...domainReaders, 'AUDITOR'],
  },
  'domain.manage': { on: 'scope', admin: [], global: [], domain: 'MANAGE_ACCESS', everyDomain: domainManagers },
  'access.view': {
    on: 'scope',
    admin: secretsReaders,
    global: secretsReaders,
    domain: 'member',
    everyDomain: [...domainReaders, 'AUDITOR'],
  },
  'access.manage': {
    on: 'scope',
    admin: admins,
    global: secretsAdmins,
    domain: 'MANAGE_ACCESS',
    everyDomain: domainManagers,
  },
  'bundle.create': { on: 'scope', admin: [], global: [], domain: 'CREATE_BUNDLE', everyDomain: domainManagers },
  'secret.list': {
    on: 'scope',
    admin: secretsReaders,
    global: 'everyone',
    domain: 'LIST_SECRETS',
    everyDomain: domainReaders,
  },
  'secret.manage': {
    on: 'scope',
    admin: secretsAdmins,
    global: secretsAdmins,
    domain: 'MANAGE_SECRETS',
    everyDomain: domainManagers,
  },
  'scope.audit': {
    on: 'scope',
    admin: ['PLATFORM_ADMIN', 'AUDITOR'],
    global: ['PLATFORM_ADMIN', 'AUDITOR'],
    domain: 'MANAGE_ACCESS',
    everyDomain: ['PLATFORM_ADMIN', 'DOMAIN_MANAGER', 'AUDITOR'],
  },
  'integration.create': {
    on: 'scope',
    admin: secretsAdmins,
    global: secretsAdmins,
    domain: 'CREATE_INTEGRATION',
    everyDomain: domainManagers,
  },
  'spark-job.create': { on: 'scope', admin: [], global: [], domain: 'CREATE_SPARK_JOB', everyDomain: domainManagers },
  'compute-cluster.create': {
    on: 'scope',
    admin: [],
    global: [],
    domain: 'CREATE_COMPUTE',
    everyDomain: domainManagers,
  },
  'notebook.create': { on: 'scope', admin: [], global: [], domain: 'CREATE_NOTEBOOK', everyDomain: domainManagers },
  'storage-config.create': {
    on: 'scope',
    admin: [],
    global: [],
    domain: 'CREATE_STORAGE_CONFIG',
    everyDomain: domainManagers,
  },
  'connection.create': { on: 'scope', admin: [], global: [], domain: 'CREATE_CONNECTION', everyDomain: domainManagers },
  'launch.create': { on: 'scope', admin: [], global: [], domain: 'RESOLVE', everyDomain: [] },

  // An asset
  'secret.use': { on: 'asset', type: 'secret', permission: 'USE', platform: secretsAdmins },
  'integration.view': { on: 'asset', type: 'integration', permission: 'VIEW', platform: secretsReaders },
  'integration.update': { on: 'asset', type: 'integration', permission: 'UPDATE', platform: secretsAdmins },
  'integration.use': { on: 'asset', type: 'integration', permission: 'USE', platform: secretsAdmins },
  'spark-job.view': { on: 'asset', type: 'spark-job', permission: 'VIEW', platform: [] },
  'spark-job.update': { on: 'asset', type: 'spark-job', permission: 'UPDATE', platform: [] },
  'spark-job.delete': { on: 'asset', type: 'spark-job', permission: 'DELETE', platform: [] },
  'spark-job.suspend': { on: 'asset', type: 'spark-job', permission: 'SUSPEND', platform: [] },
  'spark-job.run': { on: 'asset', type: 'spark-job', permission: 'RUN', platform: [] },
  'compute-cluster.view': { on: 'asset', type: 'compute-cluster', permission: 'VIEW', platform: [] },
  'compute-cluster.update': { on: 'asset', type: 'compute-cluster', permission: 'UPDATE', platform: [] },
  'compute-cluster.delete': { on: 'asset', type: 'compute-cluster', permission: 'DELETE', platform: [] },
  'compute-cluster.execute': { on: 'asset', type: 'compute-cluster', permission: 'EXECUTE', platform: [] },
  'compute-cluster.consume': { on: 'asset', type: 'compute-cluster', permission: 'CONSUME', platform: [] },
  'notebook.view': { on: 'asset', type: 'notebook', permission: 'VIEW', platform: [] },
  'notebook.update': { on: 'asset', type: 'notebook', permission: 'UPDATE', platform: [] },
  'notebook.delete': { on: 'asset', type: 'notebook', permission: 'DELETE', platform: [] },
  'notebook.run': { on: 'asset', type: 'notebook', permission: 'RUN', platform: [] },
  'storage-config.view': { on: 'asset', type: 'storage-config', permission: 'VIEW', platform: [] },
  'storage-config.update': { on: 'asset', type: 'storage-config', permission: 'UPDATE', platform: [] },
  'storage-config.delete': { on: 'asset', type: 'storage-config', permission: 'DELETE', platform: [] },
  'storage-config.consume': { on: 'asset', type: 'storage-config', permission: 'CONSUME', platform: [] },
  'connection.view': { on: 'asset', type: 'connection', permission: 'VIEW', platform: [] },
  'connection.update': { on: 'asset', type: 'connection', permission: 'UPDATE', platform: [] },
  'connection.delete': { on: 'asset', type: 'connection', permission: 'DELETE', platform: [] },
  'connection.consume': { on: 'asset', type: 'connection', permission: 'CONSUME', platform: [] },
} as const satisfies Record<string, ActionRow>;

export type Action = keyof typeof actionTable;
type On<Kind extends ActionRow['on']> = {
  [A in Action]: (typeof actionTable)[A]['on'] extends Kind ? A : never;
}[Action];
export type PlatformAction = On<'platform'>;
export type ScopeAction = On<'scope'>;
export type AssetAction = On<'asset'>;

export function isAction(text: string): text is Action {
  return Object.hasOwn(actionTable, text);
}

/** Table rows about an asset type, by its permission: `assetAction('spark-job', 'RUN')` is `spark-job.run`. */
export function assetAction(type: AssetType, permission: AssetPermission): AssetAction | undefined {
  const name = `${type}.${permission.toLowerCase()}`;
  return isAction(name) && actionTable[name].on === 'asset' ? (name as AssetAction) : undefined;
}

/** Words people may use instead of an action's name where the subject says the rest (`explain`). */
export const shortActions = ['use', 'run', 'view', 'manage', 'list', 'resolve'] as const;
export type ShortAction = (typeof shortActions)[number];

export function isShortAction(text: string): text is ShortAction {
  return shortActions.some((word) => word === text);
}
