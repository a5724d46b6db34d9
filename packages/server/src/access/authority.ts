import {
  assetAction,
  presetPermissions,
  presets,
  type AssetPermission,
  type AssetType,
  type DomainPermission,
  type Preset,
} from '@strongroom/contract';
import { decide, isDomainOwner, rolePreset } from './decide.ts';
import { defaultBundleIdOf } from './default-bundle.ts';
import type { AccessSnapshot, Decision, ScopeRef } from './types.ts';

/**
 * What somebody who manages access may hand out or take away. An OWNER: anything in the domain. Whoever has a single
 * MANAGE_ACCESS: what it has itself, so that it can't raise itself through somebody else, a group or a bundle.
 */

const allowed: Decision = { allow: true, because: ['permission:MANAGE_ACCESS'] };
const owner: Decision = { allow: true, because: ['preset:OWNER'] };

export function mayHandOutPreset(snapshot: AccessSnapshot, scope: ScopeRef, preset: Preset): Decision {
  if (isDomainOwner(snapshot, scope.id)) return owner;
  // `presets` is ordered: the stronger come first and include the weaker.
  const isCovered = ownPresets(snapshot, scope).some((own) => presets.indexOf(own) <= presets.indexOf(preset));
  return isCovered ? allowed : missing(preset);
}

export function mayHandOutPermission(
  snapshot: AccessSnapshot,
  scope: ScopeRef,
  permission: DomainPermission,
): Decision {
  if (isDomainOwner(snapshot, scope.id)) return owner;
  return holdsPermission(snapshot, scope, permission) ? allowed : missing(permission);
}

/** Whether the bundle is the caller's to administer: its own, or any in a domain it stands in as OWNER. */
export function ownsBundle(snapshot: AccessSnapshot, scope: ScopeRef, bundleId: string): Decision {
  if (isDomainOwner(snapshot, scope.id)) return owner;
  const owns =
    !snapshot.principal.isDisabled && (snapshot.domains.get(scope.id)?.ownedBundleIds.has(bundleId) ?? false);
  return owns
    ? { allow: true, because: ['bundle-owner', bundleWord(scope, bundleId)] }
    : missing('OWNER', bundleWord(scope, bundleId));
}

export function mayHandOutOnBundle(
  snapshot: AccessSnapshot,
  scope: ScopeRef,
  bundleId: string,
  assetType: AssetType,
  permissions: readonly AssetPermission[],
): Decision {
  const own = ownsBundle(snapshot, scope, bundleId);
  if (own.allow) return own;
  const manages = decide(snapshot, 'access.manage', { kind: 'scope', scope });
  if (!manages.allow) return manages;
  const asset = { type: assetType, id: '', name: '', scope, bundleIds: [bundleId] };
  const lacking = permissions.filter((permission) => {
    const action = assetAction(assetType, permission);
    return action === undefined || !decide(snapshot, action, { kind: 'asset', asset }).allow;
  });
  return lacking.length === 0
    ? allowed
    : { allow: false, because: [...lacking.map((word) => `missing:${word}`), bundleWord(scope, bundleId)] };
}

/**
 * Whether somebody may act as a principal of the domain: hold a credential of it, or put it out of action. Only as far as its
 * own standing covers everything the principal has, there and elsewhere.
 */
export function mayActAs(snapshot: AccessSnapshot, scope: ScopeRef, other: AccessSnapshot): Decision {
  const role = [...other.roles].find((candidate) => !snapshot.roles.has(candidate));
  if (role !== undefined) return { allow: false, because: [`missing-role:${role}`] };
  for (const [id, standing] of other.domains) {
    if (isDomainOwner(snapshot, id)) continue;
    const place: ScopeRef = id === scope.id ? scope : { id, kind: 'domain', name: '' };
    const refused = [
      ...standing.presets.map((preset) => mayHandOutPreset(snapshot, place, preset)),
      ...[...standing.permissions].map((permission) => mayHandOutPermission(snapshot, place, permission)),
      ...[...standing.bundleGrants.values()]
        .flat()
        .map(({ bundleId, assetType, permissions }) =>
          mayHandOutOnBundle(snapshot, place, bundleId, assetType, permissions),
        ),
      ...[...standing.ownedBundleIds].map((bundleId) => ownsBundle(snapshot, place, bundleId)),
    ].find((decision) => !decision.allow);
    if (refused !== undefined) return refused;
  }
  return isDomainOwner(snapshot, scope.id) ? owner : allowed;
}

function holdsPermission(snapshot: AccessSnapshot, scope: ScopeRef, permission: DomainPermission): boolean {
  const byPreset = ownPresets(snapshot, scope).some((preset) => presetPermissions[preset].includes(permission));
  return byPreset || (snapshot.domains.get(scope.id)?.permissions.has(permission) ?? false);
}

function ownPresets(snapshot: AccessSnapshot, scope: ScopeRef): readonly Preset[] {
  const byRole = rolePreset(snapshot);
  return [...(snapshot.domains.get(scope.id)?.presets ?? []), ...(byRole === undefined ? [] : [byRole.preset])];
}

function missing(...words: readonly [string, ...string[]]): Decision {
  const [word, ...rest] = words;
  return { allow: false, because: [`missing:${word}`, ...rest] };
}

function bundleWord(scope: ScopeRef, bundleId: string): string {
  return bundleId === defaultBundleIdOf(scope.id) ? 'bundle:default' : `bundle:${bundleId}`;
}
