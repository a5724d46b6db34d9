import {
  assetPermissions,
  domainPermissions,
  includedRoles,
  platformRoles,
  presets,
  type AssetPermission,
  type AssetType,
  type DomainPermission,
  type PlatformRole,
  type Preset,
} from '@strongroom/contract';
import { defaultBundleIdOf } from './default-bundle.ts';
import type { SnapshotRow } from './queries.ts';
import type { AccessSnapshot, BundleGrant, DomainStanding } from './types.ts';

interface StandingDraft {
  readonly presets: Set<Preset>;
  readonly permissions: Set<DomainPermission>;
  readonly bundleGrants: Map<string, BundleGrant[]>;
  readonly ownedBundleIds: Set<string>;
}

/**
 * Assembles a snapshot from the rows of `access.snapshot`. Pure. Words that the contract doesn't know grant nothing.
 * @returns null when the principal does not exist
 */
export function buildSnapshot(principalId: string, rows: readonly SnapshotRow[]): AccessSnapshot | null {
  let revision = 0;
  let principal: AccessSnapshot['principal'] | null = null;
  const roles = new Set<PlatformRole>();
  const actorIds = new Set<string>();
  const domains = new Map<string, StandingDraft>();
  const standing = (scopeId: string): StandingDraft => {
    const existing = domains.get(scopeId);
    if (existing !== undefined) return existing;
    const draft: StandingDraft = {
      presets: new Set(),
      permissions: new Set(),
      bundleGrants: new Map(),
      ownedBundleIds: new Set(),
    };
    domains.set(scopeId, draft);
    return draft;
  };

  for (const row of rows) {
    switch (row.tag) {
      case 'revision':
        revision = row.number;
        break;
      case 'actor':
        actorIds.add(row.first);
        for (const role of words(row.third, platformRoles))
          for (const each of [role, ...includedRoles[role]]) roles.add(each);
        if (row.first === principalId)
          principal = { id: principalId, kind: principalKind(row.second), isDisabled: row.number !== 0 };
        break;
      case 'member':
        for (const preset of known(row.first, presets)) standing(row.scope).presets.add(preset);
        break;
      case 'grant':
        for (const permission of known(row.first, domainPermissions)) standing(row.scope).permissions.add(permission);
        break;
      case 'bundle-grant': {
        const grant = bundleGrant(row);
        if (grant !== undefined) addBundleGrant(standing(row.scope).bundleGrants, grant);
        break;
      }
      case 'owned-bundle':
        standing(row.scope).ownedBundleIds.add(row.first);
        break;
    }
  }
  if (principal === null) return null;
  return {
    revision,
    principal,
    roles,
    actorIds,
    domains: new Map([...domains].map(([id, draft]) => [id, finish(id, draft)])),
  };
}

function finish(scopeId: string, draft: StandingDraft): DomainStanding {
  return {
    // Strongest first: the first that allows is the one that is named.
    presets: presets.filter((preset) => draft.presets.has(preset)),
    permissions: draft.permissions,
    bundleGrants: draft.bundleGrants,
    ownedBundleIds: draft.ownedBundleIds,
    defaultBundleId: defaultBundleIdOf(scopeId),
  };
}

function addBundleGrant(grants: Map<string, BundleGrant[]>, grant: BundleGrant): void {
  const ofBundle = grants.get(grant.bundleId);
  if (ofBundle === undefined) grants.set(grant.bundleId, [grant]);
  else ofBundle.push(grant);
}

function bundleGrant(row: SnapshotRow): BundleGrant | undefined {
  if (!isAssetType(row.second)) return undefined;
  const permissions = words<AssetPermission>(row.third, assetPermissions[row.second]);
  return permissions.length === 0 ? undefined : { bundleId: row.first, assetType: row.second, permissions };
}

export function isAssetType(text: string): text is AssetType {
  return Object.hasOwn(assetPermissions, text);
}

function principalKind(text: string): 'user' | 'group' | 'service-account' {
  return text === 'user' || text === 'group' ? text : 'service-account';
}

function known<Word extends string>(text: string, vocabulary: readonly Word[]): readonly Word[] {
  return vocabulary.filter((word) => word === text);
}

/** The known words of a JSON array that this server wrote. */
function words<Word extends string>(json: string, vocabulary: readonly Word[]): readonly Word[] {
  const parsed: unknown = JSON.parse(json);
  return Array.isArray(parsed) ? vocabulary.filter((word) => parsed.includes(word)) : [];
}
