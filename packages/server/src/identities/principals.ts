import { type PlatformRole, platformRoles, StrongroomError } from '@strongroom/contract/core';
import type { CommandContext } from '../store/store.ts';
import type { Tables } from '../store/tables.ts';
import type { PrincipalName } from './actor.ts';

/** What the commands of this folder share: finding, adding and removing principals, and the rule of the last administrator. */

/** A principal as services see it. */
export interface PrincipalRecord extends PrincipalName {
  readonly id: string;
  readonly displayName: string;
  readonly email: string | null;
  readonly scopeId: string | null;
  readonly hasPassword: boolean;
  readonly roles: readonly PlatformRole[];
  readonly isDisabled: boolean;
  /** It comes from a directory, and signs in there. */
  readonly isFromDirectory: boolean;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

type PrincipalRow = Tables['principals'] & { readonly domain: string | null };

export function principalRecord(row: PrincipalRow): PrincipalRecord {
  return {
    id: row.id,
    kind: row.kind,
    name: row.name,
    domain: row.domain,
    displayName: row.display_name,
    email: row.email,
    scopeId: row.scope_id,
    hasPassword: row.password_hash !== null,
    roles: parseRoles(row.roles),
    isDisabled: row.disabled_at !== null,
    isFromDirectory: row.directory_id !== null,
    revision: row.revision,
    createdAt: row.created_at,
    updatedAt: row.updated_at,
  };
}

/** The stored array; words this version doesn't know are left out, so they grant nothing. */
export function parseRoles(text: string): readonly PlatformRole[] {
  const stored: unknown = JSON.parse(text);
  return Array.isArray(stored) ? canonicalRoles(stored) : [];
}

/** In the table's order, each once: two equal sets are equal texts. */
export function canonicalRoles(roles: readonly unknown[]): readonly PlatformRole[] {
  return platformRoles.filter((role) => roles.includes(role));
}

/** @throws StrongroomError `not_found` unless such a principal exists (in the scope, when one is asked for). */
export async function requirePrincipal(
  context: CommandContext,
  kind: PrincipalName['kind'],
  id: string,
  scopeId?: string,
): Promise<PrincipalRow> {
  let query = context.db
    .selectFrom('principals')
    .leftJoin('scopes', 'scopes.id', 'principals.scope_id')
    .selectAll('principals')
    .select('scopes.name as domain')
    .where('principals.id', '=', id)
    .where('principals.kind', '=', kind)
    .where('principals.deleted_at', 'is', null);
  if (scopeId !== undefined) query = query.where('principals.scope_id', '=', scopeId);
  const row = await query.executeTakeFirst();
  if (row === undefined) throw new StrongroomError('not_found');
  return row;
}

/** @throws StrongroomError `revision_mismatch` */
export function requireRevision(row: { readonly revision: number }, expected: number | undefined): void {
  if (expected !== undefined && row.revision !== expected) throw new StrongroomError('revision_mismatch');
}

/** Changes the row that was read. @throws StrongroomError `version_conflict` when another replica changed it meanwhile */
export async function updatePrincipal(
  context: CommandContext,
  row: { readonly id: string; readonly revision: number },
  change: Partial<Pick<Tables['principals'], 'display_name' | 'email' | 'roles' | 'disabled_at' | 'password_hash'>>,
): Promise<void> {
  const updated = await context.db
    .updateTable('principals')
    .set({ ...change, revision: row.revision + 1, updated_at: context.now })
    .where('id', '=', row.id)
    .where('revision', '=', row.revision)
    .returning('id')
    .executeTakeFirst();
  if (updated === undefined) throw new StrongroomError('version_conflict');
}

export interface NewPrincipal {
  readonly id: string;
  readonly kind: PrincipalName['kind'];
  readonly name: string;
  readonly displayName: string;
  readonly email?: string | null;
  readonly scopeId?: string | null;
  readonly passwordHash?: string | null;
  readonly roles: readonly PlatformRole[];
  readonly createdBy: string;
  readonly directoryId?: string | null;
}

/**
 * Names are unique per kind, service accounts' within their domain or the platform. A deleted principal's name is free.
 * @throws StrongroomError `already_exists`
 */
export async function insertPrincipal(context: CommandContext, principal: NewPrincipal): Promise<void> {
  const scopeId = principal.scopeId ?? null;
  const taken = await context.db
    .selectFrom('principals')
    .select('id')
    .where('kind', '=', principal.kind)
    .where('name', '=', principal.name)
    .where('scope_id', scopeId === null ? 'is' : '=', scopeId)
    .where('deleted_at', 'is', null)
    .executeTakeFirst();
  if (taken !== undefined) throw alreadyExists(principal);
  const result = await context.db
    .insertInto('principals')
    .values({
      id: principal.id,
      kind: principal.kind,
      name: principal.name,
      display_name: principal.displayName,
      email: principal.email ?? null,
      scope_id: scopeId,
      password_hash: principal.passwordHash ?? null,
      roles: JSON.stringify(canonicalRoles(principal.roles)),
      disabled_at: null,
      deleted_at: null,
      revision: 1,
      created_at: context.now,
      created_by: principal.createdBy,
      updated_at: context.now,
      directory_id: principal.directoryId ?? null,
      absent_at: null,
    })
    // Two processes over PostgreSQL may both have found the name free.
    .onConflict((conflict) => conflict.doNothing())
    .executeTakeFirst();
  if (Number(result.numInsertedOrUpdatedRows ?? 0) !== 1) throw alreadyExists(principal);
  if (principal.roles.length > 0) await context.bumpAuthorisation();
}

function alreadyExists(principal: NewPrincipal): StrongroomError {
  return new StrongroomError('already_exists', { detail: `There is a ${principal.kind} named ${principal.name}.` });
}

/** Marks it deleted and removes what it stood on: memberships, grants, sessions, tokens, links. The id is never reused. */
export async function removePrincipal(context: CommandContext, id: string): Promise<void> {
  const { db, now } = context;
  await db
    .updateTable('principals')
    .set((column) => ({
      deleted_at: now,
      updated_at: now,
      password_hash: null,
      roles: '[]',
      revision: column('revision', '+', 1),
    }))
    .where('id', '=', id)
    .execute();
  await db
    .deleteFrom('group_members')
    .where((where) => where.or([where('principal_id', '=', id), where('group_id', '=', id)]))
    .execute();
  await db.deleteFrom('members').where('principal_id', '=', id).execute();
  await db.deleteFrom('grants').where('principal_id', '=', id).execute();
  await db.deleteFrom('bundle_grants').where('principal_id', '=', id).execute();
  await endSessions(context, id);
  await voidLinks(context, id);
  await db
    .updateTable('tokens')
    .set({ revoked_at: now })
    .where('principal_id', '=', id)
    .where('revoked_at', 'is', null)
    .execute();
}

export async function endSessions(context: CommandContext, principalId: string): Promise<void> {
  await context.db
    .updateTable('sessions')
    .set({ revoked_at: context.now })
    .where('principal_id', '=', principalId)
    .where('revoked_at', 'is', null)
    .execute();
}

export async function voidLinks(context: CommandContext, principalId: string): Promise<void> {
  await context.db
    .updateTable('sign_in_links')
    .set({ used_at: context.now })
    .where('principal_id', '=', principalId)
    .where('used_at', 'is', null)
    .execute();
}

/** A LIKE pattern over the stored JSON. Its `_` is a wildcard, but no other word of the closed list of roles fits it. */
const holdsAdmin = '%"PLATFORM_ADMIN"%';

/** Whether the principal is PLATFORM_ADMIN by itself or through a group. */
export async function isAdmin(context: CommandContext, row: Tables['principals']): Promise<boolean> {
  if (parseRoles(row.roles).includes('PLATFORM_ADMIN')) return true;
  const group = await context.db
    .selectFrom('group_members')
    .innerJoin('principals as group', 'group.id', 'group_members.group_id')
    .select('group.id')
    .where('group_members.principal_id', '=', row.id)
    .where('group.deleted_at', 'is', null)
    .where('group.roles', 'like', holdsAdmin)
    .executeTakeFirst();
  return group !== undefined;
}

/** Who is left out of account: somebody, a group, with both the one's place in the other, or the roles of its own that somebody has. */
export interface Gone {
  readonly principalId?: string;
  readonly groupId?: string;
  readonly rolesOf?: string;
}

/**
 * The rule of the last administrator, after a change that took PLATFORM_ADMIN from somebody. The command moved the
 * authorisation revision before it read anything: that row stays locked until the commit, so that two replicas can't each
 * remove "the other" administrator.
 * @param gone to tell beforehand: as if these were gone
 * @throws StrongroomError `last_admin` when no enabled user or service account is left with the role
 */
export async function requireAnAdmin(
  context: Pick<CommandContext, 'db'>,
  { principalId, groupId, rolesOf }: Gone = {},
): Promise<void> {
  let admins = context.db
    .selectFrom('principals')
    .select('principals.id')
    .where('principals.kind', 'in', ['user', 'service-account'])
    .where('principals.deleted_at', 'is', null)
    .where('principals.disabled_at', 'is', null)
    .where((where) => {
      let byGroup = where
        .selectFrom('group_members')
        .innerJoin('principals as group', 'group.id', 'group_members.group_id')
        .select('group.id')
        .whereRef('group_members.principal_id', '=', 'principals.id')
        .where('group.deleted_at', 'is', null)
        .where('group.roles', 'like', holdsAdmin);
      if (groupId !== undefined)
        byGroup = byGroup.where((member) =>
          principalId === undefined
            ? member('group.id', '!=', groupId)
            : member.or([member('group.id', '!=', groupId), member('principals.id', '!=', principalId)]),
        );
      if (rolesOf !== undefined) byGroup = byGroup.where('group.id', '!=', rolesOf);
      const own = where('principals.roles', 'like', holdsAdmin);
      const isOwn = rolesOf === undefined ? own : own.and('principals.id', '!=', rolesOf);
      return where.or([isOwn, where.exists(byGroup)]);
    })
    .limit(1);
  if (principalId !== undefined && groupId === undefined) admins = admins.where('principals.id', '!=', principalId);
  const admin = await admins.executeTakeFirst();
  if (admin === undefined) throw new StrongroomError('last_admin');
}
