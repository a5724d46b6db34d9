import { type AssetPermission, type PlatformRole, type Preset, StrongroomError } from '@strongroom/contract';
import { defaultBundleIdOf } from '../access/default-bundle.ts';
import { findPrincipal } from '../access/principal-names.ts';
import type { SnapshotRow } from '../access/queries.ts';
import type { Selector } from '../access/selectors.ts';
import { buildSnapshot } from '../access/snapshot.ts';
import type { AccessSnapshot, AssetRef, ScopeRef } from '../access/types.ts';
import type { Store } from '../store/store.ts';

/** A change of who may do what. Access after it is put together from the same rows and decided by the same function. */
export interface Alteration {
  /** The scope it is about; `null`: all. */
  readonly scopeId: string | null;
  /** Whose access it changes; `null`: whoever has any in the scope. */
  readonly principalIds: readonly string[] | null;
  /** `false`: it changes the access of more than are looked at. */
  readonly isComplete: boolean;
  /** What somebody may do after it. @param rows of what it may do before */
  readonly after: (principalId: string, rows: readonly SnapshotRow[]) => Promise<AccessSnapshot | null>;
  /** Where assets of the scope are after it; absent: where they are. */
  readonly placement?: Placement;
  /** Only what these do themselves is hit: what they once saved stands as it did. */
  readonly isSignInOnly?: boolean;
}

export interface Placement {
  readonly scope: ScopeRef;
  readonly asset: (asset: AssetRef) => AssetRef;
  readonly selectors: (selectors: readonly Selector[]) => readonly Selector[];
}

/** Members of a group that are looked at. */
export const maxActors = 1000;

const nothing = { second: '', third: '' };

/** A row of somebody's snapshot that goes, or becomes another one. */
interface Removed {
  readonly principalId: string;
  readonly row: Pick<SnapshotRow, 'tag' | 'scope' | 'first' | 'second' | 'third'>;
  readonly becomes?: Partial<Pick<SnapshotRow, 'first' | 'third'>> | undefined;
}

/**
 * A member loses its preset, or gets another one in its place.
 * @throws StrongroomError `not_found`
 */
export async function withoutMember(
  store: Store,
  domain: ScopeRef,
  label: string,
  preset: Preset | undefined,
): Promise<Alteration> {
  const principal = await findPrincipal(store.db, domain, label);
  const row = await store.db
    .selectFrom('members')
    .select(['principal_id', 'preset'])
    .where('scope_id', '=', domain.id)
    .where('principal_id', '=', principal?.id ?? '')
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  return withoutRow(store, domain, {
    principalId: row.principal_id,
    row: { tag: 'member', scope: domain.id, first: row.preset, ...nothing },
    becomes: preset && { first: preset },
  });
}

/** @throws StrongroomError `not_found` */
export async function withoutGrant(store: Store, domain: ScopeRef, id: string): Promise<Alteration> {
  const row = await store.db
    .selectFrom('grants')
    .select(['principal_id', 'permission'])
    .where('id', '=', id)
    .where('scope_id', '=', domain.id)
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  return withoutRow(store, domain, {
    principalId: row.principal_id,
    row: { tag: 'grant', scope: domain.id, first: row.permission, ...nothing },
  });
}

/** @param kept the permissions that it would have in place of its own. @throws StrongroomError `not_found` */
export async function withoutBundleGrant(
  store: Store,
  domain: ScopeRef,
  bundleId: string,
  id: string,
  kept: readonly AssetPermission[] = [],
): Promise<Alteration> {
  const row = await store.db
    .selectFrom('bundle_grants')
    .select(['principal_id', 'asset_type', 'permissions'])
    .where('id', '=', id)
    .where('bundle_id', '=', bundleId)
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  const { principal_id: principalId, asset_type: second, permissions: third } = row;
  return withoutRow(store, domain, {
    principalId,
    row: { tag: 'bundle-grant', scope: domain.id, first: bundleId, second, third },
    becomes: { third: JSON.stringify(kept) },
  });
}

/** A bundle gets another owner; one that there is not owns nothing. */
export async function withOwner(
  store: Store,
  domain: ScopeRef,
  { id: bundleId, owner }: { readonly id: string; readonly owner: { readonly id: string } | null },
  label: string,
): Promise<Alteration> {
  const next = await findPrincipal(store.db, domain, label);
  const row = { tag: 'owned-bundle', scope: domain.id, first: bundleId, ...nothing } as const;
  const alteration = await withoutRow(store, domain, { principalId: owner?.id ?? '', row });
  return {
    ...alteration,
    after: async (principalId, rows) =>
      rows.some(({ tag, first }) => tag === 'actor' && first === next?.id)
        ? buildSnapshot(principalId, [...rows, { ...row, number: 0 }])
        : alteration.after(principalId, rows),
  };
}

/** A user, a service account or a group has these platform roles of its own, and no others. */
export async function withRoles(store: Store, id: string, roles: readonly PlatformRole[]): Promise<Alteration> {
  const members = await membersOf(store, id);
  const third = JSON.stringify(roles);
  return {
    scopeId: null,
    principalIds: [id, ...members.slice(0, maxActors)],
    isComplete: members.length <= maxActors,
    after: async (principalId, rows) =>
      buildSnapshot(
        principalId,
        rows.map((row) => (row.tag === 'actor' && row.first === id ? { ...row, third } : row)),
      ),
  };
}

async function withoutRow(store: Store, domain: ScopeRef, removed: Removed): Promise<Alteration> {
  const members = await membersOf(store, removed.principalId);
  return {
    scopeId: domain.id,
    principalIds: [removed.principalId, ...members.slice(0, maxActors)],
    isComplete: members.length <= maxActors,
    after: async (principalId, rows) => buildSnapshot(principalId, without(rows, removed)),
  };
}

/** One of the rows that are alike goes: somebody may have the same through a group. */
function without(rows: readonly SnapshotRow[], { row, becomes }: Removed): readonly SnapshotRow[] {
  const at = rows.findIndex(
    (each) =>
      each.tag === row.tag &&
      each.scope === row.scope &&
      each.first === row.first &&
      each.second === row.second &&
      each.third === row.third,
  );
  return rows.flatMap((each, index) => {
    if (index !== at) return [each];
    return becomes === undefined ? [] : [{ ...each, ...becomes }];
  });
}

/** Somebody is disabled or deleted: decided alike. */
export function withoutPrincipal(principalId: string): Alteration {
  return {
    scopeId: null,
    principalIds: [principalId],
    isComplete: true,
    after: async (id, rows) => disabled(buildSnapshot(id, rows)),
  };
}

/** Somebody can't sign in any more; what it saved stands on it as before. */
export function withoutSignIn(principalId: string): Alteration {
  return { ...withoutPrincipal(principalId), isSignInOnly: true };
}

function disabled(snapshot: AccessSnapshot | null): AccessSnapshot | null {
  return snapshot === null ? null : { ...snapshot, principal: { ...snapshot.principal, isDisabled: true } };
}

/**
 * A group goes, or one of its members leaves it.
 * @throws StrongroomError `not_found` for who is no member
 */
export async function withoutGroup(store: Store, groupId: string, memberId?: string): Promise<Alteration> {
  const members = memberId === undefined ? await membersOf(store, groupId) : [memberId];
  if (memberId !== undefined) await requireMembership(store, groupId, memberId);
  return {
    scopeId: null,
    principalIds: members.slice(0, maxActors),
    isComplete: members.length <= maxActors,
    after: async (principalId) =>
      buildSnapshot(principalId, await store.query('access.snapshot', { principalId, withoutGroupId: groupId })),
  };
}

async function requireMembership({ db }: Store, groupId: string, principalId: string): Promise<void> {
  const row = await db
    .selectFrom('group_members')
    .innerJoin('principals', 'principals.id', 'group_members.principal_id')
    .select('principals.id')
    .where('group_members.group_id', '=', groupId)
    .where('group_members.principal_id', '=', principalId)
    .where('principals.deleted_at', 'is', null)
    .executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
}

async function membersOf(store: Store, groupId: string): Promise<readonly string[]> {
  return store.query('impact.membersOf', { groupId, limit: maxActors + 1 });
}

/** A bundle goes: its grants with it, its assets to the default bundle. */
export function withoutBundle(scope: ScopeRef, bundleId: string): Alteration {
  const isOfBundle = ({ tag, first }: SnapshotRow): boolean =>
    (tag === 'bundle-grant' || tag === 'owned-bundle') && first === bundleId;
  return {
    ...moved(scope, {
      asset: (asset) => ({
        ...asset,
        bundleIds: asset.bundleIds.map((id) => (id === bundleId ? defaultBundleIdOf(scope.id) : id)),
      }),
      selectors: (selectors) => selectors.filter((selector) => selector.bundleId !== bundleId),
    }),
    after: async (principalId, rows) =>
      buildSnapshot(
        principalId,
        rows.filter((row) => !isOfBundle(row)),
      ),
  };
}

/** A configuration or an integration goes to another bundle. */
export function withConfigurationIn(scope: ScopeRef, id: string, bundleId: string): Alteration {
  return moved(scope, {
    asset: (asset) => (asset.id === id ? { ...asset, bundleIds: [bundleId] } : asset),
    selectors: (selectors) => selectors,
  });
}

/** Secrets are named in a bundle, or no longer. */
export function withSelectors(scope: ScopeRef, change: Placement['selectors']): Alteration {
  return moved(scope, { asset: (asset) => asset, selectors: change });
}

function moved(scope: ScopeRef, placement: Omit<Placement, 'scope'>): Alteration {
  return {
    scopeId: scope.id,
    principalIds: null,
    isComplete: true,
    after: async (principalId, rows) => buildSnapshot(principalId, rows),
    placement: { scope, ...placement },
  };
}
