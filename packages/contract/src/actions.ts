import type { AssetPermission, AssetType, DomainPermission, PlatformRole } from './roles.ts';

/**
 * Everything anybody can ask to do, and what allows it. The server's `decide` reads this table and nothing else; the
 * reference page of permissions, the matrix test over all routes and `explain` are made from it.
 *
 * - `platform`: about the installation. Allowed to the roles named.
 * - `scope`: about one scope (`admin`, `global` or one domain). `roles` allow it in the scopes named beside them; in a
 *   domain the permission named allows it too.
 * - `asset`: about one asset of a domain (or a Global secret used in a domain), through a bundle.
 *
 * PLATFORM_ADMIN includes SECRETS_ADMIN and DOMAIN_MANAGER; DOMAIN_MANAGER is OWNER of every domain. RESOLVE comes from
 * no role and no preset.
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
  | { readonly on: 'asset'; readonly type: AssetType; readonly permission: AssetPermission };

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
  'spark-job.create': { on: 'scope', admin: [], global: [], domain: 'CREATE_SPARK_JOB', everyDomain: domainManagers },
  'launch.create': { on: 'scope', admin: [], global: [], domain: 'RESOLVE', everyDomain: [] },

  // An asset
  'secret.use': { on: 'asset', type: 'secret', permission: 'USE' },
  'spark-job.view': { on: 'asset', type: 'spark-job', permission: 'VIEW' },
  'spark-job.update': { on: 'asset', type: 'spark-job', permission: 'UPDATE' },
  'spark-job.delete': { on: 'asset', type: 'spark-job', permission: 'DELETE' },
  'spark-job.suspend': { on: 'asset', type: 'spark-job', permission: 'SUSPEND' },
  'spark-job.run': { on: 'asset', type: 'spark-job', permission: 'RUN' },
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
