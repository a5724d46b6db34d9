import {
  actionTable,
  isAction,
  presetAssetPermissions,
  presetPermissions,
  roleStanding,
  type Action,
  type ActionRow,
  type PlatformRole,
  type Preset,
} from '@strongroom/contract';
import { defaultBundleIdOf } from './default-bundle.ts';
import type { AccessSnapshot, AssetRef, Decision, DomainStanding, Resource, ScopeRef } from './types.ts';

/**
 * The one decision. Pure: the same snapshot, action and resource give the same answer, and nothing else is read.
 *
 * `because` of an allowance is its first ground; of a refusal, what is missing. The vocabulary is closed:
 *
 * - `role:R`, `everyone`, `standing`, `preset:P`, `permission:P` — what allows an action on the platform or a scope;
 * - `preset:P` or `role:R` with `bundle:default`; `bundle-owner` or `grant:P` with `bundle:ID` — what allows an asset;
 * - `disabled`, `no-standing`, `missing-role:R`, `missing:P` (with the `bundle:…` that would need to grant it),
 *   `not-assigned`, `wrong-resource` — what refuses.
 */
export function decide(snapshot: AccessSnapshot, action: Action, resource: Resource): Decision {
  if (snapshot.principal.isDisabled) return deny('disabled');
  if (!isAction(action)) return deny('wrong-resource');
  const row: ActionRow = actionTable[action];
  if (row.on !== resource.kind) return deny('wrong-resource');
  if (row.on === 'platform') return byRole(snapshot, row.roles);
  if (row.on === 'scope')
    return resource.kind === 'scope' ? onScope(snapshot, row, resource.scope) : deny('wrong-resource');
  return resource.kind === 'asset' ? onAsset(snapshot, row, resource.asset) : deny('wrong-resource');
}

type ScopeRow = Extract<ActionRow, { on: 'scope' }>;
type AssetRow = Extract<ActionRow, { on: 'asset' }>;

function onScope(snapshot: AccessSnapshot, row: ScopeRow, scope: ScopeRef): Decision {
  if (scope.kind === 'admin') return byRole(snapshot, row.admin);
  if (scope.kind === 'global') return row.global === 'everyone' ? allow('everyone') : byRole(snapshot, row.global);
  const role = row.everyDomain.find((candidate) => snapshot.roles.has(candidate));
  if (role !== undefined) return allow(`role:${role}`);
  const standing = snapshot.domains.get(scope.id);
  if (standing === undefined) {
    // Who sees the domain by a role is told what is missing there.
    return rolePreset(snapshot) === undefined ? deny('no-standing') : deny(`missing:${row.domain}`);
  }
  const { domain: permission } = row;
  if (permission === 'member')
    return allow(standing.presets[0] === undefined ? 'standing' : `preset:${standing.presets[0]}`);
  const preset = standing.presets.find((candidate) => presetPermissions[candidate].includes(permission));
  if (preset !== undefined) return allow(`preset:${preset}`);
  return standing.permissions.has(permission) ? allow(`permission:${permission}`) : deny(`missing:${permission}`);
}

function onAsset(snapshot: AccessSnapshot, row: AssetRow, asset: AssetRef): Decision {
  if (asset.type !== row.type) return deny('wrong-resource');
  if (asset.scope.kind !== 'domain') return byRole(snapshot, row.platform);
  const standing = snapshot.domains.get(asset.scope.id);
  const byPlatform = rolePreset(snapshot);
  if (standing === undefined && byPlatform === undefined) return deny('no-standing');
  if (asset.isAssigned === false) return deny('not-assigned');
  const inDefault = inDefaultBundle(row, asset, standing, byPlatform);
  if (inDefault !== undefined) return inDefault;
  return (
    inGrantedBundle(row, asset, standing) ??
    deny(`missing:${row.permission}`, ...asset.bundleIds.map((id) => bundleWord(id, asset, standing)))
  );
}

/** What presets, and roles that stand for one, give on the domain's default bundle. */
function inDefaultBundle(
  row: AssetRow,
  asset: AssetRef,
  standing: DomainStanding | undefined,
  byPlatform: RolePreset | undefined,
): Decision | undefined {
  if (!asset.bundleIds.includes(defaultBundleId(asset, standing))) return undefined;
  if (byPlatform !== undefined && presetAssetPermissions[byPlatform.preset][row.type].includes(row.permission))
    return allow(`role:${byPlatform.role}`, 'bundle:default');
  const preset = standing?.presets.find((candidate) =>
    presetAssetPermissions[candidate][row.type].includes(row.permission),
  );
  return preset === undefined ? undefined : allow(`preset:${preset}`, 'bundle:default');
}

/** What owning a bundle of the asset, or a grant on one, gives. */
function inGrantedBundle(row: AssetRow, asset: AssetRef, standing: DomainStanding | undefined): Decision | undefined {
  if (standing === undefined) return undefined;
  const owned = asset.bundleIds.find((id) => standing.ownedBundleIds.has(id));
  if (owned !== undefined) return allow('bundle-owner', bundleWord(owned, asset, standing));
  const granted = asset.bundleIds.find((id) =>
    standing.bundleGrants
      .get(id)
      ?.some(({ assetType, permissions }) => assetType === row.type && permissions.includes(row.permission)),
  );
  return granted === undefined ? undefined : allow(`grant:${row.permission}`, bundleWord(granted, asset, standing));
}

interface RolePreset {
  readonly role: PlatformRole;
  readonly preset: Preset;
}

/** Strongest first, so that the first match is the one to name. */
const standingRoles: readonly RolePreset[] = (['PLATFORM_ADMIN', 'DOMAIN_MANAGER', 'READ_ONLY_ADMIN'] as const).flatMap(
  (role) => {
    const preset = roleStanding[role];
    return preset === undefined ? [] : [{ role, preset }];
  },
);

/** The preset that a platform role stands for in every domain, if the principal has one. */
export function rolePreset(snapshot: AccessSnapshot): RolePreset | undefined {
  return standingRoles.find(({ role }) => snapshot.roles.has(role));
}

/** Whether the principal stands as OWNER in a domain: it may hand out anything there and administers every bundle. */
export function isDomainOwner(snapshot: AccessSnapshot, scopeId: string): boolean {
  if (snapshot.principal.isDisabled) return false;
  return (
    rolePreset(snapshot)?.preset === 'OWNER' || (snapshot.domains.get(scopeId)?.presets.includes('OWNER') ?? false)
  );
}

/**
 * Whether the principal may know of the resource at all. A scope: `domain.view` there. An asset: anything it may do with
 * it, or, for a secret that the domain has, listing secrets. The platform is known to everybody.
 */
export function sees(snapshot: AccessSnapshot, resource: Resource): boolean {
  if (resource.kind === 'platform') return true;
  if (resource.kind === 'scope') return decide(snapshot, 'domain.view', resource).allow;
  const { asset } = resource;
  const scope: Resource = { kind: 'scope', scope: asset.scope };
  if (asset.type === 'secret' && asset.isAssigned !== false && decide(snapshot, 'secret.list', scope).allow)
    return true;
  return (assetActions.get(asset.type) ?? []).some((action) => decide(snapshot, action, resource).allow);
}

const rolesOverGlobal = [
  'PLATFORM_ADMIN',
  'SECRETS_ADMIN',
  'DOMAIN_MANAGER',
  'READ_ONLY_ADMIN',
  'AUDITOR',
] as const satisfies readonly PlatformRole[];

/** Whether the principal knows every Global secret, whichever domains it is assigned to, and every domain's use of it. */
export function seesAllOfGlobal(snapshot: AccessSnapshot): boolean {
  return rolesOverGlobal.some((role) => snapshot.roles.has(role));
}

const assetActions: ReadonlyMap<string, readonly Action[]> = Map.groupBy(
  Object.keys(actionTable)
    .filter(isAction)
    .filter((action) => actionTable[action].on === 'asset'),
  (action) => action.slice(0, action.lastIndexOf('.')),
);

function byRole(snapshot: AccessSnapshot, roles: readonly PlatformRole[]): Decision {
  if (roles.length === 0) return deny('wrong-resource');
  const role = roles.find((candidate) => snapshot.roles.has(candidate));
  return role === undefined ? deny(...roles.map((candidate) => `missing-role:${candidate}`)) : allow(`role:${role}`);
}

function defaultBundleId(asset: AssetRef, standing: DomainStanding | undefined): string {
  return standing?.defaultBundleId ?? defaultBundleIdOf(asset.scope.id);
}

function bundleWord(id: string, asset: AssetRef, standing: DomainStanding | undefined): string {
  return id === defaultBundleId(asset, standing) ? 'bundle:default' : `bundle:${id}`;
}

function allow(...because: readonly string[]): Decision {
  return { allow: true, because };
}

function deny(...because: readonly string[]): Decision {
  return { allow: false, because };
}
