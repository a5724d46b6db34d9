// Paths of routes, with what a world of tests has in place of their parameters.
import type { RouteDeclaration } from '@strongroom/contract';
import { queryFor } from './bodies.ts';
import type { PlatformThings, Things } from './matrix-world.ts';
import { plainSchema, sample } from './samples.ts';

/** What a path's parameter names, for parameters that say so by themselves; of others something that is not there. */
function targetOf(route: RouteDeclaration, name: string, things: Things, platform: PlatformThings): string {
  const isOfDomain = route.path.startsWith('/v1/domains/{domain}');
  switch (name) {
    case 'domain':
      return things.domain;
    case 'key':
      if (isOfDomain) return things.key;
      return route.path.startsWith('/v1/admin') ? 'admin-key' : 'global-key';
    case 'bundle':
      return things.bundle;
    case 'grant':
      return route.path.includes('/bundles/') ? things.bundleGrant : things.grant;
    case 'asset':
      return things.asset;
    case 'principal':
      return isOfDomain ? things.principal : platform.groupMember;
    case 'serviceAccount':
      return isOfDomain ? things.serviceAccount : platform.serviceAccount;
    case 'token':
      return isOfDomain ? things.token : platform.token;
    case 'workload':
      return things.workload;
    case 'user':
      return platform.user;
    case 'group':
      return platform.group;
    case 'session':
      return platform.session;
    case 'cluster':
      return 'prod';
    case 'namespace':
      return 'jobs';
    case 'profile':
      return platform.profile;
    case 'name':
      if (route.path.includes('/compute-clusters/')) return things.cluster;
      if (route.path.includes('/notebooks/')) return things.notebook;
      if (route.path.includes('/connections/')) return things.connection;
      if (route.path.includes('/storage-configs/')) return things.storageConfig;
      if (!route.path.includes('/integrations/')) return things.job;
      if (isOfDomain) return things.integration;
      return route.path.startsWith('/v1/admin') ? 'admin-vault' : 'global-vault';
    case 'id':
      return route.path.includes('/runs/') ? things.run : things.launch;
    default:
      return absentTarget(route, name);
  }
}

/** Something well-formed that is not there. */
export function absentTarget(route: RouteDeclaration, name: string): string {
  const schema = route.params?.properties[name];
  if (schema === undefined) throw new Error(`${route.id} has no parameter ${name}`);
  return String(sample(plainSchema(schema)));
}

/** A route's path with a target for every parameter and the query it requires; `others` take the place of some. */
export function pathTo(
  route: RouteDeclaration,
  things: Things,
  platform: PlatformThings,
  others: Readonly<Record<string, string>> = {},
): string {
  const path = route.path.replaceAll(/\{([^}]*)\}/g, (_, name: string) =>
    encodeURIComponent(others[name] ?? targetOf(route, name, things, platform)).replaceAll('%3A', ':'),
  );
  return `${path}${queryFor(route)}`;
}

/** A path with more in its query. */
export function withQuery(path: string, more: string): string {
  return `${path}${path.includes('?') ? '&' : '?'}${more}`;
}

export function parametersOf(route: RouteDeclaration): string[] {
  return [...route.path.matchAll(/\{([^}]*)\}/g)].map(([, name]) => name ?? '');
}
