import type { AssetAction, PlatformAction, ScopeAction } from '../actions.ts';

/** What is asked to do something with a configuration of a domain; routes and decisions both read it. */
export interface SurfaceActions {
  readonly create: ScopeAction;
  readonly view: AssetAction;
  readonly update: AssetAction;
  readonly delete: AssetAction;
  /** Where a configuration can be kept from being launched without being deleted. */
  readonly suspend?: AssetAction;
  /** Where it can be launched. */
  readonly launch?: AssetAction;
  /** Where others can use it. */
  readonly consume?: AssetAction;
}

export const surfaceActions = {
  'spark-job': {
    create: 'spark-job.create',
    view: 'spark-job.view',
    update: 'spark-job.update',
    delete: 'spark-job.delete',
    suspend: 'spark-job.suspend',
    launch: 'spark-job.run',
  },
  'compute-cluster': {
    create: 'compute-cluster.create',
    view: 'compute-cluster.view',
    update: 'compute-cluster.update',
    delete: 'compute-cluster.delete',
    launch: 'compute-cluster.execute',
    consume: 'compute-cluster.consume',
  },
  notebook: {
    create: 'notebook.create',
    view: 'notebook.view',
    update: 'notebook.update',
    delete: 'notebook.delete',
    launch: 'notebook.run',
  },
  'storage-config': {
    create: 'storage-config.create',
    view: 'storage-config.view',
    update: 'storage-config.update',
    delete: 'storage-config.delete',
    consume: 'storage-config.consume',
  },
  connection: {
    create: 'connection.create',
    view: 'connection.view',
    update: 'connection.update',
    delete: 'connection.delete',
    // A connection that is deleted softly is kept, as one that is suspended.
    suspend: 'connection.delete',
    consume: 'connection.consume',
  },
} as const satisfies Record<string, SurfaceActions>;

/** Kinds of configurations of a domain. */
export type DomainSurface = keyof typeof surfaceActions;

/** What is asked to do something with a configuration of the platform. */
export const platformSurfaceActions = {
  email: { view: 'email.view', manage: 'email.manage' },
  ldap: { view: 'ldap.view', manage: 'ldap.manage' },
} as const satisfies Record<string, { readonly view: PlatformAction; readonly manage: PlatformAction }>;

/** Kinds of configurations of the platform, one of each, in the admin scope. */
export const platformSurfaces = ['email', 'ldap'] as const;

/** Kinds of configurations. */
export type SurfaceName = DomainSurface | (typeof platformSurfaces)[number];

/** Those that can be launched. */
export const launchableSurfaces = ['spark-job', 'compute-cluster', 'notebook'] as const;
export type LaunchableSurface = (typeof launchableSurfaces)[number];
