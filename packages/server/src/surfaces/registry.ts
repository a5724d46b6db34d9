import { launchableSurfaces, StrongroomError } from '@strongroom/contract';
import type { Access, AccessSnapshot, AssetRef, Resource, ScopeRef } from '../access/types.ts';
import { computeClusterSurface } from './compute-cluster/definition.ts';
import { connectionSurface } from './connection/definition.ts';
import type { LaunchAbility, SurfaceDefinition } from './definition.ts';
import { emailSurface } from './email/definition.ts';
import { ldapSurface } from './ldap/definition.ts';
import { notebookSurface } from './notebook/definition.ts';
import { sparkJobSurface } from './spark-job/definition.ts';
import { storageConfigSurface } from './storage-config/definition.ts';

/** Every surface there is, one line each. */
export const surfaces = {
  'spark-job': sparkJobSurface,
  'compute-cluster': computeClusterSurface,
  notebook: notebookSurface,
  'storage-config': storageConfigSurface,
  connection: connectionSurface,
  email: emailSurface,
  ldap: ldapSurface,
} as const;

type SurfaceType = keyof typeof surfaces;

/** A surface to whoever doesn't care which. */
export type AnySurface = SurfaceDefinition<unknown, unknown>;
/** One whose configurations can be launched. */
export type LaunchableSurface = AnySurface & { readonly launch: LaunchAbility<unknown> };

export function isSurfaceType(text: string): text is SurfaceType {
  return Object.hasOwn(surfaces, text);
}

/** @throws StrongroomError `not_found` for what is no surface of this version */
export function surfaceOf(type: string): AnySurface {
  if (!isSurfaceType(type)) throw new StrongroomError('not_found');
  return surfaces[type];
}

/** @throws StrongroomError `not_found` for what can't be launched */
export function launchableOf(type: string): LaunchableSurface {
  const surface = surfaceOf(type);
  if (surface.launch === undefined) throw new StrongroomError('not_found');
  return surface as LaunchableSurface;
}

/** What using it takes, which is what its preflight takes: a launch, being consumed, or, of the platform's, managing it. */
export function useActionOf({
  launch,
  actions,
}: Pick<AnySurface, 'launch' | 'actions'>): AnySurface['actions']['view'] {
  return launch?.action ?? actions.consume ?? actions.update;
}

/** All that can be launched. */
export const launchables: readonly LaunchableSurface[] = launchableSurfaces.map(launchableOf);

/** What a decision about a configuration of this kind is about. */
export function resourceOf(surface: Pick<AnySurface, 'scope'>, asset: AssetRef): Resource {
  return surface.scope === 'admin' ? { kind: 'platform' } : { kind: 'asset', asset };
}

/** Whether somebody may see a configuration, whatever its kind. */
export function maySee(access: Pick<Access, 'decide'>, snapshot: AccessSnapshot, asset: AssetRef): boolean {
  const surface = surfaceOf(asset.type);
  return access.decide(snapshot, surface.actions.view, resourceOf(surface, asset)).allow;
}

/** Of a domain's bundles those whose configurations of this kind somebody may do something with. */
export function bundlesWhere(
  access: Pick<Access, 'decide'>,
  snapshot: AccessSnapshot,
  scope: ScopeRef,
  surface: AnySurface,
  action: AnySurface['actions']['view'],
  bundleIds: readonly string[],
): string[] {
  return bundleIds.filter((id) => {
    const asset: AssetRef = { type: surface.type, id: '', name: '', scope, bundleIds: [id] };
    return access.decide(snapshot, action, resourceOf(surface, asset)).allow;
  });
}
